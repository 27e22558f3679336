"""The state machine against a plain reference, under any order of breaches, restarts, clock steps and evaluations."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from alerts.state import GRACE_MS, AlertError, AlertEvent, fingerprint, level_of
from storage.tables import Base
from tests.alerts.world import START_MS, World

STEP_MS = 5_000


@pytest.mark.parametrize(
    ("labels", "hex_"),
    [
        ((), "cbf29ce484222325"),
        # From Prometheus' own tests of LabelsToSignature.
        ((("fear", "love is not enough"), ("name", "garland, briggs")), f"{5799056148416392346:016x}"),
    ],
)
def test_fingerprints_are_those_of_alertmanager(labels: tuple[tuple[str, str], ...], hex_: str) -> None:
    assert fingerprint(labels) == hex_


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ({"level": "1", "severity": "critical"}, 1),
        ({"severity": "critical"}, 3),
        ({"severity": "info"}, 1),
        ({"severity": "odd"}, 2),
        ({"level": "9"}, 2),
        ({}, 2),
    ],
)
def test_a_level_comes_from_its_label_or_from_the_severity(labels: dict[str, str], level: int) -> None:
    assert level_of(labels) == level


@dataclass
class Expected:
    """What one series' alert should be, told in the plainest way; in time that no clock step touches."""

    state: str = "inactive"
    since_ms: int = 0
    row: int = 0
    gone_ms: int | None = None
    restored: bool = False
    acknowledged: bool = False
    lacking: bool = False


OTHER = "{alert: Other, expr: vector(1) > 2}"


