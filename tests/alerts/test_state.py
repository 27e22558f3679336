"""The state machine against a plain reference, under any order of breaches, restarts, clock steps and evaluations."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from alerts.state import GRACE_MS, AlertError, fingerprint, level_of
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
    """What one series' alert should be, told in the plainest way."""

    state: str = "inactive"
    since_ms: int = 0
    gone_ms: int | None = None
    restored: bool = False
    acknowledged: bool = False


class Lives(RuleBasedStateMachine):
    """Two series under one rule with ``for`` and ``keep_firing_for``, on a real database."""

    @initialize(for_steps=st.integers(0, 4), keep_steps=st.integers(0, 3))
    def begin(self, for_steps: int, keep_steps: int) -> None:
        database = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        Base.metadata.create_all(database)
        self.for_ms, self.keep_ms = for_steps * STEP_MS, keep_steps * STEP_MS
        waits = f"for: {for_steps * 5}s, keep_firing_for: {keep_steps * 5}s"
        self.world = World(database, f"groups: [{{name: g, rules: [{{alert: Bad, expr: bad > 0, {waits}}}]}}]")
        self.expected = {"a": Expected(), "b": Expected()}
        self.breached = {"a": False, "b": False}
        self.boot_ms: int | None = None
        self.heard: list[str] = []

    @rule(series=st.sampled_from("ab"), breached=st.booleans())
    def turn(self, series: str, breached: bool) -> None:
        self.breached[series] = breached
        self.world.source.set("bad", float(breached), series=series)

    @rule()
    def evaluate(self) -> None:
        self.world.now_ms += STEP_MS
        now_ms = self.world.now_ms
        self.boot_ms = now_ms if self.boot_ms is None else self.boot_ms
        heard = sorted(f"{happened} {key}" for key in "ab" if (happened := self._expect(key, now_ms)))
        self.world.source.tick(now_ms)
        events = self.world.engine.evaluate(now_ms)
        assert sorted(f"{event.kind} {event.alert.labels['series']}" for event in events) == heard
        self.heard += heard

    def _expect(self, key: str, now_ms: int) -> str | None:
        expected = self.expected[key]
        if self.breached[key]:
            expected.gone_ms, expected.restored = None, False
            if expected.state == "inactive":
                expected.state, expected.since_ms = "pending", now_ms
            if expected.state == "pending" and now_ms - expected.since_ms >= self.for_ms:
                expected.state = "firing"
                return "fired"
            return None
        if expected.restored and now_ms - (self.boot_ms or 0) < max(self.for_ms, GRACE_MS):
            return None
        if expected.state == "firing":
            expected.restored = False
            expected.gone_ms = now_ms if expected.gone_ms is None else expected.gone_ms
            if now_ms - expected.gone_ms < self.keep_ms:
                return None
            self.expected[key] = Expected()
            return "resolved"
        self.expected[key] = Expected()
        return None

    @rule()
    def restart(self) -> None:
        self.world.restart()
        self.boot_ms = None
        for expected in self.expected.values():
            expected.restored, expected.gone_ms = expected.state != "inactive", None

    @precondition(lambda self: any(one.state == "firing" for one in self.expected.values()))
    @rule()
    def acknowledge(self) -> None:
        for alert in self.world.engine.current():
            if alert.is_firing and not self.expected[alert.labels["series"]].acknowledged:
                self.world.engine.acknowledge(alert.id, "ada", "on it", self.world.now_ms)
                self.expected[alert.labels["series"]].acknowledged = True
                return

    @precondition(lambda self: any(one.acknowledged for one in self.expected.values()))
    @rule()
    def acknowledge_twice(self) -> None:
        for alert in self.world.engine.current():
            if alert.state == "acknowledged":
                with pytest.raises(AlertError):
                    self.world.engine.acknowledge(alert.id, "bob", "me too", self.world.now_ms)

    @invariant()
    def the_engine_is_where_the_reference_is(self) -> None:
        if not hasattr(self, "world"):
            return
        states = {
            key: "acknowledged" if expected.acknowledged and expected.state == "firing" else expected.state
            for key, expected in self.expected.items()
            if expected.state != "inactive"
        }
        assert {alert.labels["series"]: alert.state for alert in self.world.engine.current()} == states
        for alert in self.world.engine.current():
            assert alert.active_ms == self.expected[alert.labels["series"]].since_ms
        assert all(alert.id for alert in self.world.engine.current())

    @rule()
    def look_back(self) -> None:
        """What was fired is either firing still or was resolved, and history says the same."""
        history = self.world.engine.history(0, START_MS * 2)
        assert len(history) == sum(one.startswith("fired") for one in self.heard)
        assert sum(alert.state == "resolved" for alert in history) == sum(
            one.startswith("resolved") for one in self.heard
        )

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.database.dispose()


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
