"""The stretch of time that a report is about: a day, a week from Monday on, or a month, on the clock of a zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["day", "week", "month"]
KINDS: tuple[Kind, ...] = ("day", "week", "month")


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a period, from ``start_ms`` up to and without ``end_ms``: 23, 24 or 25 hours."""

    name: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start_ms`` up to and without ``end_ms``, in UTC milliseconds. ``first`` is its first day."""

    kind: Kind
    first: date
    start_ms: int
    end_ms: int
    days: tuple[Day, ...]

    @property
    def last(self) -> date:
        """Its last day."""
        return self.first + timedelta(days=len(self.days) - 1)


def period_of(kind: Kind, day: date, zone: tzinfo | None = None) -> Period:
    """The period that a day lies in; ``zone`` None is the machine's own. Raises ``ValueError`` beyond the calendar."""
    try:
        first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[kind]
        after = first + timedelta(days={"day": 1, "week": 7, "month": 32}[kind])
        if kind == "month":
            after = after.replace(day=1)
        days = days_between(first, after, zone)
    except (OverflowError, OSError) as error:
        raise ValueError("a day within the calendar") from error
    return Period(kind, first, days[0].start_ms, days[-1].end_ms, tuple(days))


def before(period: Period, zone: tzinfo | None = None) -> Period:
    """The period of the same kind that ends where this one begins. Raises ``ValueError`` beyond the calendar."""
    try:
        day = period.first - timedelta(days=1)
    except OverflowError as error:
        raise ValueError("a day within the calendar") from error
    return period_of(period.kind, day, zone)


def days_between(first: date, after: date, zone: tzinfo | None = None) -> list[Day]:
    """The days from ``first`` up to and without ``after``."""
    names = [first + timedelta(days=place) for place in range((after - first).days + 1)]
    edges = [midnight(name, zone) for name in names]
    return [Day(name.isoformat(), *edge) for name, edge in zip(names, pairwise(edges), strict=False)]


def midnight(day: date, zone: tzinfo | None) -> int:
    """When a day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def local(time_ms: int, zone: tzinfo | None) -> datetime:
    """A moment on the zone's clock."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)


def today(now_ms: int, zone: tzinfo | None) -> date:
    """The date that it is."""
    return local(now_ms, zone).date()
