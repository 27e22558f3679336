"""What a log of JSON lines says of a service: how many, how well, how fast, of which class, which errors, when.

Reads any length in bounded memory: lines are looked at once, and none is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain, islice
from typing import Any, BinaryIO

import orjson

from reports.log_field import Names, choose, look, moment_of, scale_of, seconds_of, well
from reports.quantile import Quantiles
from storage.fingerprint import fingerprint_of

#: Lines by which the fields are told; bytes of a line; different names that are counted.
_LOOKED_AT, MAX_LINE, _MOST_NAMES = 2000, 1024 * 1024, 1000
OTHER = "(other)"
_NO_ERROR = "(not told)"


@dataclass(slots=True)
class LogReport:
    """What was found. Durations in seconds; ``unused`` counts lines that say nothing of a result, by why."""

    names: Names
    lines: int = 0
    results: int = 0
    judged: int = 0
    well: int = 0
    seconds: float = 0.0
    longest: float | None = None
    first_ms: int | None = None
    last_ms: int | None = None
    durations: Quantiles = field(default_factory=Quantiles)
    classes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    #: By the hour of the day, in the zone of the report.
    hours: Counter[int] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    #: Lines that tell of an error and of no result: the failures themselves where results say nothing of theirs.
    bare_errors: int = 0

    @property
    def total(self) -> int:
        """Requests, as far as the log tells."""
        return self.results + (0 if self.names.outcome else self.bare_errors)

    @property
    def success_ratio(self) -> float | None:
        """The share that went well; None where nothing is said of that."""
        if self.names.outcome:
            return self.well / self.judged if self.judged else None
        return self.results / self.total if self.total and self.bare_errors else None

    @property
    def mean(self) -> float | None:
        """Mean duration."""
        return self.seconds / self.durations.count if self.durations.count else None

    @property
    def p95(self) -> float | None:
        """95 % took this or less."""
        return self.durations.at(0.95)

    def busiest(self, count: int = 3) -> list[tuple[int, int]]:
        """The hours of the day with most results, and how many."""
        return sorted(self.hours.items(), key=lambda one: (-one[1], one[0]))[:count]

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        names = self.names
        return {
            "fields": {
                "time": names.time,
                "duration": names.duration,
                "unit": names.unit,
                "outcome": names.outcome,
                "class": names.klass,
                "error": names.error,
                "event": names.event,
            },
            "lines": self.lines,
            "unused": dict(self.unused),
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "total": self.total,
            "success_ratio": self.success_ratio,
            "mean_seconds": self.mean,
            "p95_seconds": self.p95,
            "max_seconds": self.longest,
            "exact": self.durations.exact,
            "classes": dict(self.classes.most_common()),
            "errors": dict(self.errors.most_common()),
            "busiest_hours": [{"hour": hour, "count": count} for hour, count in self.busiest()],
            "hours": {str(hour): self.hours[hour] for hour in sorted(self.hours)},
        }


def report_log(
    lines: Iterable[bytes],
    given: Mapping[str, str | None] | None = None,
    *,
    unit: str | None = None,
    event: str | None = None,
    zone: tzinfo | None = None,
) -> LogReport:
    """Read a log to its end. ``given`` are fields that the caller names; with ``event`` only such lines count."""
    rest = iter(lines)
    head = [*islice(rest, _LOOKED_AT)]
    readable = [line for line in map(_parse, head) if isinstance(line, dict)]
    if event is not None:
        name = (given or {}).get("event") or choose(readable, {}).event
        readable = [line for line in readable if name and look(line, name) == event] or readable
    report = LogReport(choose(readable, given or {}, unit))
    tally = _Tally(report, event, zone)
    for raw in chain(head, rest):
        tally.take(raw)
    return report


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of a file; of one that is too long the first bytes, so that it is counted as such."""
    while line := file.readline(MAX_LINE + 1):
        yield line
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE + 1)  # the rest of it


