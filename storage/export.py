"""History as text, streamed window by window, so that a month takes no more memory than an hour.

Wide: ``time`` and one column for each series, headed by its selector text; a cell is empty where there is no sample.
Long: ``time,series,value``. Stale markers are ends, not samples, and never show. With a step, each time on the grid
from ``start`` on takes the newest sample of the step that ends there, ``(t - step, t]``; times at which no series has
one are left out, as they are without a step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from collectors.sample import METRIC_NAME, Labels, Matcher, Series, Values, stale_mask
from storage.row import long_rows, wide_rows
from storage.text import value_texts

Selectors = Sequence[Sequence[Matcher]]
#: Told which share of the rows has been made.
Progress = Callable[[float], None]

#: Samples of a window, about, at one a second: some tens of megabytes while they are read.
_CELLS = 2_000_000
_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LONGEST_WINDOW_MS = 6 * 3_600_000


class SeriesSource(Protocol):
    """What is exported from: :class:`storage.series.SeriesStore`, or anything that answers like it."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """The samples of all matching series in the window (inclusive)."""
        ...

    def labels(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """The label sets of all matching series in the window (inclusive)."""
        ...

    def span(self) -> tuple[int, int] | None:
        """The times of the oldest and the newest tick."""
        ...


def csv_wide(
    source: SeriesSource,
    selectors: Selectors,
    start_ms: int,
    end_ms: int,
    step_ms: int | None = None,
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """One row for each time, one column for each series that any selector means; times are inclusive.

    Yields pieces of UTF-8 text with ``\\n`` at the end of lines. Raises ``ValueError`` for a step below 1 ms.
    """
    columns = export_columns(source, selectors, start_ms, end_ms)
    yield (",".join(["time", *(quote(text) for text in columns)]) + "\n").encode()
    for window, share in _windows(source, selectors, start_ms, end_ms, step_ms, len(columns)):
        by_text = {selector_text(series.labels): series for series in window}
        known = [by_text.get(text) for text in columns]  # without those that appeared meanwhile
        if any(known):
            yield from wide_rows(known)
        if progress:
            progress(share)


def csv_long(
    source: SeriesSource,
    selectors: Selectors,
    start_ms: int,
    end_ms: int,
    step_ms: int | None = None,
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """One row for each sample, by time and then by series; else as :func:`csv_wide`."""
    yield b"time,series,value\n"
    width = len(export_columns(source, selectors, start_ms, end_ms))
    for window, share in _windows(source, selectors, start_ms, end_ms, step_ms, width):
        named = sorted((selector_text(series.labels), place) for place, series in enumerate(window))
        yield from long_rows([window[place] for _, place in named], [quote(name) for name, _ in named])
        if progress:
            progress(share)


def export_columns(source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int) -> list[str]:
    """The selector texts of all series that any selector means, sorted, each once: the columns of a wide file."""
    found = {labels for matchers in selectors for labels in source.labels(matchers, start_ms, end_ms)}
    return sorted(selector_text(labels) for labels in found)


def selector_text(labels: Labels) -> str:
    """A label set as PromQL writes it: ``gpu_utilization_ratio{gpu="0"}``; names of other characters are in quotes."""
    name = next((value for label, value in labels if label == METRIC_NAME), "")
    pairs = [f'{_name(label)}="{_escape(value)}"' for label, value in labels if label != METRIC_NAME]
    if not _PLAIN_NAME.fullmatch(name):
        pairs, name = [f'"{_escape(name)}"', *pairs] if name else pairs, ""
    return f"{name}{{{','.join(pairs)}}}" if pairs or not name else name


def quote(text: str) -> str:
    """A CSV field: in quotes, and quotes doubled, where it holds a comma, a quote or the end of a line."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def format_values(values: Values) -> list[str]:
    """The text of each value as the cells have it."""
    return [text.decode() for text in value_texts(values)]


def _name(label: str) -> str:
    return label if _PLAIN_LABEL.fullmatch(label) else f'"{_escape(label)}"'


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _windows(
    source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int, step_ms: int | None, width: int
) -> Iterator[tuple[list[Series], float]]:
    """The samples of one window after the other, without stale markers, and which share is done with it.

    Windows without samples are left out.
    """
    if step_ms is not None and step_ms < 1:
        raise ValueError("the step must be at least one millisecond")
    span = source.span()
    if span is None or width == 0:
        return
    length = min(_LONGEST_WINDOW_MS, max(1, 1000 * _CELLS // width))
    if step_ms is None:
        first, last, stride = max(start_ms, span[0]), min(end_ms, span[1]), length
    else:
        # Grid points keep their distance from start; those before the oldest sample and beyond the newest have nothing.
        first = start_ms + max(0, span[0] - start_ms) // step_ms * step_ms
        last = min(end_ms, span[1] + step_ms)
        stride = max(step_ms, length // step_ms * step_ms)
    begin = first
    while first <= last:
        until = min(first + stride - 1, last)
        if step_ms is None:
            window = _read(source, selectors, first, until)
        else:
            window = _read_grid(source, selectors, (first, until, step_ms), length, span[0])
        if window:
            yield list(window.values()), (until - begin + 1) / (last - begin + 1)
        first += stride


def _read(source: SeriesSource, selectors: Selectors, first: int, last: int) -> dict[Labels, Series]:
    """All series of a window that have samples, each once; those of one source keep sharing their times."""
    found: dict[Labels, Series] = {}
    for matchers in selectors:
        for series in source.select(matchers, first, last):
            stale = stale_mask(series.values)
            if not stale.any():
                found[series.labels] = series
            elif not stale.all():
                found[series.labels] = Series(series.labels, series.times[~stale], series.values[~stale])
    return found


def _read_grid(
    source: SeriesSource, selectors: Selectors, grid: tuple[int, int, int], length: int, oldest_ms: int
) -> dict[Labels, Series]:
    """The same on a grid (first, last, step), read in windows of ``length`` ms: a step may be longer than those.

    Nothing is older than ``oldest_ms``: a step of a century is not read hour by hour.
    """
    first, last, step_ms = grid
    found: dict[Labels, Series] = {}
    for begin in range(max(first - step_ms + 1, oldest_ms), last + 1, length):
        for labels, series in _read(source, selectors, begin, min(begin + length - 1, last)).items():
            fresh = _on_grid(series, first, last, step_ms)
            known = found.get(labels)
            if known is not None:
                joined = Series(
                    labels,
                    np.concatenate([known.times, fresh.times]),
                    np.concatenate([known.values, fresh.values]),
                )
                fresh = _on_grid(joined, first, last, step_ms)
            if len(fresh.times):
                found[labels] = fresh
    return found


def _on_grid(series: Series, first: int, last: int, step_ms: int) -> Series:
    """The newest sample of each step, at the grid time that ends the step."""
    ends = first - (first - series.times) // step_ms * step_ms  # rounded up to the grid
    newest = np.append(ends[1:] != ends[:-1], True)
    newest &= ends <= last
    return Series(series.labels, ends[newest], series.values[newest])
