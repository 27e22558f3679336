"""How large a CSV file would become, from a few short looks into its window: what a page says before it is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from collectors.sample import Labels, Series, Times, stale_mask
from dashboard.point import values_as_text
from storage.export import Selectors, SeriesSource, quote, selector_text

#: Looks into the window, and how long each is: enough for some samples of a source that runs once a minute.
LOOKS = 5
LOOK_MS = 120_000
#: Values of one series in one look whose text is measured.
_MEASURED = 20
#: ``2026-11-21T08:00:00.000Z``
_TIME_BYTES = 24


class Estimate(NamedTuple):
    """What an export will hold, about; exact for windows that the looks cover. Bytes before any compression."""

    series: int
    rows: int
    bytes: int


class _Seen:
    """What the looks found of one series: rows of the file that it fills in them, and how wide its values are."""

    def __init__(self) -> None:
        self.rows = 0.0
        self.measured = 0
        self.characters = 0

    def add(self, series: Series, most: float) -> None:
        """Add one look, in which the file has ``most`` rows at most."""
        texts = values_as_text(series.values[:_MEASURED])
        self.rows += min(len(series.times), most)
        self.measured += len(texts)
        self.characters += sum(map(len, texts))


def estimate(
    source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int, step_ms: int | None, *, wide: bool
) -> Estimate:
    """The size of the file that :func:`storage.export.csv_wide` (or ``csv_long``) would give for the same arguments."""
    columns = {labels for matchers in selectors for labels in source.labels(matchers, start_ms, end_ms)}
    names = {labels: len(quote(selector_text(labels)).encode()) for labels in columns}
    header = len("time") + sum(names.values()) + len(names) + 1 if wide else len("time,series,value\n")
    span = source.span()
    first, last = (0, -1) if span is None else (max(start_ms, span[0]), min(end_ms, span[1]))
    if not names or first > last:
        return Estimate(len(names), 0, header)
    windows = list(_windows(first, last))
    seen: defaultdict[Labels, _Seen] = defaultdict(_Seen)
    length = windows[0][1] - windows[0][0] + 1
    most = np.inf if step_ms is None else max(1.0, length / step_ms)
    moments = sum(_look(source, selectors, window, most, seen) for window in windows)
    share = (last - first + 1) / (length * len(windows))
    if step_ms is not None:
        share = min(share, ((last - first) // step_ms + 1) / (most * len(windows)))
    width = {labels: one.characters / one.measured for labels, one in seen.items()}
    if wide:
        rows = moments * share
        size = rows * (_TIME_BYTES + len(names) + 1) + sum(one.rows * share * width[key] for key, one in seen.items())
    else:
        rows = sum(one.rows for one in seen.values()) * share
        size = sum(one.rows * share * (_TIME_BYTES + names.get(key, 0) + width[key] + 3) for key, one in seen.items())
    return Estimate(len(names), round(rows), header + round(size))


def _windows(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The looks, spread evenly and both ends included; one of everything where that is no more."""
    length = last - first + 1
    if length <= LOOKS * LOOK_MS:
        yield first, last
        return
    for number in range(LOOKS):
        begin = first + (length - LOOK_MS) * number // (LOOKS - 1)
        yield begin, begin + LOOK_MS - 1


def _look(
    source: SeriesSource, selectors: Selectors, window: tuple[int, int], most: float, seen: defaultdict[Labels, _Seen]
) -> float:
    """Add what lies in one window to ``seen``; returns the rows that a wide file has there, ``most`` at most."""
    found: dict[Labels, Times] = {}
    for matchers in selectors:
        for series in source.select(matchers, *window):
            alive = ~stale_mask(series.values)
            if series.labels not in found and alive.any():
                found[series.labels] = series.times[alive]
                seen[series.labels].add(Series(series.labels, series.times[alive], series.values[alive]), most)
    return min(len(np.unique(np.concatenate(list(found.values())))), most) if found else 0
