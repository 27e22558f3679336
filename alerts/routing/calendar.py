"""Recurring stretches of time as Alertmanager's ``time_intervals`` describe them: nights, weekends, month ends."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: The first and the last of what is meant, both included.
Span: TypeAlias = tuple[int, int]

_CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))")
_NUMBER = re.compile(r"[+-]?[0-9]+")
_WEEKDAYS = {
    name: number
    for number, name in enumerate(("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"))
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        (
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ),
        1,
    )
}
_FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
#: Every month has so many days: what is before in the shortest month is before in all.
_SHORTEST_MONTH = 28


class CalendarError(ValueError):
    """A time interval that cannot be; the message is one line that names the field."""

    permanent = True


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """One interval; a moment is inside when every field that is given has a range that holds it.

    ``times`` are minutes of the day, the end not included. ``weekdays`` count from Sunday, 0. ``days_of_month`` may be
    negative: -1 is the last day. None: not given; an empty list holds nothing, as in Alertmanager. Without a
    ``location`` times are UTC.
    """

    times: tuple[Span, ...] | None = None
    weekdays: tuple[Span, ...] | None = None
    days_of_month: tuple[Span, ...] | None = None
    months: tuple[Span, ...] | None = None
    years: tuple[Span, ...] | None = None
    location: str = ""
    zone: tzinfo | None = UTC  # None: the machine's own

    @classmethod
    def parse(cls, entry: object) -> TimeInterval:
        """An interval from YAML or JSON, as Alertmanager 0.25 reads it. Raises :class:`CalendarError`."""
        if not isinstance(entry, Mapping):
            raise CalendarError("a time interval must be a mapping of times, weekdays, days_of_month, months, years")
        unknown = [str(name) for name in entry if name not in _FIELDS]
        if unknown:
            raise CalendarError(f"unknown field {unknown[0]!r} in a time interval; known are {', '.join(_FIELDS)}")
        location = _text(entry.get("location"), "location")
        return cls(
            times=_ranges(entry, "times", _times),
            weekdays=_ranges(entry, "weekdays", _weekdays),
            days_of_month=_ranges(entry, "days_of_month", _days_of_month),
            months=_ranges(entry, "months", _months),
            years=_ranges(entry, "years", _years),
            location=location,
            zone=_zone(location),
        )

    def contains(self, now_ms: int) -> bool:
        """Whether a moment, in UTC milliseconds, lies inside."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone)
        minute = now.hour * 60 + now.minute
        if self.times is not None and not any(start <= minute < end for start, end in self.times):
            return False
        if self.days_of_month is not None and not self._holds_day(now):
            return False
        return (
            _holds(self.months, now.month)
            and _holds(self.weekdays, now.isoweekday() % 7)
            and _holds(self.years, now.year)
        )

    def _holds_day(self, now: datetime) -> bool:
        length = monthrange(now.year, now.month)[1]
        for first, last in self.days_of_month or ():
            begin, end = (day if day > 0 else length + day + 1 for day in (first, last))
            if begin <= length and min(begin, length) <= now.day <= min(end, length):
                return True
        return False


def parse_intervals(entries: object) -> tuple[TimeInterval, ...]:
    """A list of intervals; a moment is inside the list when any of them holds it. Raises :class:`CalendarError`."""
    if entries is None:
        return ()
    if not isinstance(entries, list | tuple):
        raise CalendarError("time intervals must be a list")
    return tuple(TimeInterval.parse(entry) for entry in entries)


def contains_any(intervals: Iterable[TimeInterval], now_ms: int) -> bool:
    """Whether any of the intervals holds the moment."""
    return any(interval.contains(now_ms) for interval in intervals)


def _holds(spans: tuple[Span, ...] | None, value: int) -> bool:
    return spans is None or any(first <= value <= last for first, last in spans)


def _ranges(entry: Mapping[str, Any], field: str, read: Callable[[Any], Span]) -> tuple[Span, ...] | None:
    entries = entry.get(field)
    if entries is None:
        return None
    if not isinstance(entries, list | tuple):
        raise CalendarError(f"{field}: must be a list")
    try:
        return tuple(read(item) for item in entries)
    except CalendarError as error:
        raise CalendarError(f"{field}: {error}") from None


def _times(entry: Any) -> Span:
    if not isinstance(entry, Mapping) or set(entry) - {"start_time", "end_time"}:
        raise CalendarError("each must be a mapping of start_time and end_time")
    if not entry.get("start_time") or not entry.get("end_time"):
        raise CalendarError("both start and end times must be provided")
    start, end = (_minute(entry[name]) for name in ("start_time", "end_time"))
    if start >= end:
        raise CalendarError("start time cannot be equal or greater than end time; split a night at 24:00")
    return start, end


def _minute(entry: Any) -> int:
    match = _CLOCK.fullmatch(_text(entry, "time"))
    if match is None:
        raise CalendarError(f"couldn't parse timestamp {entry}, it must be like 09:30, 24:00 at most")
    hours, minutes = match[1] or match[3], match[2] or match[4]
    return int(hours) * 60 + int(minutes)


def _weekdays(entry: Any) -> Span:
    first, last = _span(entry, lambda text: _named(text, _WEEKDAYS, "weekday"))
    if first > last:
        raise CalendarError("start day cannot be before end day; the week begins on Sunday")
    return first, last


def _days_of_month(entry: Any) -> Span:
    first, last = _span(entry, _number)
    for day in (first, last):
        if day == 0 or not -31 <= day <= 31:
            raise CalendarError(f"{day} is not a valid day of the month: out of range")
    if first < 0 < last:
        raise CalendarError("end day must be negative if start day is negative")
    begin, end = (day if day > 0 else _SHORTEST_MONTH + day for day in (first, last))
    if begin > end:
        raise CalendarError(f"end day {last} is always before start day {first}")
    return first, last


def _months(entry: Any) -> Span:
    first, last = _span(entry, _month)
    if first > last:
        raise CalendarError(f"end month {last} is before start month {first}")
    return first, last


def _month(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else _named(text, _MONTHS, "month")


def _years(entry: Any) -> Span:
    first, last = _span(entry, _number)
    if first > last:
        raise CalendarError(f"end year {last} is before start year {first}")
    return first, last


def _span(entry: Any, member: Callable[[str], int]) -> Span:
    text = _text(entry, "range").lower()
    parts = text.split(":")
    if len(parts) > 2:
        raise CalendarError(f"couldn't parse range {text}, invalid format")
    return member(parts[0]), member(parts[-1])


def _named(text: str, names: Mapping[str, int], kind: str) -> int:
    if text not in names:
        raise CalendarError(f"{text} is not a valid {kind}")
    return names[text]


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None or len(text) > 9:
        raise CalendarError(f"{text!r} is not a whole number")
    return int(text)


def _text(entry: Any, field: str) -> str:
    """A scalar as text: YAML and JSON may bring a number where a range is meant."""
    if entry is None:
        return ""
    if isinstance(entry, bool) or not isinstance(entry, str | int):
        raise CalendarError(f"{field}: must be text")
    return str(entry)


def _zone(location: str) -> tzinfo | None:
    if location in ("", "UTC"):
        return UTC
    if location == "Local":
        return None
    try:
        return ZoneInfo(location)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CalendarError(f"location: unknown time zone {location}") from None
