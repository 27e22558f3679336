"""History as CSV, streamed window by window, so that a month takes no more memory than an hour.

Wide: ``time`` and one column for each series, headed by its selector text; a cell is empty where there is no sample.
Long: ``time,series,value``. Stale markers are ends, not samples, and never show. With a step, each time on the grid
from ``start`` on takes the newest sample of the step that ends there, ``(t - step, t]``; times at which no series has
one are left out, as they are without a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from collectors.sample import METRIC_NAME, Labels, Matcher, Series, Times, Values, stale_mask

Selectors = Sequence[Sequence[Matcher]]

#: Cells of a window, about: some tens of megabytes while they are text.
_CELLS = 100_000
#: Samples of one series a second that windows are laid out for; more of them only make a window larger.
_RATE = 1.0
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
    source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int, step_ms: int | None = None
) -> Iterator[bytes]:
    """One row for each time, one column for each series that any selector means; times are inclusive.

    Yields pieces of UTF-8 text with ``\\n`` at the end of lines. Raises ``ValueError`` for a step below 1 ms.
    """
    columns = _columns(source, selectors, start_ms, end_ms)
    yield (",".join(["time", *(quote(text) for text in columns)]) + "\n").encode()
    for window in _windows(source, selectors, start_ms, end_ms, step_ms, len(columns)):
        by_text = {selector_text(series.labels): series for series in window}
        by_text = {text: by_text[text] for text in columns if text in by_text}  # not those that appeared meanwhile
        if not by_text:
            continue
        times = _union([series.times for series in by_text.values()])
        cells = [_iso(times)]
        cells += [_cells(times, by_text[text]) if text in by_text else [""] * len(times) for text in columns]
        yield "".join(",".join(row) + "\n" for row in zip(*cells, strict=True)).encode()


def csv_long(
    source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int, step_ms: int | None = None
) -> Iterator[bytes]:
    """One row for each sample, by time and then by series; else as :func:`csv_wide`."""
    yield b"time,series,value\n"
    width = len(_columns(source, selectors, start_ms, end_ms))
    for window in _windows(source, selectors, start_ms, end_ms, step_ms, width):
        window.sort(key=lambda series: selector_text(series.labels))
        names = [quote(selector_text(series.labels)) for series in window]
        times = np.concatenate([series.times for series in window])
        values = [text for series in window for text in format_values(series.values)]
        owner = np.repeat(np.arange(len(window)), [len(series.times) for series in window])
        order = np.argsort(times, kind="stable")
        rows = zip(_iso(times[order]), owner[order].tolist(), order.tolist(), strict=True)
        yield "".join(f"{time},{names[number]},{values[position]}\n" for time, number, position in rows).encode()


def selector_text(labels: Labels) -> str:
    """A label set as PromQL writes it: ``gpu_utilization_ratio{gpu="0"}``."""
    name = next((value for label, value in labels if label == METRIC_NAME), "")
    pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in labels if label != METRIC_NAME)
    return f"{name}{{{pairs}}}" if pairs or not name else name


def quote(text: str) -> str:
    """A CSV field: in quotes, and quotes doubled, where it holds a comma, a quote or the end of a line."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def format_values(values: Values) -> list[str]:
    """Each value as the shortest text that reads back as the same number; ``NaN`` and ``+Inf`` as in Prometheus."""
    texts = [text[:-2] if text.endswith(".0") else text for text in map(repr, values.tolist())]
    for position in np.flatnonzero(~np.isfinite(values)).tolist():
        texts[position] = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[texts[position]]
    return texts


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _columns(source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int) -> list[str]:
    """The selector texts of all series that any selector means, sorted, each once."""
    found = {labels for matchers in selectors for labels in source.labels(matchers, start_ms, end_ms)}
    return sorted(selector_text(labels) for labels in found)


def _windows(
    source: SeriesSource, selectors: Selectors, start_ms: int, end_ms: int, step_ms: int | None, width: int
) -> Iterator[list[Series]]:
    """The samples of one window after the other, without stale markers; windows without samples are left out."""
    if step_ms is not None and step_ms < 1:
        raise ValueError("the step must be at least one millisecond")
    span = source.span()
    if span is None or width == 0:
        return
    length = min(_LONGEST_WINDOW_MS, max(1, int(1000 * _CELLS / (width * _RATE))))
    if step_ms is None:
        first, last, stride = max(start_ms, span[0]), min(end_ms, span[1]), length
    else:
        # Grid points keep their distance from start; those before the oldest sample and beyond the newest have nothing.
        first = start_ms + max(0, span[0] - start_ms) // step_ms * step_ms
        last = min(end_ms, span[1] + step_ms)
        stride = max(step_ms, length // step_ms * step_ms)
    while first <= last:
        until = min(first + stride - 1, last)
        if step_ms is None:
            window = _read(source, selectors, first, until)
        else:
            window = _read_grid(source, selectors, (first, until, step_ms), length, span[0])
        if window:
            yield list(window.values())
        first += stride


def _read(source: SeriesSource, selectors: Selectors, first: int, last: int) -> dict[Labels, Series]:
    """All series of a window that have samples, each once."""
    found: dict[Labels, Series] = {}
    for matchers in selectors:
        for series in source.select(matchers, first, last):
            alive = ~stale_mask(series.values)
            if alive.any():
                found[series.labels] = Series(series.labels, series.times[alive], series.values[alive])
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


def _union(times: Sequence[Times]) -> Times:
    """All moments, ascending, each once; the usual case of shared moments is quick."""
    first = times[0]
    if all(other is first or np.array_equal(other, first) for other in times):
        return first
    return np.unique(np.concatenate(times))


def _cells(times: Times, series: Series) -> list[str]:
    """A column: the text of each value, empty where the series has no sample."""
    texts = format_values(series.values)
    if len(texts) == len(times):
        return texts
    cells = [""] * len(times)
    for row, text in zip(np.searchsorted(times, series.times).tolist(), texts, strict=True):
        cells[row] = text
    return cells


def _iso(times: Times) -> list[str]:
    """ISO 8601 in UTC with milliseconds: ``2026-11-21T08:00:00.000Z``."""
    texts: list[str] = np.datetime_as_string(times.astype("datetime64[ms]"), unit="ms", timezone="UTC").tolist()
    return texts
