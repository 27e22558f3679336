"""How large a CSV file would become, from a few short looks into its window: what a page says before it is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from collectors.sample import Labels, Series, Times, stale_mask
from storage.export import Selectors, SeriesSource, format_values, quote, selector_text

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
    """What the looks found of one series."""

    def __init__(self) -> None:
        self.samples = 0
        self.measured = 0
        self.characters = 0

    def add(self, series: Series) -> None:
        texts = format_values(series.values[:_MEASURED])
        self.samples += len(series.times)
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
    share = (last - first + 1) / sum(until - begin + 1 for begin, until in windows)
    seen: defaultdict[Labels, _Seen] = defaultdict(_Seen)
    moments = sum(_look(source, selectors, begin, until, seen) for begin, until in windows)
    most = np.inf if step_ms is None else (last - first) // step_ms + 1
    counts = {labels: min(one.samples * share, most) for labels, one in seen.items()}
    width = {labels: one.characters / one.measured for labels, one in seen.items()}
    if wide:
        rows = min(moments * share, most)
        size = rows * (_TIME_BYTES + len(names) + 1) + sum(counts[labels] * width[labels] for labels in seen)
    else:
        rows = sum(counts.values())
        size = sum(counts[labels] * (_TIME_BYTES + names.get(labels, 0) + width[labels] + 3) for labels in seen)
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


def _look(source: SeriesSource, selectors: Selectors, begin: int, until: int, seen: defaultdict[Labels, _Seen]) -> int:
    """Add what lies in one window to ``seen``; returns how many moments it has."""
    found: dict[Labels, Series] = {}
    for matchers in selectors:
        for series in source.select(matchers, begin, until):
            alive = ~stale_mask(series.values)
            if series.labels not in found and alive.any():
                found[series.labels] = Series(series.labels, series.times[alive], series.values[alive])
    for labels, series in found.items():
        seen[labels].add(series)
    return _moments([series.times for series in found.values()])


def _moments(times: Sequence[Times]) -> int:
    return len(np.unique(np.concatenate(times))) if times else 0
