"""A week of outages, flapping and maintenance on one server: how many notices does a person get?

``python -m bench.week`` plays made-up conditions, drawn from a seed, through the alert engine and the dispatcher with
the default routing and one channel, on simulated time. Counted are a notice for each change of each alert, as many a
monitor sends, and what is left after grouping and inhibition, flap detection, and maintenance windows.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import structlog
from pydantic import SecretStr
from sqlalchemy import Connection

from alerts.book import AlertBook
from alerts.delivery.message import Message
from alerts.delivery.spec import ChannelSpec
from alerts.engine import AlertEngine
from alerts.routing.calendar import TimeInterval
from alerts.routing.default import default_routing
from alerts.routing.dispatcher import Dispatcher
from alerts.rule import parse_rules
from alerts.state import Flapping
from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Series
from promql import Engine
from storage.engine import open_database

#: A Monday, 00:00 UTC.
START_MS = round(datetime(2026, 11, 16, tzinfo=UTC).timestamp() * 1000)
STEP_SECONDS = 30
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

#: The rules of the week: stock names, each with its level and its patience; a condition is a metric of the same name.
RULES = {
    "ServerDown": (3, "1m"),
    "NotReady": (2, "30s"),
    "BreakerOpen": (3, "1m"),
    "HighFailureRate": (2, "5m"),
    "VeryHighFailureRate": (3, "5m"),
    "ConsecutiveFailures": (3, "0s"),
    "ManyErrors": (2, "0s"),
    "InferenceStalled": (3, "0s"),
    "HighLatencyP95": (3, "5m"),
    "QueueBacklog": (2, "2m"),
    "GPUXidError": (3, "0s"),
    "CollectorDown": (2, "1m"),
    "GPUTemperatureHigh": (2, "1m"),
    "ManySlowRequests": (2, "0s"),
    "DiskAlmostFull": (2, "5m"),
    "MemoryHigh": (2, "5m"),
}
_OUTAGE = (
    "NotReady",
    "BreakerOpen",
    "HighFailureRate",
    "VeryHighFailureRate",
    "ConsecutiveFailures",
    "ManyErrors",
    "InferenceStalled",
    "HighLatencyP95",
    "QueueBacklog",
)
#: Every night two hours for the backup, and Saturday morning for upgrades.
WINDOWS = (
    TimeInterval.parse({"times": [{"start_time": "02:00", "end_time": "04:00"}]}),
    TimeInterval.parse({"times": [{"start_time": "06:00", "end_time": "09:00"}], "weekdays": ["saturday"]}),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A condition that holds from one second of the week to another. ``cause``: an outage that people must hear of."""

    rule: str
    start: int
    end: int
    cause: bool = False


@dataclass
class Tally:
    """What was counted."""

    changes: int = 0
    notices: dict[str, int] = field(default_factory=dict)
    outages: int = 0
    told: int = 0
    slowest_seconds: float = 0.0

    def __str__(self) -> str:
        rows = [("a notice for each change of each alert", self.changes), *self.notices.items()]
        lines = [f"| {name} | {count} | {count / max(1, self.changes):.1%} |" for name, count in rows]
        lines.append(
            f"Outages outside maintenance: {self.outages}, told: {self.told}, "
            f"the slowest {self.slowest_seconds:.0f} s after its rule fired."
        )
        return "\n".join(lines)


def make_week(seconds: int, seed: int = 3) -> list[Trouble]:
    """What goes wrong in so many seconds from Monday on, drawn from ``seed``."""
    chance = random.Random(seed)
    found: list[Trouble] = []
    for day_start in range(0, seconds, _DAY):
        for hour in (chance.randint(9, 13), chance.randint(15, 22)):
            start = day_start + hour * _HOUR + chance.randint(0, 59) * _MINUTE
            found += _outage(chance, start, chance.randint(4, 40) * _MINUTE)
        if chance.random() < 0.4:
            found += _lost_gpu(day_start + chance.randint(5, 23) * _HOUR + 1800)
        found += _flapping(chance, "GPUTemperatureHigh", day_start + 10 * _HOUR, 5 * _HOUR, 150, 90)
        found += _flapping(chance, "ManySlowRequests", day_start + 12 * _HOUR, 3 * _HOUR, 90, 120)
        found += _flapping(chance, "QueueBacklog", day_start + 17 * _HOUR, 2 * _HOUR, 200, 120)
        found += _backup(chance, day_start + 2 * _HOUR)
        for _ in range(3):
            start = day_start + chance.randint(0, 23) * _HOUR
            found.append(
                Trouble(
                    chance.choice(("MemoryHigh", "DiskAlmostFull")), start, start + chance.randint(10, 90) * _MINUTE
                )
            )
    for minute in range(10, 170, 20):  # an upgrade on Saturday, with restarts
        found += _outage(chance, 5 * _DAY + 6 * _HOUR + minute * _MINUTE, 8 * _MINUTE)
    return [trouble for trouble in found if trouble.start < seconds]


def _outage(chance: random.Random, start: int, length: int) -> Iterator[Trouble]:
    """A dead model, and what follows from it within two minutes."""
    yield Trouble("ServerDown", start, start + length, cause=True)
    for rule in _OUTAGE:
        if chance.random() < 0.85:
            yield Trouble(rule, start + chance.randint(60, 150), start + length + chance.randint(0, 240))


def _lost_gpu(start: int) -> Iterator[Trouble]:
    yield Trouble("GPUXidError", start, start + 25 * _MINUTE, cause=True)
    for rule in ("CollectorDown", "ServerDown", "NotReady", "BreakerOpen", "ConsecutiveFailures"):
        yield Trouble(rule, start + 30, start + 24 * _MINUTE)


