"""The server process as a whole, in this process: wiring, the tick, starts and stops. Time is driven by hand."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.sample import Sample, Tick
from config import Settings
from dashboard.event import events_between
from ledger import Exit, ExitReason, Ledger
from model.remedy import Remedy
from pulse import now_ms
from server import APPLICATION, DAY_MS, DOUBT_SECONDS, Application, _secret_key
from storage.error import StorageError


def settings_in(folder: Path, **changes: Any) -> Settings:
    base = {
        "data_dir": folder,
        "model": {"enabled": False},
        "log": {"file": False},
        "collectors": {"simulated_gpus": 1},
    }
    return Settings.model_validate({**base, **changes})


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    made = Application(settings_in(tmp_path, alerts={"evaluation_interval_seconds": 5}))
    yield made
    made.close()


def test_a_tick_collects_stores_and_is_seen_by_a_query(application: Application) -> None:
    clock = iter(range(10_000, 100_000, 1000))
    application.pulse.clock = lambda: next(clock)
    for _ in range(3):
        application.pulse.beat()
    found = application.services.query.instant("count(gpu_utilization_ratio{simulated='true'})", 12_000)
    assert found.values.tolist() == [1.0]  # type: ignore[union-attr]
    assert application.services.store.last_tick_ms() == 12_000


def test_a_stage_that_fails_is_told_once_and_does_not_end_the_tick(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[int] = []
    monkeypatch.setattr(application.services.hub, "publish", published.append)

    def full(ticks: object) -> None:
        raise StorageError("the disk is full", permanent=False)

    monkeypatch.setattr(application.services.store, "append", full)
    clock = iter((1000, 2000))
    application.pulse.clock = lambda: next(clock)
    application.pulse.beat()
    application.pulse.beat()
    assert published == [1000, 2000]
    assert set(application.pulse.stages.seconds) >= {"collect", "store", "publish"}


def test_rules_are_evaluated_on_their_interval_and_at_once_after_the_clock_was_set_back(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[int] = []
    monkeypatch.setattr(application.services.alerts, "evaluate", evaluated.append)
    moments = iter((100_000, 101_000, 104_990, 106_000, 50_000, 51_000))
    application.pulse.clock = lambda: next(moments)
    for _ in range(6):
        application.pulse.beat()
    assert evaluated == [100_000, 104_990, 50_000]


def beat_at(made: Application, now_ms: int) -> None:
    """One tick at a moment of the test's choice."""
    made.pulse.clock = lambda: now_ms
    made.pulse.beat()


def crash(folder: Path, ended_ms: int = 2000) -> None:
    """Let the ledger tell of a segfault."""
    Ledger(folder).append(Exit("segfault", "the program crashed", 1, ended_ms, pid=7, signal="SIGSEGV"))


def test_the_first_start_is_no_incident(application: Application) -> None:
    beat_at(application, 5000)
    assert application.services.incidents.recent(10) == []


def test_a_start_after_a_crash_opens_an_incident_that_ends_when_the_model_can_answer(tmp_path: Path) -> None:
    crash(tmp_path)
    made = Application(settings_in(tmp_path))
    beat_at(made, 9000)
    (incident,) = made.services.incidents.recent(10)
    assert (incident.kind, incident.cause) == ("process", "segfault")
    assert (incident.started_ms, incident.ended_ms) == (2000, 9000)
    made.close()


@pytest.mark.parametrize(("reason", "kind"), [("segfault", "process"), ("stop", "planned")])
def test_each_end_of_a_process_is_an_incident_also_when_the_model_was_still_loading(
    tmp_path: Path, reason: ExitReason, kind: str
) -> None:
    for ended_ms in (2000, 4000):
        Ledger(tmp_path).append(Exit(reason, "it ended", 1, ended_ms, pid=7))
        made = Application(settings_in(tmp_path))
        loading = replace(made.services.model.status(), state="loading")
        made.pulse.chronicle._model = lambda status=loading: status  # type: ignore[misc]
        beat_at(made, ended_ms + 1000)
        made.close()
    made = Application(settings_in(tmp_path))
    Ledger(tmp_path).append(Exit(reason, "it ended", 1, 6000, pid=7))
    beat_at(made, 9000)
    found = [(each.kind, each.started_ms, each.ended_ms) for each in made.services.incidents.recent(10)]
    assert found == [(kind, 6000, 9000), (kind, 4000, 6000), (kind, 2000, 4000)]
    made.close()


