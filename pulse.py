"""The tick as a story: collect → store → evaluate → publish, once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from collectors.sample import Sample, Tick, make_labels
from dashboard.services import Services

log = structlog.get_logger(__name__)


def now_ms() -> int:
    """The wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class StageCollector:
    """What each stage of the last tick took: ``wakeless_tick_duration_seconds{source}``."""

    name = "tick"

    def __init__(self, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.seconds: dict[str, float] = {}

    def collect(self) -> Iterable[Sample]:
        """The durations as they stand; nothing before the first tick."""
        return [
            Sample("wakeless_tick_duration_seconds", make_labels(source=stage), seconds)
            for stage, seconds in self.seconds.items()
        ]


@dataclass
class Pulse:
    """Runs the stages of a tick. One that fails is logged once and tried again at the next tick; the others go on."""

    services: Services
    stages: StageCollector
    clock: Callable[[], int] = now_ms
    #: The incident that this process began with, until the model can answer again.
    outage: int | None = None
    _evaluated_ms: int = 0
    _failing: set[str] = field(default_factory=set)

    def beat(self) -> None:
        """One tick."""
        now, rooms = self.clock(), self.services
        ticks: list[Tick] = []
        self._stage("collect", lambda: ticks.extend(rooms.collection.collect(now)))
        self._stage("store", lambda: rooms.store.append(ticks))
        self._stage("record", rooms.requests.flush)
        if self._evaluation_due(now):
            self._stage("evaluate", lambda: rooms.alerts.evaluate(now))
        if self.outage is not None:
            self._stage("incident", lambda: self._end_outage(now))
        self._stage("publish", lambda: rooms.hub.publish(now))

    def _evaluation_due(self, now: int) -> bool:
        interval_ms = self.services.settings.alerts.evaluation_interval_seconds * 1000
        # A tick comes a few milliseconds early or late; half of one decides. A clock set back is no reason to wait.
        slack_ms = self.services.settings.collectors.interval_seconds * 500
        if 0 <= now - self._evaluated_ms < interval_ms - slack_ms:
            return False
        self._evaluated_ms = now
        return True

    def _end_outage(self, now: int) -> None:
        """The outage is over once the model answers again, or cannot be expected to."""
        if self.outage is not None and self.services.model.status().state not in ("loading", "reloading"):
            self.services.incidents.close(self.outage, now)
            self.outage = None

    def _stage(self, name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        try:
            work()
        except Exception as error:  # the edge of a job: one stage must not end the tick
            if name not in self._failing:
                log.error("tick_stage_failed", stage=name, error=str(error), exc_info=True)
            self._failing.add(name)
        else:
            if name in self._failing:
                log.info("tick_stage_recovered", stage=name)
            self._failing.discard(name)
        self.stages.seconds[name] = time.perf_counter() - start
