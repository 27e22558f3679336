"""The first scene's rule file, unchanged, over the real store and query engine: each rule fires and resolves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from alerts.check import check_rules
from alerts.engine import AlertEngine
from alerts.rule import load_rules
from collectors.sample import Sample, Tick, make_labels
from promql import Engine
from storage.series import SeriesStore
from tests.alerts.world import START_MS

RULE_FILE = Path(__file__).parents[2] / "examples" / "s1" / "alert_rules.yml"
GIB = 1024**3
STEP_SECONDS = 10


class Scene:
    """A photo service whose condition is turned by hand; every 10 s a tick is stored and the rules are evaluated."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.now_ms = START_MS
        self.up = 1.0
        self.allocated = 4.0 * GIB
        self.per_step = {"success": 5.0, "failed": 0.0}  # requests in each step, by status
        self.seconds = 3.0  # how long each takes
        self._totals = {"success": 0.0, "failed": 0.0}
        self._buckets = {"30.0": 0.0, "60.0": 0.0, "120.0": 0.0, "+Inf": 0.0}
        self.fired: dict[str, int] = {}
        self.boot()

    def boot(self) -> None:
        self._store = SeriesStore(self._database, head_minutes=60)
        self._store.load()
        self.engine = AlertEngine(self._database, Engine(self._store), load_rules(RULE_FILE))
        self.engine.load()

    def run(self, seconds: int) -> list[str]:
        """Let time pass; returns what happened."""
        happened = []
        for _ in range(seconds // STEP_SECONDS):
            self.now_ms += STEP_SECONDS * 1000
            self._store.append([Tick("service", self.now_ms, tuple(self._samples()))])
            happened += [f"{event.kind} {event.alert.rule}" for event in self.engine.evaluate(self.now_ms)]
        return happened

    def states(self) -> dict[str, str]:
        return {alert.rule: alert.state for alert in self.engine.current()}

    def _samples(self) -> Iterator[Sample]:
        yield Sample("up", make_labels(job="ai-service"), self.up)
        yield Sample("up", make_labels(job="another"), 0.0)
        yield Sample("gpu_memory_allocated_bytes", make_labels(gpu="0"), self.allocated)
        for status, count in self.per_step.items():
            self._totals[status] += count
            yield Sample("image_generation_total", make_labels(status=status), self._totals[status])
        for bound in self._buckets:
            if self.seconds <= float(bound):
                self._buckets[bound] += sum(self.per_step.values())
            yield Sample("image_generation_latency_seconds_bucket", make_labels(le=bound), self._buckets[bound])


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def go_down(scene: Scene) -> None:
    scene.up = 0.0


def fill_memory(scene: Scene) -> None:
    scene.allocated = 23.0 * GIB


def fail_some(scene: Scene) -> None:
    scene.per_step = {"success": 4.0, "failed": 1.0}


def slow_down(scene: Scene) -> None:
    scene.seconds = 90.0


def recover(scene: Scene) -> None:
    scene.up, scene.allocated, scene.seconds = 1.0, 4.0 * GIB, 3.0
    scene.per_step = {"success": 5.0, "failed": 0.0}


CASES = pytest.mark.parametrize(
    ("rule", "trouble", "for_seconds", "recovery_seconds"),
    [
        ("ServiceDown", go_down, 60, 10),
        ("GPUMemoryHigh", fill_memory, 300, 10),
        # Rates and quantiles look back 5 minutes: so long does the trouble stay in their window.
        ("HighFailureRate", fail_some, 300, 310),
        ("HighLatency", slow_down, 300, 310),
    ],
)


@CASES
def test_each_rule_is_pending_then_fires_and_resolves(
    scene: Scene, rule: str, trouble: Callable[[Scene], None], for_seconds: int, recovery_seconds: int
) -> None:
    assert scene.run(600) == []
    assert scene.states() == {}, "a healthy service is quiet"
    trouble(scene)
    assert scene.run(30) == []
    assert scene.states() == {rule: "pending"}
    assert scene.run(for_seconds - 30) == []
    assert scene.states() == {rule: "pending"}
    assert scene.run(30) == [f"fired {rule}"]
    assert scene.run(120) == []
    recover(scene)
    assert scene.run(recovery_seconds) == [f"resolved {rule}"]
    assert scene.run(600) == []
    assert scene.states() == {}


@CASES
def test_each_rule_keeps_its_state_over_a_restart(
    scene: Scene, rule: str, trouble: Callable[[Scene], None], for_seconds: int, recovery_seconds: int
) -> None:
    scene.run(600)
    trouble(scene)
    scene.run(for_seconds - 20)
    scene.boot()
    assert scene.states() == {rule: "pending"}
    assert scene.run(40) == [f"fired {rule}"]
    (before,) = scene.engine.current()
    scene.boot()
    assert scene.run(300) == []
    (after,) = scene.engine.current()
    assert (after.id, after.firing_ms, after.active_ms) == (before.id, before.firing_ms, before.active_ms)
    recover(scene)
    # The restarted engine lets a rule's ``for`` pass before it believes that an alert is gone; that is over by now.
    assert scene.run(recovery_seconds) == [f"resolved {rule}"]


def test_their_words_are_those_of_the_file(scene: Scene) -> None:
    scene.up = 0.0
    scene.run(120)
    (alert,) = scene.engine.current()
    assert (alert.summary, alert.description) == ("AI 服务宕机", "服务已经宕机超过 1 分钟")
    assert alert.labels == {"alertname": "ServiceDown", "job": "ai-service", "severity": "critical"}
    assert alert.level == 3


def test_one_failure_among_a_thousand_fires_the_rule_as_written_and_the_check_warns_of_it(scene: Scene) -> None:
    """The file divides failed by failed: that is its author's rule and is run as it is."""
    scene.per_step = {"success": 1000.0, "failed": 1.0}
    assert "fired HighFailureRate" in scene.run(700)
    (warning,) = check_rules(RULE_FILE)
    assert warning.level == "warning"
    assert '"HighFailureRate"' in warning.where
    assert 'status="failed"' in warning.message
