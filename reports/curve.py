"""Series of a period in windows of five minutes, asked of the store in PromQL, a day at a time.

A window ends at a whole step of the period and holds the samples ``(end - step, end]``. One without a sample is a gap:
nothing is filled in, and nothing is told of it. Minimum, maximum, mean and count are also what a store knows of minutes
that it keeps in coarse form only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import structlog

from collectors.sample import METRIC_NAME, Labels
from promql import Engine, QueryError
from reports.period import Day
from storage.error import StorageError

log = structlog.get_logger(__name__)

STEP_MS = 300_000
STEP_SECONDS = STEP_MS / 1000
#: Seconds that one day's question may take.
_TIMEOUT_SECONDS = 20.0

Values = npt.NDArray[np.float64]
#: Values by labels, shape (windows,), NaN in a gap.
Curves = dict[Labels, Values]


@dataclass(frozen=True, slots=True)
class Grid:
    """The windows of some days, by their ends, as far as they are over; ``days`` are the [first, last) of each."""

    ends: npt.NDArray[np.int64]
    days: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.ends)


def grid(days: Sequence[Day], until_ms: int) -> Grid:
    """The windows of days, which begin at whole steps."""
    parts = [np.arange(day.start_ms + STEP_MS, min(day.end_ms, until_ms) + 1, STEP_MS, dtype=np.int64) for day in days]
    edges = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    ends = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return Grid(ends, tuple(pairwise(edges)))


class Asker:
    """Asks for curves. ``missing`` names what could not be read, and why: the rest of a report stands without it."""

    def __init__(self, engine: Engine, grid: Grid) -> None:
        self._engine = engine.adjusted(timeout_seconds=_TIMEOUT_SECONDS)
        self.grid = grid
        self.missing: dict[str, str] = {}

    def curves(self, function: str, metric: str) -> Curves:
        """``function``_over_time of every series of ``metric``, in windows; none of a metric that is not there."""
        found: Curves = {}
        for first, last in self.grid.days:
            if first == last:
                continue
            ends = self.grid.ends[first:last]
            try:
                matrix = self._engine.range(f"{function}_over_time({metric}[5m])", int(ends[0]), int(ends[-1]), STEP_MS)
            except (QueryError, StorageError) as error:
                log.warning("report_series_not_read", metric=metric, reason=str(error))
                self.missing[metric] = str(error)
                continue
            for labels, values in zip(matrix.labels, matrix.values, strict=True):
                key = tuple(pair for pair in labels if pair[0] != METRIC_NAME)
                found.setdefault(key, np.full(self.grid.count, np.nan))[first:last] = values
        return found

    def increase(self, metric: str) -> dict[Labels, float]:
        """By how much each counter grew, from its first sample of all on, however often it began anew at 0.

        What a counter lost when it began anew is what it grew after the highest sample of the window before.
        """
        lows = self.curves("min", metric)
        return {labels: grown(highs, lows[labels]) for labels, highs in self.curves("max", metric).items()}


def grown(highs: Values, lows: Values) -> float:
    """The growth of a counter, given its highest and lowest sample of each window, shape (windows,)."""
    there = np.flatnonzero(np.isfinite(highs))
    if not len(there):
        return 0.0
    values = np.concatenate([[lows[there[0]]], highs[there]])
    return float(np.sum(steps_up(values)))


def steps_up(values: Values) -> Values:
    """The growth from each value of a counter to the next; one that is smaller has begun anew at 0."""
    steps = np.diff(values)
    return np.where(steps < 0, values[1:], steps)


def growth(highs: Values) -> Values:
    """The growth of a counter in each window, shape (windows,); NaN unless the window before has a sample as well."""
    found = np.full(len(highs), np.nan)
    if len(highs) > 1:
        found[1:] = steps_up(highs)
    return found


def mean(values: Values) -> float | None:
    """The mean over windows that are no gaps; None of nothing."""
    there = values[np.isfinite(values)]
    return float(np.mean(there)) if len(there) else None


def peak(values: Values) -> float | None:
    """The largest of the windows; None of nothing."""
    there = values[np.isfinite(values)]
    return float(np.max(there)) if len(there) else None


def share(hits: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float:
    """Which part of the windows in ``of`` are hits; 0 of none."""
    return float(np.sum(hits & of)) / max(1, int(np.sum(of)))