def test_a_model_that_cannot_serve_is_an_incident_until_it_can(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = application.services.model.status()
    now = {"status": replace(status, state="failed", reason="load_failed: no weights", since_ms=1500)}
    monkeypatch.setattr(application.pulse.chronicle, "_model", lambda: now["status"])
    beat_at(application, 2000)
    (incident,) = application.services.incidents.unfinished()
    assert (incident.kind, incident.cause, incident.started_ms) == ("model", "load_failed", 1500)
    assert "no weights" in incident.summary
    now["status"] = replace(status, state="ready", reason=None)
    beat_at(application, 8000)
    assert application.services.incidents.recent(1)[0].ended_ms == 8000


def test_an_open_breaker_is_an_incident_until_it_closes(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = replace(application.services.model.status(), state="ready", reason=None)
    shut = replace(status, breaker="open", breaker_reason="breaker_open: 62% of 50 requests failed")
    now = {"status": shut}
    monkeypatch.setattr(application.pulse.chronicle, "_model", lambda: now["status"])
    beat_at(application, 2000)
    (incident,) = application.services.incidents.unfinished()
    assert (incident.kind, incident.cause, incident.started_ms) == ("model", "breaker_open", 2000)
    assert incident.summary == "the model cannot serve: 62% of 50 requests failed"
    now["status"] = replace(shut, breaker="half_open", breaker_reason="breaker_half_open: 1 of 3 probes passed")
    beat_at(application, 5000)
    assert application.services.incidents.unfinished() == [incident]
    now["status"] = status
    beat_at(application, 8000)
    assert application.services.incidents.recent(1)[0].ended_ms == 8000


def test_what_was_done_about_the_model_is_recorded_once_with_whether_it_helped(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Remedy(1, "breaker_open", "breaker_open: 62% of 50 requests failed", 1500, state="watching")
    done = replace(running, state="done", reload_seconds=2.0, seconds=4.5, helped=True, outcome="the breaker closed")
    known = [running]
    monkeypatch.setattr(application.pulse.chronicle, "_remedies", lambda: known)
    beat_at(application, 2000)
    assert application.services.incidents.recent(10) == []
    known[:] = [done]
    beat_at(application, 7000)
    beat_at(application, 8000)
    (incident,) = application.services.incidents.recent(10)
    assert (incident.kind, incident.cause, incident.started_ms, incident.ended_ms) == (
        "remedy", "breaker_open", 1500, 6000,
    )  # fmt: skip
    assert "that helped: the breaker closed" in incident.summary
    assert incident.detail["helped"] is True
    (event,) = events_between(application.services, 0, 10_000)
    assert (event.level, event.title) == ("info", "breaker_open")


def test_a_database_that_cannot_be_written_at_the_start_is_tried_again_and_loses_nothing_else(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = application.services.store.load
    full = [True]

    def reluctant() -> None:
        if full:
            raise StorageError("the disk is full", permanent=False)
        load()

    monkeypatch.setattr(application.services.store, "load", reluctant)
    published: list[int] = []
    monkeypatch.setattr(application.services.hub, "publish", published.append)
    beat_at(application, 1000)
    assert application.services.collection.latest()
    full.clear()
    beat_at(application, 2000)
    assert published == [1000, 2000]
    assert application.services.store.last_tick_ms() == 2000


def test_safe_mode_leaves_the_model_out_and_says_why(tmp_path: Path) -> None:
    made = Application(settings_in(tmp_path, model={"enabled": True}), safe_mode=True)
    beat_at(made, 1000)
    status = made.services.model.status()
    assert status.state == "disabled"
    assert str(status.reason).startswith("safe_mode")
    (incident,) = made.services.incidents.unfinished()
    assert (incident.kind, incident.cause) == ("model", "safe_mode")
    made.close()


def test_without_a_supervisor_a_restart_is_refused_instead_of_ending_everything(application: Application) -> None:
    with pytest.raises(RuntimeError, match="supervisor"):
        application.services.restart_process("anna", "why not")


def test_the_first_start_makes_admin_and_says_so_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Application(settings_in(tmp_path))
    made.greet(("127.0.0.1", 8000), first_process=True)
    words = capfd.readouterr().err
    password = words.split("password ")[1].split()[0]
    assert made.services.accounts.authenticate("admin", password) is not None
    assert "http://127.0.0.1:8000/login/link/" in words
    made.greet(("::", 8000), first_process=True)
    again = capfd.readouterr().err
    assert "http://[::1]:8000" in again
    assert "password" not in again
    made.close()


def test_a_password_that_was_given_is_not_repeated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Application(settings_in(tmp_path, admin_password="correct horse battery"))
    made.greet(("127.0.0.1", 8000), first_process=True)
    assert "correct horse" not in capfd.readouterr().err
    assert made.services.accounts.authenticate("admin", "correct horse battery") is not None
    made.close()


def test_the_secret_key_is_kept_private_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    key = _secret_key(path)
    assert len(key) == 32
    assert _secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"")  # what a power cut leaves
    assert len(_secret_key(path)) == 32


def test_history_is_kept_by_the_hour_before_it_expires(tmp_path: Path) -> None:
    made = Application(settings_in(tmp_path, storage={"coarse_seconds": 3600, "retention_days": 1}))
    store = made.services.store
    midnight = now_ms() // DAY_MS * DAY_MS
    store.load()
    for hour in range(24):
        store.append([Tick("test", midnight - 3 * DAY_MS + hour * 3_600_000 + 1, (Sample("old", (), float(hour)),))])
    store.seal(everything=True)
    made._expire()
    assert store.select([], 0, midnight - DAY_MS) == []
    found = made.services.query.instant("max_over_time(old[6h])", midnight - 2 * DAY_MS - 6 * 3_600_000)
    assert found.values.tolist() == [17.0]  # type: ignore[union-attr]
    made.close()


def test_a_clock_that_is_years_ahead_deletes_nothing_on_its_first_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Application(settings_in(tmp_path))
    first.pulse.beat()
    first.close()
    year_ms = 365 * DAY_MS
    monkeypatch.setattr("server.now_ms", lambda: now_ms() + year_ms)
    made = Application(settings_in(tmp_path))
    made.pulse.clock = lambda: now_ms() + year_ms
    made.pulse.beat()
    made._expire()
    assert made.services.store.select([], 0, now_ms() + 1000) != []
    made._began -= DOUBT_SECONDS  # a day later it is believed
    made._expire()
    assert made.services.store.select([], 0, now_ms() + 1000) == []
    made.close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    made = Application(settings_in(tmp_path))
    assert made.flask.extensions[APPLICATION] is made
    made.start()
    made.drain()
    made.close()
    made.close()
    assert os.path.exists(tmp_path / "wakeless.db")
