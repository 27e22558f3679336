"""The tick as a story: collect → store → evaluate → act → dispatch → publish, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from chronicle import Chronicle
from collectors.sample import Sample, Tick, make_labels
from dashboard.services import Services
from storage.engine import hurried

log = structlog.get_logger(__name__)

#: How long a stage of a tick waits for a lock that another program or thread holds on the database.
PATIENCE_SECONDS = 0.1


def now_ms() -> int:
    """The wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def clock_offset_ms() -> int:
    """The wall clock less one that nobody sets, in milliseconds: it changes when the clock is set."""
    return (time.time_ns() - time.monotonic_ns()) // 1_000_000


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
    chronicle: Chronicle
    clock: Callable[[], int] = now_ms
    _opening: deque[tuple[str, Callable[[int], None]]] = field(default_factory=deque)
    last_tick_ms: int | None = None  # of the process before this one, once its history has been taken up
    _ended: float = field(default_factory=time.monotonic)
    _evaluated_ms: int = 0
    _failing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        rooms = self.services
        self._opening.append(("load", self._load))
        self._opening.append(("load_alerts", lambda now: rooms.alerts.load()))
        self._opening.append(("open_chronicle", self._open_chronicle))

    def beat(self) -> None:
        """One tick. It waits for no lock of the database for long: ticks need none, and what does is tried again."""
        with hurried(PATIENCE_SECONDS):
            self._beat(self.clock())
        self._ended = time.monotonic()

    def _beat(self, now: int) -> None:
        rooms = self.services
        ticks: list[Tick] = []
        self._stage("collect", lambda: ticks.extend(rooms.collection.collect(now)))
        self._stage("watch", lambda: ticks.extend(rooms.targets.collect(now)))
        while self._opening and self._stage(self._opening[0][0], lambda: self._opening[0][1](now)):
            self._opening.popleft()
        missing = {name for name, _ in self._opening}
        if "load" not in missing:
            self._stage("store", lambda: rooms.store.append(ticks))
            self._stage("record", rooms.requests.flush)
        if "load_alerts" not in missing and self._evaluation_due(now):
            self._stage("evaluate", lambda: rooms.alerting.evaluate(now))
        if not missing:
            self._stage("chronicle", lambda: self.chronicle.follow(now))
            self._stage("act", lambda: rooms.alerting.act(now))
            self._stage("remedy", lambda: rooms.targets.act(now))
            self._stage("join", lambda: rooms.alerting.join(now))
            self._stage("dispatch", lambda: rooms.alerting.dispatch(now))
        self._stage("publish", lambda: rooms.hub.publish(now))

    def age_seconds(self) -> float:
        """Seconds since the last tick ended, or since the start while there was none."""
        return time.monotonic() - self._ended

    def _load(self, now: int) -> None:
        """Take up where the last process stopped; what the database does not let is tried again with the next tick."""
        self.services.store.load()
        self.last_tick_ms = self.services.store.last_tick_ms()
        # All series have ended there: what others sent before is no use to a store whose times ascend.
        self.services.targets.inbox.floor_ms = -1 if self.last_tick_ms is None else self.last_tick_ms + 1

    def _open_chronicle(self, now: int) -> None:
        self.chronicle.open(self.last_tick_ms, now)

    def _evaluation_due(self, now: int) -> bool:
        interval_ms = self.services.settings.alerts.evaluation_interval_seconds * 1000
        # A tick comes a few milliseconds early or late; half of one decides. A clock set back is no reason to wait.
        slack_ms = self.services.settings.collectors.interval_seconds * 500
        if 0 <= now - self._evaluated_ms < interval_ms - slack_ms:
            return False
        self._evaluated_ms = now
        return True

    def _stage(self, name: str, work: Callable[[], object]) -> bool:
        """Do one stage's work; whether it succeeded."""
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
        return name not in self._failing