class _Tally:
    """Takes lines into a report."""

    def __init__(self, report: LogReport, event: str | None, zone: tzinfo | None) -> None:
        self._report = report
        self._names = report.names
        self._scale = scale_of(report.names.unit)
        self._event = event
        self._zone = zone
        self._lost = 0.0  # what a plain sum would lose to rounding (Neumaier)

    def take(self, raw: bytes) -> None:
        """One line."""
        report = self._report
        if not raw.strip():
            return
        report.lines += 1
        line = _parse(raw)
        if isinstance(line, str):
            report.unused[line] += 1
            return
        names = self._names
        if self._event is not None and (names.event is None or look(line, names.event) != self._event):
            report.unused["another event"] += 1
            return
        duration = look(line, names.duration) if names.duration else None
        outcome = look(line, names.outcome) if names.outcome else None
        # A level is on every line, so it alone makes no result of one.
        told = duration is not None or (outcome is not None and names.outcome not in ("level", "levelname"))
        if not told:
            self._other(line)
            return
        report.results += 1
        self._time(line)
        self._duration(duration)
        self._verdict(line, outcome)
        if names.klass and (value := look(line, names.klass)) not in (None, "") and not isinstance(value, (dict, list)):
            _count(report.classes, str(value))

    def _other(self, line: Mapping[str, Any]) -> None:
        """A line without a result: an error of its own, or of no use."""
        report, names = self._report, self._names
        error = look(line, names.error) if names.error else None
        level = next((line[name] for name in ("level", "levelname", "severity") if name in line), None)
        if error in (None, "", False) and well(level) is not False:
            report.unused["no result"] += 1
            return
        report.bare_errors += 1
        if not names.outcome:
            _count(report.errors, self._kind(line, error))
        else:
            report.unused["error without a result"] += 1

    def _time(self, line: Mapping[str, Any]) -> None:
        report = self._report
        moment = moment_of(look(line, self._names.time), self._zone) if self._names.time else None
        if moment is None:
            if self._names.time:
                report.unused["time not understood (counted all the same)"] += 1
            return
        time_ms = round(moment.timestamp() * 1000)
        report.first_ms = time_ms if report.first_ms is None else min(report.first_ms, time_ms)
        report.last_ms = time_ms if report.last_ms is None else max(report.last_ms, time_ms)
        report.hours[moment.hour] += 1

    def _duration(self, value: Any) -> None:
        report = self._report
        seconds = None if value is None else seconds_of(value, self._scale)
        if seconds is None:
            if value is not None:
                report.unused["duration not understood (counted all the same)"] += 1
            return
        total = report.seconds + seconds
        larger, smaller = (report.seconds, seconds) if report.seconds >= seconds else (seconds, report.seconds)
        self._lost += (larger - total) + smaller
        report.seconds = total
        if abs(self._lost) > 1e-6:
            report.seconds, self._lost = report.seconds + self._lost, 0.0
        report.durations.add(seconds)
        report.longest = seconds if report.longest is None else max(report.longest, seconds)

    def _verdict(self, line: Mapping[str, Any], outcome: Any) -> None:
        report, names = self._report, self._names
        verdict = well(outcome)
        if verdict is None:
            return
        report.judged += 1
        report.well += verdict
        if not verdict:
            error = look(line, names.error) if names.error else None
            _count(report.errors, self._kind(line, error if error not in (None, "", False) else outcome))

    def _kind(self, line: Mapping[str, Any], error: Any) -> str:
        if error in (None, "", False):
            error = look(line, self._names.event) if self._names.event else None
        return fingerprint_of(str(error)[:2000]) if error is not None else _NO_ERROR


def _parse(raw: bytes) -> dict[str, Any] | str:
    """A line's fields, or why it cannot be used."""
    if len(raw) > MAX_LINE:
        return "longer than 1 MiB"
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "not JSON"
    return line if isinstance(line, dict) else "not an object"


def _count(counts: Counter[str], name: str) -> None:
    counts[name[:200] if len(counts) < _MOST_NAMES or name[:200] in counts else OTHER] += 1
