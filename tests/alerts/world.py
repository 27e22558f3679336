"""Series in memory whose time is driven by hand, and one server's alerting over several lives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from alerts.engine import AlertEngine
from alerts.rule import Group, parse_rules
from alerts.state import Alert, AlertEvent, Flapping
from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Sample, Series
from promql import Engine

START_MS = 1_700_000_000_000


class MemorySource:
    """Series in memory: what ``set`` says holds from then on, sampled whenever ``tick`` is called."""

    def __init__(self) -> None:
        self._now: dict[Labels, float] = {}
        self._history: dict[Labels, list[tuple[int, float]]] = {}
        self.broken = False

    def set(self, name: str, value: float | None, **labels: str) -> None:
        key = tuple(sorted({METRIC_NAME: name, **labels}.items()))
        if value is None:
            self._now.pop(key, None)
        else:
            self._now[key] = value

    def forget(self) -> None:
        """What was recorded is gone: a clock that is set back comes upon none of it again."""
        self._history = {}

    def tick(self, now_ms: int) -> None:
        for key, value in self._now.items():
            self._history.setdefault(key, []).append((now_ms, value))

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Sequence[Series]:
        if self.broken:
            raise OSError("the disk is gone")
        assert all(matcher.op == "=" for matcher in matchers), "this source knows equality only"
        found = []
        first_ms = hints.start_ms - hints.range_ms + 1
        for key, samples in self._history.items():
            if all(dict(key).get(matcher.name, "") == matcher.value for matcher in matchers):
                # Sorted, because a test may set the clock back.
                inside = sorted({time: value for time, value in samples if first_ms <= time <= hints.end_ms}.items())
                times = np.array([time for time, _ in inside], dtype=np.int64)
                found.append(Series(key, times, np.array([value for _, value in inside], dtype=np.float64)))
        return found


class World:
    """One server's alerting over its lives: the same database and series, a new engine after each ``restart``."""

    def __init__(
        self, database: Database, text: str, flapping: Flapping | None = None, interval_seconds: float = 0.0
    ) -> None:
        self.database = database
        self.flapping = flapping
        self.interval_seconds = interval_seconds
        self.clock_offset_ms = 0
        self.source = MemorySource()
        self.now_ms = START_MS
        self.events: list[AlertEvent] = []
        self.recorded: list[tuple[int, str, list[Sample]]] = []
        self.groups = rules(text)
        self.engine = self._boot()

    def _boot(self) -> AlertEngine:
        engine = AlertEngine(
            self.database,
            Engine(self.source, lookback_ms=4_000),
            self.groups,
            outbox=self,
            record=lambda now_ms, source, samples: self.recorded.append((now_ms, source, samples)),
            flapping=self.flapping,
            interval_seconds=self.interval_seconds,
            clock_offset_ms=lambda: self.clock_offset_ms,
        )
        engine.load()
        return engine

    def write(self, connection: Connection, event: AlertEvent) -> None:
        """Hear of an event, as the outbox does."""
        self.events.append(event)

    def restart(self, text: str | None = None) -> None:
        self.groups = self.groups if text is None else rules(text)
        self.engine = self._boot()

    def reload(self, text: str) -> None:
        """Put these rules in the place of the others while the engine runs."""
        self.groups = rules(text)
        self.engine.replace(self.groups, self.now_ms)

    def set_clock(self, seconds: float) -> None:
        """Somebody sets the clock, forwards or back."""
        self.now_ms += round(seconds * 1000)
        self.clock_offset_ms += round(seconds * 1000)

    def run(self, seconds: float = 0, step: float = 5) -> list[str]:
        """Let time pass, evaluating at every step; returns ``kind rule`` for what happened."""
        happened = []
        end_ms = self.now_ms + round(seconds * 1000)
        while True:
            self.source.tick(self.now_ms)
            happened += [f"{event.kind} {event.alert.rule}" for event in self.engine.evaluate(self.now_ms)]
            if self.now_ms >= end_ms:
                return happened
            self.now_ms += round(step * 1000)

    def states(self) -> dict[str, str]:
        """Each current alert's rule and state."""
        return {alert.rule: alert.state for alert in self.engine.current()}

    def only(self) -> Alert:
        (alert,) = self.engine.current()
        return alert


def rules(text: str) -> list[Group]:
    groups, problems = parse_rules(text, "test.yml")
    assert not problems, problems
    return groups