def _flapping(chance: random.Random, rule: str, start: int, length: int, on: int, off: int) -> Iterator[Trouble]:
    moment = start
    while moment < start + length:
        lasts = round(on * chance.uniform(0.7, 1.3))
        yield Trouble(rule, moment, moment + lasts)
        moment += lasts + round(off * chance.uniform(0.7, 1.6))


def _backup(chance: random.Random, start: int) -> Iterator[Trouble]:
    yield Trouble("DiskAlmostFull", start + 300, start + 6000)
    yield from _flapping(chance, "HighLatencyP95", start + 400, 5400, 500, 120)
    yield from _outage(chance, start + 3000, 5 * _MINUTE)


class _Source:
    """Every condition as it is now, 1 or 0."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.values: Mapping[str, float] = {}

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Sequence[Series]:
        """The one sample of the one metric that is asked for."""
        (name,) = (matcher.value for matcher in matchers if matcher.name == METRIC_NAME)
        labels: Labels = (("__name__", name), *((("xid", "79"),) if name == "bad_GPUXidError" else ()))
        moments = np.array([self.now_ms], dtype=np.int64)
        return [Series(labels, moments, np.array([self.values[name.removeprefix("bad_")]], dtype=np.float64))]


class _Desk:
    """One dispatcher and the notices that its person gets."""

    def __init__(self, folder: Path, book: AlertBook, windows: Sequence[TimeInterval]) -> None:
        folder.mkdir()
        routing = default_routing([ChannelSpec("person", "apprise", SecretStr("ntfys://topic"))])
        self._database = open_database(folder / "wakeless.db")
        self._windows = windows
        self.messages: list[Message] = []
        self.dispatcher = Dispatcher(self._database, routing, self, muted=self._muted, latest=book.latest)

    def enqueue(self, connection: Connection, key: str, channel: str, message: Message, now_ms: int) -> bool:
        """Take a notice, as the outbox would."""
        self.messages.append(message)
        return True

    def _muted(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        return ["window"] if any(window.contains(now_ms) for window in self._windows) else []

    def close(self) -> None:
        """Let go of the database."""
        self._database.dispose()


def rule_text() -> str:
    """The rules of the week as a rule file."""
    rules = "".join(
        f"      - {{alert: {name}, expr: bad_{name} > 0, for: {patience}, labels: {{level: '{level}'}}}}\n"
        for name, (level, patience) in RULES.items()
    )
    return f"groups:\n  - name: week\n    rules:\n{rules}"


def count(seconds: int = 7 * _DAY, seed: int = 3) -> Tally:
    """Play the troubles with and without flap detection, and count."""
    troubles = make_week(seconds, seed)
    tally = Tally()
    with _folder() as folder:
        plain = _play(folder / "plain", troubles, seconds, None, tally)
        calm = _play(folder / "calm", troubles, seconds, Flapping.of_seconds(4, 1800, 600), None)
    tally.notices = {
        "grouped, with inhibition": len(plain["open"]),
        "and flap detection": len(calm["open"]),
        "and maintenance windows": len(calm["windows"]),
    }
    _check(tally, troubles, calm["windows"])
    return tally


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="week-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _play(
    folder: Path, troubles: Sequence[Trouble], seconds: int, flapping: Flapping | None, tally: Tally | None
) -> dict[str, list[Message]]:
    """One engine over the whole time, and two people: one without and one with maintenance windows."""
    folder.mkdir()
    database, source = open_database(folder / "wakeless.db"), _Source()
    groups, problems = parse_rules(rule_text(), "week.yml")
    assert not problems, problems
    engine = AlertEngine(
        database, Engine(source, lookback_ms=60_000), groups, flapping=flapping, interval_seconds=STEP_SECONDS
    )
    engine.load()
    book = AlertBook(database)
    desks = {"open": _Desk(folder / "open", book, ()), "windows": _Desk(folder / "windows", book, WINDOWS)}
    for second in range(0, seconds, STEP_SECONDS):
        holding = {trouble.rule for trouble in troubles if trouble.start <= second < trouble.end}
        source.now_ms = START_MS + second * 1000
        source.values = {name: float(name in holding) for name in RULES}
        events = engine.evaluate(source.now_ms)
        if tally is not None:
            tally.changes += sum(event.kind in ("fired", "resolved") for event in events)
        for desk in desks.values():
            desk.dispatcher.step(engine.current(), source.now_ms)
    for desk in desks.values():
        desk.close()
    database.dispose()
    return {name: desk.messages for name, desk in desks.items()}


def _check(tally: Tally, troubles: Sequence[Trouble], messages: Sequence[Message]) -> None:
    """Whether the person heard of every outage that was not planned, and how long after its rule had fired."""
    patience = {"ServerDown": 60, "GPUXidError": 0}
    for trouble in troubles:
        start_ms = START_MS + trouble.start * 1000
        if not trouble.cause or any(window.contains(start_ms) for window in WINDOWS):
            continue
        tally.outages += 1
        end_ms = START_MS + trouble.end * 1000
        heard = [
            message.time_ms
            for message in messages
            if start_ms <= message.time_ms <= end_ms and any(fact.rule == trouble.rule for fact in message.firing)
        ]
        if heard:
            tally.told += 1
            late = (heard[0] - start_ms) / 1000 - patience[trouble.rule]
            tally.slowest_seconds = max(tally.slowest_seconds, late)


def main(argv: Sequence[str] | None = None) -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--seed", type=int, default=3)
    found = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tally = count(round(found.days * _DAY), found.seed)
    print(tally)
    return 0 if tally.told == tally.outages else 1


if __name__ == "__main__":
    raise SystemExit(main())