class Lives(RuleBasedStateMachine):
    """Two series under one rule with all that a rule can say about its patience, on a real database.

    A series' value is above the threshold (2), between it and the one for recovery (1), below both (0), or missing.
    """

    @initialize(
        for_steps=st.integers(0, 4),
        keep_steps=st.integers(0, 3),
        row=st.integers(1, 4),
        hold=st.booleans(),
        no_data=st.sampled_from(["resolve", "keep"]),
    )
    def begin(self, for_steps: int, keep_steps: int, row: int, hold: bool, no_data: str) -> None:
        database = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        Base.metadata.create_all(database)
        self.for_ms, self.keep_ms, self.row = for_steps * STEP_MS, keep_steps * STEP_MS, row
        self.hold, self.no_data = hold, no_data
        words = f"wakeless_in_a_row: '{row}', wakeless_no_data: {no_data}"
        words += ", wakeless_hold: bad > 0.5" if hold else ""
        waits = f"for: {for_steps * 5}s, keep_firing_for: {keep_steps * 5}s, annotations: {{{words}}}"
        self.bad = f"{{alert: Bad, expr: bad > 1.5, {waits}}}"
        self.world = World(database, self._file(self.bad))
        self.expected = {"a": Expected(), "b": Expected()}
        self.value: dict[str, float | None] = {"a": None, "b": None}
        self.true_ms = 0  # time that passes, whatever the clock says
        self.boot_ms: int | None = None
        self.removed = False
        self.unseen_step = False
        self.heard: list[str] = []

    def _file(self, *rules: str) -> str:
        return f"groups: [{{name: g, rules: [{', '.join(rules)}]}}]"

    @rule(names=st.sampled_from(["a", "b", "ab"]), value=st.sampled_from([2.0, 2.0, 2.0, 1.0, 0.0, None]))
    def turn(self, names: str, value: float | None) -> None:
        for series in names:
            self.value[series] = value
            self.world.source.set("bad", value, series=series)

    @rule(times=st.integers(1, 4))
    def go_on(self, times: int) -> None:
        self.evaluate(times)

    @rule(times=st.integers(1, 2))
    def evaluate(self, times: int) -> None:
        for _ in range(times):
            self.world.now_ms += STEP_MS
            self.true_ms += STEP_MS
            self.boot_ms = self.true_ms if self.boot_ms is None else self.boot_ms
            heard = sorted(f"{happened} {key}" for key in "ab" if (happened := self._expect(key, self.true_ms)))
            self.world.source.tick(self.world.now_ms)
            events = self.world.engine.evaluate(self.world.now_ms)
            assert sorted(f"{_told(event)} {event.alert.labels['series']}" for event in events) == heard
            self.heard += heard
            self.unseen_step = False

    def _expect(self, key: str, now_ms: int) -> str | None:
        expected, value = self.expected[key], self.value[key]
        if self.removed:
            return self._end(key, "rule_removed")
        if value == 2.0 or (value == 1.0 and self.hold and expected.state == "firing"):
            expected.gone_ms, expected.restored, expected.lacking = None, False, False
            if expected.state == "inactive":
                expected.state, expected.since_ms, expected.row = "pending", now_ms, 0
            expected.row += 1
            waited = now_ms - expected.since_ms >= self.for_ms and expected.row >= self.row
            if expected.state == "pending" and waited:
                expected.state = "firing"
                return "fired"
            return None
        nothing = self.value["a"] is None and self.value["b"] is None
        if nothing and self.no_data == "keep" and expected.state == "firing":
            expected.lacking = True
            return None
        if expected.restored and now_ms - (self.boot_ms or 0) < max(self.for_ms, GRACE_MS):
            return None
        if expected.state == "firing":
            expected.restored = expected.lacking = False
            expected.gone_ms = now_ms if expected.gone_ms is None else expected.gone_ms
            if now_ms - expected.gone_ms < self.keep_ms:
                return None
        return self._end(key, "no_data" if nothing else "recovered")

    def _end(self, key: str, why: str) -> str | None:
        was, self.expected[key] = self.expected[key].state, Expected()
        return f"resolved {why}" if was == "firing" else None

    @precondition(lambda self: not self.unseen_step)
    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.boot_ms = None
        for expected in self.expected.values():
            expected.restored, expected.gone_ms = expected.state != "inactive", None

    @rule(seconds=st.one_of(st.integers(-4000, 4000), st.sampled_from([-1, 1, -61, 61, -86_400, 86_400])))
    def set_clock(self, seconds: int) -> None:
        self.world.set_clock(seconds)
        self.world.source.forget()
        self.unseen_step = True

    @rule(place=st.sampled_from([0, 1, 1, None]), spelling=st.sampled_from(["bad > 1.5", "bad > 1.50", "1.5 < bad"]))
    def reload(self, place: int | None, spelling: str) -> None:
        """The rule is there (again), perhaps in another place and in other words, or it is gone."""
        rules = [OTHER]
        if place is not None:
            rules.insert(place, self.bad.replace("bad > 1.5", spelling))
        self.world.reload(self._file(*rules))
        self.removed = place is None

    @precondition(lambda self: any(one.state == "firing" for one in self.expected.values()) and not self._is_orphan())
    @rule()
    def acknowledge(self) -> None:
        """Once works, twice does not."""
        for alert in self.world.engine.current():
            expected = self.expected[alert.labels["series"]]
            if alert.is_firing and expected.acknowledged:
                with pytest.raises(AlertError):
                    self.world.engine.acknowledge(alert.id, "bob", "me too", self.world.now_ms)
            elif alert.is_firing:
                self.world.engine.acknowledge(alert.id, "ada", "on it", self.world.now_ms)
                expected.acknowledged = True

    def _is_orphan(self) -> bool:
        """After a restart without its rule, nobody owns an alert any more until its end is written."""
        return self.removed and self.boot_ms is None

    @invariant()
    def the_engine_is_where_the_reference_is(self) -> None:
        if not hasattr(self, "world"):
            return
        states = {
            key: "acknowledged" if expected.acknowledged and expected.state == "firing" else expected.state
            for key, expected in self.expected.items()
            if expected.state != "inactive"
        }
        current = self.world.engine.current()
        assert {alert.labels["series"]: alert.state for alert in current} == states
        assert len(current) == len(states), "one open alert for each identity"
        for alert in current:
            expected = self.expected[alert.labels["series"]]
            assert alert.id
            assert (alert.no_data_ms is not None) == expected.lacking
            if alert.state == "pending" and not self.unseen_step:
                assert self.world.now_ms - alert.active_ms == self.true_ms - expected.since_ms

    @invariant()
    def the_database_has_the_same_open_alerts(self) -> None:
        if not hasattr(self, "world"):
            return
        with self.world.database.connect() as connection:
            found = connection.exec_driver_sql("SELECT id FROM alerts WHERE state != 'resolved' ORDER BY id").fetchall()
        assert [row.id for row in found] == sorted(alert.id for alert in self.world.engine.current())

    def look_back(self) -> None:
        """What was fired is either firing still or was resolved, and history says the same, and why."""
        history = self.world.engine.history(-(10**12), START_MS * 2)
        assert len(history) == sum(one.startswith("fired") for one in self.heard)
        ended = sorted(one.split()[1] for one in self.heard if one.startswith("resolved"))
        assert sorted(alert.ended_by or "" for alert in history if alert.state == "resolved") == ended

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.look_back()
            self.world.database.dispose()


def _told(event: AlertEvent) -> str:
    return f"{event.kind} {event.alert.ended_by}" if event.kind == "resolved" else event.kind


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


class LongLives(Lives):
    """The same for much longer: what a week of evenings might come upon."""


LongLives.TestCase.settings = settings(max_examples=600, stateful_step_count=80, deadline=None)
TestLongLives = pytest.mark.timeout(3600)(pytest.mark.long(LongLives.TestCase))
