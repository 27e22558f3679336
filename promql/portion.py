"""Windows copied out into the rows of a matrix, for what needs every sample beside its window's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from collectors.sample import Values
from promql.cut import Index
from promql.value import Present
from promql.window import Windows

#: Elements that one portion's matrix holds at most (a single window may be larger).
PORTION_ELEMENTS = 131_072
#: Windows of as many different sizes as this share of all are padded; of fewer, each size has portions of its own.
_MANY_SIZES = 1 / 16


@dataclass(frozen=True, slots=True)
class Portion:
    """Some windows' samples, one window per row.

    ``rows`` has shape (windows, longest) and belongs to whoever gets it. ``exists`` says which of its elements are the
    window's, always its first ones; it is None where all are. What does not exist is undefined.
    ``cells`` (windows,) are the windows' positions in the flattened (series, steps) grid, ``sizes`` (windows,) their
    numbers of samples, at least 1.
    """

    windows: Windows
    cells: Index
    sizes: Index
    rows: Values
    exists: Present | None

    def times(self) -> NDArray[np.int64]:
        """The samples' moments in ms, laid out like ``rows``."""
        windows = self.windows
        begin = np.broadcast_to(windows.begin, windows.low.shape).ravel()[self.cells]
        return _rows(windows.times, begin, self.rows.shape[1])

    def blank(self, rows: NDArray[np.float64]) -> Values:
        """``rows`` with zeros where nothing exists; may be ``rows`` itself."""
        if self.exists is not None:
            rows[~self.exists] = 0.0
        return rows


def over_portions(windows: Windows, function: Callable[[Portion], Values]) -> tuple[Values, Present]:
    """Put together what ``function`` gives for each portion's windows."""
    values = np.zeros(windows.low.size)
    for portion in portions(windows):
        windows.budget.check()
        values[portion.cells] = function(portion)
    return values.reshape(windows.low.shape), windows.count > 0


def portions(windows: Windows) -> Iterator[Portion]:
    """All windows that are not empty, in portions of bounded size."""
    low = windows.low.ravel()
    for cells, sizes in _groups(windows):
        while len(cells):
            fitting = sizes[: max(PORTION_ELEMENTS // int(sizes[0]), 1)]
            area = fitting * np.arange(1, len(fitting) + 1)
            taken = max(int(np.searchsorted(area, PORTION_ELEMENTS, side="right")), 1)
            some, longest = sizes[:taken], int(sizes[taken - 1])
            exists = None if some[0] == longest else np.arange(longest) < some[:, None]
            yield Portion(windows, cells[:taken], some, _rows(windows.values, low[cells[:taken]], longest), exists)
            cells, sizes = cells[taken:], sizes[taken:]


def _groups(windows: Windows) -> Iterator[tuple[Index, Index]]:
    """The cells of windows that are computed together, shortest first, and their sizes: each size alone if possible."""
    counts = windows.count.ravel()
    cells = np.flatnonzero(counts)
    cells = cells[np.argsort(counts[cells], kind="stable")]
    sizes = counts[cells]
    series, steps = windows.low.shape
    if len(counts) < series * steps:  # windows of the same size for all series
        cells = (cells[:, None] + steps * np.arange(series)).ravel()
        sizes = np.repeat(sizes, series)
    bounds = np.flatnonzero(sizes[1:] != sizes[:-1]) + 1
    if len(bounds) >= _MANY_SIZES * len(sizes):
        bounds = bounds[:0]
    yield from zip(np.split(cells, bounds), np.split(sizes, bounds), strict=True)


def _rows(data: NDArray[Any], begin: Index, width: int) -> NDArray[Any]:
    """``data[begin : begin + width]`` for every ``begin``, as rows of a new matrix; beyond the end is the last one."""
    if int(begin.max()) + width <= len(data):
        shape, strides = (len(data) - width + 1, width), data.strides * 2
        rows: NDArray[Any] = as_strided(data, shape, strides, writeable=False)[begin]
        return rows
    return data.take(begin[:, None] + np.arange(width), mode="clip")
