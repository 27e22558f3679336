"""When something runs full: a straight line through daily maxima, and nothing said where there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from collectors.sample import Labels
from reports.curve import STEP_MS, Curves, Grid, Values

Verdict: TypeAlias = Literal["too_few", "no_trend", "falls", "later", "full"]

DAY_MS = 86_400_000
#: Days that a line needs, and how long the past must be that it says something of: no day beyond a year is named.
LEAST_DAYS = 5
_LONGEST_DAYS = 365
#: A line that rises by less than this share of the capacity over all its days is flat.
_FLAT = 0.01
#: A day counts if this share of its windows has samples: the maximum of an hour is not that of its day.
_COVERED = 0.5
#: Student's t, two-sided 95 %, for 1, 2, 3 … degrees of freedom.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Maximum:
    """The largest value of a day that was covered well enough."""

    day_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """``full``: at this pace it is full at ``full_ms``. ``later``: it grows, but not full within a year.

    ``no_trend``: the line is flat, or it may as well be chance; ``too_few``: fewer than five days. ``per_day`` is the
    slope in bytes, None without a line; ``maxima`` are what it rests on.
    """

    what: Literal["vram", "disk"]
    name: str
    verdict: Verdict
    last: float
    capacity: float
    per_day: float | None
    full_ms: int | None
    maxima: tuple[Maximum, ...]


def forecasts(what: Literal["vram", "disk"], used: Curves, sizes: Curves, grid: Grid, label: str) -> list[Forecast]:
    """One for each series in ``used`` whose capacity is known."""
    found = []
    for labels, values in sorted(used.items()):
        capacity = _last(sizes.get(labels))
        maxima = daily(values, grid)
        if capacity is None or capacity <= 0 or not maxima:
            continue
        found.append(forecast(what, _name(labels, label), maxima, capacity))
    return found


def daily(values: Values, grid: Grid) -> list[Maximum]:
    """The maxima of days that are covered well enough, oldest first."""
    found = []
    for first, last in grid.days:
        day = values[first:last]
        there = np.isfinite(day)
        if last - first >= DAY_MS // STEP_MS - 13 and there.mean() >= _COVERED:  # a day of 23 hours is a day
            found.append(Maximum(int(grid.ends[first]) - STEP_MS, float(np.max(day[there]))))
    return found


def forecast(what: Literal["vram", "disk"], name: str, maxima: Sequence[Maximum], capacity: float) -> Forecast:
    """Where a line through the maxima reaches the capacity."""
    last = maxima[-1].value
    if len(maxima) < LEAST_DAYS:
        return Forecast(what, name, "too_few", last, capacity, None, None, tuple(maxima))
    days = np.array([(one.day_ms - maxima[-1].day_ms) / DAY_MS for one in maxima])
    values = np.array([one.value for one in maxima])
    slope, level, error = line(days, values)
    span = float(days[-1] - days[0])
    sure = abs(slope) > _T95[min(len(maxima) - 3, len(_T95) - 1)] * error and abs(slope) * span >= _FLAT * capacity
    verdict: Verdict = "no_trend"
    full_ms = None
    if sure and slope < 0:
        verdict = "falls"
    elif sure:
        left = max(0.0, (capacity - level) / slope)
        verdict = "full" if left <= _LONGEST_DAYS else "later"
        full_ms = maxima[-1].day_ms + round(left * DAY_MS) if verdict == "full" else None
    return Forecast(what, name, verdict, last, capacity, slope, full_ms, tuple(maxima))


def line(x: Values, y: Values) -> tuple[float, float, float]:
    """Least squares: slope, value at x = 0, and the slope's standard error."""
    centre, middle = float(x.mean()), float(y.mean())
    spread = float(np.sum((x - centre) ** 2))
    slope = float(np.sum((x - centre) * (y - middle))) / spread
    level = middle - slope * centre
    left = y - (level + slope * x)
    return slope, level, math.sqrt(float(np.sum(left**2)) / (len(x) - 2) / spread)


def _last(values: Values | None) -> float | None:
    if values is None:
        return None
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else None


def _name(labels: Labels, label: str) -> str:
    return dict(labels).get(label, "")
