"""Probes over time and through restarts: looks and both clocks are played, the database is real."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as options
from hypothesis import strategies as st
from sqlalchemy import select

from collectors.sample import Tick
from config_target import TargetSettings
from storage.engine import Database, open_database
from storage.tables import ProbeRow, TargetOutageRow
from targets.probe.outcome import Outcome
from targets.probe.prober import Prober
from targets.probe.state import ProbeState
from targets.target import Target
from tests.running import eventually

T0 = 1_800_000_000_000
SECOND, MINUTE = 1000, 60_000
WELL, ILL = Outcome(True, "", 0.1), Outcome(False, "HTTP 503", 0.1)
BLIND = Outcome(None, "Docker's socket is not there")


def target(name: str = "comfy", **settings: Any) -> Target:
    chosen = settings or {"http": {"url": "http://127.0.0.1:9/", "interval": 5, "fails": 2, "successes": 2}}
    return Target(TargetSettings.model_validate({"name": name, **chosen}))


class Scene:
    """One process after the other on the same database; ``look`` is a look at every target."""

    def __init__(self, path: Path, *targets: Target) -> None:
        self.path = path
        self.targets = list(targets)
        self.now_ms = T0
        self.monotonic = 1000.0
        self.outcome = WELL
        self.database: Database
        self.open()

    def open(self, *, seconds_away: float = 0.0) -> None:
        """Begin a process, which knows only what was written."""
        self.pass_by(seconds_away)
        self.database = open_database(self.path)
        looks = dict.fromkeys(("http", "tcp", "docker"), lambda _: self.outcome)
        self.prober = Prober(self.database, lambda: self.now_ms, monotonic=lambda: self.monotonic, looks=looks)
        self.prober.replace(self.targets)

    def die(self, *, seconds_away: float = 0.0) -> None:
        """Be killed, and begin again."""
        self.database.dispose(close=False)
        self.open(seconds_away=seconds_away)

    def pass_by(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self.monotonic += seconds

    def look(self, outcome: Outcome, *, after: float = 5.0) -> None:
        """Let some time go by, then look at all."""
        self.pass_by(after)
        self.outcome = outcome
        for one in self.targets:
            self.prober.look(one.name)
        self.prober.keep()

    def state(self, name: str = "comfy", probe: str = "http") -> ProbeState:
        (found,) = [one for one in self.prober.states() if (one.target, one.probe) == (name, probe)]
        return found

    def series(self) -> dict[str, float]:
        """What a tick writes now: names with their labels but target and probe."""
        found = {}
        for tick in self.prober.collect(self.now_ms):
            for sample in tick.samples:
                labels = [value for name, value in sample.labels if name not in ("target", "probe")]
                found[" ".join([sample.name, *labels])] = sample.value
        return found

    def outages(self) -> list[tuple[int, int, int | None, str]]:
        """Started, detected and ended, in seconds from the start, and why."""
        with self.database.connect() as connection:
            rows = connection.execute(select(*TargetOutageRow.__table__.columns).order_by(TargetOutageRow.id)).all()
        return [(_seconds(row.started_ms), _seconds(row.detected_ms), _maybe(row.ended_ms), row.reason) for row in rows]


def _seconds(time_ms: int) -> int:
    return (time_ms - T0) // 1000


def _maybe(time_ms: int | None) -> int | None:
    return None if time_ms is None else _seconds(time_ms)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "wakeless.db", target())
    yield scene
    scene.prober.stop()
    scene.database.dispose()


def test_a_target_goes_down_and_comes_up_and_its_outage_is_kept(scene: Scene) -> None:
    scene.look(WELL)
    assert scene.state().state == "up"
    scene.look(ILL)
    assert (scene.state().state, scene.state().streak, scene.state().failures) == ("up", 1, 1)
    scene.look(ILL)
    state = scene.state()
    assert (state.state, state.reason, _seconds(state.since_ms), state.failures) == ("down", "HTTP 503", 10, 2)
    assert scene.outages() == [(10, 15, None, "HTTP 503")]
    scene.look(WELL)
    assert scene.state().state == "down"
    scene.look(WELL)
    assert (scene.state().state, scene.state().reason) == ("up", "")
    assert scene.outages() == [(10, 15, 20, "HTTP 503")]


def test_the_series_say_what_is_and_why(scene: Scene) -> None:
    assert scene.series() == {}
    scene.look(Outcome(True, "", 0.25, {}, {"connect": 0.1, "tls": 0.0}, 200, T0 + 1000))
    assert scene.series() == {
        "probe_up": 1.0,
        "probe_success": 1.0,
        "probe_duration_seconds": 0.25,
        "probe_http_duration_seconds connect": 0.1,
        "probe_http_status_code": 200.0,
        "probe_ssl_earliest_cert_expiry": T0 / 1000 + 1,
        "probe_ssl_warn_seconds": 14 * 86_400.0,
    }
    scene.look(ILL)
    scene.look(ILL)
    scene.look(Outcome(False, "refuses the connection"))  # the reason stays that of the moment when it went down
    found = scene.series()
    assert (found["probe_up"], found["probe_success"], found["probe_down_info HTTP 503"]) == (0.0, 0.0, 1.0)
    assert scene.series() == {}


def test_series_are_told_again_before_queries_forget_them(scene: Scene) -> None:
    scene.look(WELL)
    assert scene.series()
    scene.pass_by(59)
    assert not scene.series()
    scene.pass_by(1)
    assert scene.series()["probe_up"] == 1.0


def test_what_cannot_be_told_is_neither_up_nor_down(scene: Scene) -> None:
    scene.look(BLIND)
    assert scene.state().state == "unknown"
    assert scene.series() == {f"probe_unknown_info {BLIND.reason}": 1.0}
    scene.look(WELL)
    scene.look(ILL)
    scene.look(ILL)
    scene.look(BLIND)
    scene.look(BLIND)
    assert scene.state().state == "unknown"
    assert "probe_up" not in scene.series()
    assert scene.outages() == [(15, 20, 30, "HTTP 503")]


def test_one_that_was_down_stays_down_through_a_kill_until_it_has_succeeded(scene: Scene) -> None:
    for outcome in (WELL, ILL, ILL):
        scene.look(outcome)
    scene.die(seconds_away=100)
    assert (scene.state().state, scene.state().reason) == ("down", "HTTP 503")
    assert scene.series() == {"probe_up": 0.0, "probe_down_info HTTP 503": 1.0}
    scene.look(WELL)
    scene.die()
    scene.look(WELL)
    assert scene.state().state == "up"
    assert scene.outages() == [(10, 15, 120, "HTTP 503")]


def test_a_streak_survives_a_kill(scene: Scene) -> None:
    scene.look(WELL)
    scene.look(ILL)
    scene.die()
    scene.look(ILL)
    assert scene.outages() == [(10, 15, None, "HTTP 503")]


def test_one_that_was_up_is_not_said_to_be_before_somebody_has_looked(scene: Scene) -> None:
    scene.look(WELL)
    scene.die(seconds_away=3600)
    assert scene.state().state == "up"
    assert scene.series() == {}
    scene.look(ILL)
    scene.look(ILL)
    assert scene.outages() == [(3610, 3615, None, "HTTP 503")]


@options(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([WELL, ILL, ILL, BLIND, "kill"]), max_size=10))
@example([WELL, ILL, "kill", ILL, BLIND, "kill", BLIND, ILL, "kill", ILL])
def test_kills_change_nothing_of_what_is_known(
    tmp_path_factory: pytest.TempPathFactory, story: list[Outcome | str]
) -> None:
    """The same results, with a kill after any of them and without: the same states and stretches."""
    scenes = [Scene(tmp_path_factory.mktemp("kill") / "wakeless.db", target()) for _ in range(2)]
    for part in story:
        for index, scene in enumerate(scenes):
            if isinstance(part, Outcome):
                scene.look(Outcome(part.success, part.reason))
            elif index == 0:
                scene.die()
    first, second = scenes
    assert first.outages() == second.outages()
    assert first.state().state == second.state().state
    for scene in scenes:
        scene.database.dispose()


def test_nothing_is_written_while_nothing_changes(scene: Scene) -> None:
    scene.look(WELL)
    with closing(sqlite3.connect(scene.path)) as other:
        (before,) = other.execute("PRAGMA data_version").fetchone()
        for _ in range(10):
            scene.look(WELL)
        assert other.execute("PRAGMA data_version").fetchone() == (before,)
        scene.look(WELL, after=10)  # a minute since it was noted that somebody looks
        assert other.execute("PRAGMA data_version").fetchone() != (before,)


def test_what_the_database_does_not_take_is_written_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.probe.prober.WRITE_SECONDS", 0.05)
    scene.look(WELL)
    with closing(sqlite3.connect(scene.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for outcome in (ILL, ILL, WELL, WELL, ILL, ILL):
            scene.look(outcome)
        assert scene.state().state == "down"
        other.execute("ROLLBACK")
    scene.prober.keep()
    assert scene.outages() == [(10, 15, 20, "HTTP 503"), (30, 35, None, "HTTP 503")]


def test_a_clock_that_steps_breaks_nothing(scene: Scene) -> None:
    scene.look(WELL)
    scene.look(ILL)
    scene.now_ms -= 3600 * SECOND
    scene.look(ILL)
    assert scene.state().state == "down"
    scene.now_ms -= 3600 * SECOND
    scene.look(WELL)
    scene.look(WELL)
    scene.now_ms += 90_000 * SECOND
    scene.look(WELL)
    assert scene.state().state == "up"
    ((started, _, ended, _),) = scene.outages()
    assert ended == started == 10
    assert scene.series()["probe_up"] == 1.0


def test_one_that_is_watched_no_more_ends_and_comes_back_without_a_verdict(scene: Scene) -> None:
    for outcome in (WELL, ILL, ILL):
        scene.look(outcome)
    scene.series()
    scene.prober.replace([])
    assert scene.prober.states() == []
    assert scene.prober.collect(scene.now_ms) == [Tick("probe:comfy:http", scene.now_ms, ())]
    scene.pass_by(60)
    scene.prober.keep()
    assert scene.outages() == [(10, 15, 15, "HTTP 503")]
    scene.prober.replace(scene.targets)
    assert scene.state().state == "unknown"
    scene.look(WELL)
    assert scene.state().state == "up"


def test_one_that_is_taken_out_of_the_settings_while_nobody_runs_ends_when_somebody_last_looked(scene: Scene) -> None:
    for outcome in (WELL, ILL, ILL):
        scene.look(outcome)
    scene.targets = []
    scene.die(seconds_away=600)
    scene.prober.keep()
    assert scene.outages() == [(10, 15, 15, "HTTP 503")]
    with scene.database.connect() as connection:
        (row,) = connection.execute(select(*ProbeRow.__table__.columns)).all()
    assert row.state == "unknown"


def test_the_time_before_the_first_verdict_is_kept_as_one_without(scene: Scene) -> None:
    def kept() -> tuple[str, int, int]:
        with scene.database.connect() as connection:
            (row,) = connection.execute(select(*ProbeRow.__table__.columns)).all()
        return row.state, _seconds(row.first_ms), _seconds(row.since_ms)

    scene.look(BLIND)
    assert kept() == ("unknown", 0, 0)
    looked_at, scene.targets = scene.targets, []
    scene.die(seconds_away=600)
    scene.prober.keep()
    assert kept() == ("unknown", 0, 0), "who nobody watches any more had no verdict before, either"
    scene.targets = looked_at
    scene.prober.replace(scene.targets)
    scene.look(WELL)
    assert kept() == ("up", 610, 610)
    for outcome in (BLIND, BLIND, WELL):
        scene.look(outcome)
    assert kept()[:2] == ("up", 610)


def test_settings_that_change_take_effect_and_what_is_known_stays(scene: Scene) -> None:
    scene.look(WELL)
    scene.look(ILL)
    scene.targets = [target(http={"url": "http://127.0.0.1:9/other", "interval": 10, "fails": 3})]
    scene.prober.replace(scene.targets)
    scene.look(ILL)
    assert scene.state().state == "up"
    scene.look(ILL)
    assert scene.state().state == "down"


def test_a_fault_of_the_probe_itself_says_nothing_of_the_target(scene: Scene) -> None:
    def break_down(_: object) -> Outcome:
        raise KeyError("ours")

    scene.prober = Prober(scene.database, lambda: scene.now_ms, looks={"http": break_down})
    scene.prober.replace(scene.targets)
    (found,) = scene.prober.check(scene.targets[0].settings)
    assert (found.state, found.reason) == ("unknown", "the probe itself failed (KeyError); the log has more")


def test_a_single_look_before_anything_is_saved_keeps_nothing(scene: Scene) -> None:
    new = target("new", http={"url": "http://127.0.0.1:9/"}, docker={"container": "x"}, push={"every": "1h"})
    scene.outcome = ILL
    found = scene.prober.check(new.settings)
    assert [(one.probe, one.state, one.reason) for one in found] == [
        ("http", "down", "HTTP 503"),
        ("docker", "down", "HTTP 503"),
    ]
    assert [one.target for one in scene.prober.states()] == ["comfy"]
    assert scene.prober.check(target("quiet", push={"every": "1h"}).settings) == []


def test_threads_look_in_the_interval_and_the_verdict_is_in_time(tmp_path: Path) -> None:
    database = open_database(tmp_path / "wakeless.db")
    outcomes = {"now": WELL}
    prober = Prober(database, lambda: T0, looks={"http": lambda _: outcomes["now"]})
    fast = target().settings.model_copy(
        update={"http": target().settings.http.model_copy(update={"interval": 0.05})}  # type: ignore[union-attr]
    )
    prober.replace([Target(fast)])
    prober.start()
    try:
        eventually(lambda: prober.states()[0].state == "up", what="it is up")
        outcomes["now"] = ILL
        eventually(lambda: prober.states()[0].state == "down", what="it is down")
    finally:
        prober.stop()
        database.dispose()


# --- signs of life ------------------------------------------------------------------------------------------------


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Scene]:
    """A backup that is to call every hour, with five minutes of grace."""
    scene = Scene(tmp_path / "wakeless.db", target("backup", push={"every": "1h", "grace": "5m"}))
    yield scene
    scene.prober.stop()
    scene.database.dispose()


def _sign(scene: Scene, ok: bool = True, message: str = "") -> None:
    assert scene.prober.push("backup", ok, message, scene.now_ms)


def _wait(scene: Scene, minutes: float) -> str:
    scene.pass_by(minutes * 60)
    scene.prober.keep()
    return scene.state("backup", "push").state


def test_a_sign_of_life_is_expected_again_and_again(backup: Scene) -> None:
    assert _wait(backup, 1) == "unknown"
    _sign(backup)
    assert backup.series() == {"probe_up": 1.0, "probe_success": 1.0, "push_last_timestamp_seconds": T0 / 1000 + 60}
    assert _wait(backup, 64) == "up"
    _sign(backup)
    assert _wait(backup, 65) == "up"
    assert _wait(backup, 0.1) == "down"
    assert backup.state("backup", "push").reason == "no sign of life: one is due every 3600 s"
    assert backup.series()["probe_up"] == 0.0
    _sign(backup)
    assert _wait(backup, 0) == "up"
    ((started, _, ended, _),) = backup.outages()
    assert (started, ended) == (130 * 60 + 6, 130 * 60 + 6)


def test_one_that_was_never_heard_of_is_missed_after_its_first_period(backup: Scene) -> None:
    assert _wait(backup, 65) == "unknown"
    assert _wait(backup, 0.1) == "down"
    assert backup.state("backup", "push").reason == "no sign of life yet: one is due every 3600 s"
    assert backup.state("backup", "push").seen_ms == 0


def test_a_sign_of_failure_is_told_at_once_with_what_it_says_but_no_secrets(backup: Scene) -> None:
    _sign(backup)
    _sign(backup, False, "disk\n full, password=hunter22 at /srv/data")
    state = backup.state("backup", "push")
    assert state.state == "down"
    assert state.reason.startswith("it reports a failure: disk full")
    assert "hunter22" not in state.reason
    assert "/srv" not in state.reason
    _sign(backup, message="12 files")
    state = backup.state("backup", "push")
    assert (state.state, dict(state.detail)) == ("up", {"message": "12 files"})


def test_a_sign_is_on_the_disk_when_it_is_answered(backup: Scene) -> None:
    _sign(backup)
    backup.die()
    assert backup.state("backup", "push").state == "up"
    assert backup.series()["probe_up"] == 1.0  # the last sign holds until the next is due
    assert _wait(backup, 64) == "up"
    assert _wait(backup, 2) == "down"


def test_restarts_do_not_put_off_what_is_due(backup: Scene) -> None:
    _sign(backup)
    for _ in range(5):
        assert _wait(backup, 10) == "up"
        backup.die(seconds_away=1)
    assert _wait(backup, 16) == "down"


def test_a_sign_that_may_have_come_while_nobody_was_there_is_not_missing(backup: Scene) -> None:
    _sign(backup)
    assert _wait(backup, 50) == "up"
    backup.die(seconds_away=3600)
    assert _wait(backup, 1) == "up"
    assert _wait(backup, 63) == "up"
    assert _wait(backup, 2) == "down"


@pytest.mark.parametrize("step", [-86_400, 86_400])
def test_a_clock_that_steps_misses_nothing(backup: Scene, step: int) -> None:
    _sign(backup)
    backup.now_ms += step * SECOND
    assert _wait(backup, 64) == "up"
    assert _wait(backup, 2) == "down"


def test_nobody_else_is_expected_to_call(backup: Scene) -> None:
    assert backup.prober.push_names() == ["backup"]
    assert not backup.prober.push("other", True, "", backup.now_ms)
    backup.prober.replace([])
    assert backup.prober.push_names() == ["backup"]  # it may be paused: its caller is no stranger
    assert not backup.prober.push("backup", True, "", backup.now_ms)
