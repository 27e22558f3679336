"""Pieces of history: what memory and file have of a series, and how one answer is put together from them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Times, Values, stale_mask

#: Bytes of moments that are remembered within a query: of more, every series may have its own.
_MOST_BYTES = 32 * 1024 * 1024


class Piece(NamedTuple):
    """Some series over the same moments, in memory: ``times`` (n,) ascend strictly, ``values`` is (series, n).

    ``columns`` maps series id → row.
    """

    times: Times
    values: NDArray[np.float64]
    columns: Mapping[int, int]


class Part(NamedTuple):
    """One series' samples in one place, ``times`` ascending strictly; equal ``moments`` mean equal times.

    ``values`` has the shape of ``times``, or is a matrix of buckets, see ``bucket``.
    """

    moments: Hashable
    times: Times
    values: Values


class _Cut(NamedTuple):
    """The joint times of some parts inside the window, and where they begin and end in the parts laid end to end."""

    times: Times
    first: int
    last: int
    ascending: bool


class Assembler:
    """Joins the parts of one series after the other, inside one window; series with the same moments share an array."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._cuts: dict[tuple[Hashable, ...], _Cut] = {}
        self._bytes = 0

    def join(self, parts: Sequence[Part]) -> tuple[Times, Values]:
        """The samples of a series in the window (inclusive), each moment once; the arrays are read-only."""
        cut = self._cut(parts)
        values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
        values = values[cut.first : cut.last]
        times = cut.times
        if not cut.ascending:
            times, values = _put_in_order(times, values)
            inside = (times >= self._start_ms) & (times <= self._end_ms)
            times, values = times[inside], values[inside]
        times.flags.writeable = False
        values.flags.writeable = False
        return times, values

    def _cut(self, parts: Sequence[Part]) -> _Cut:
        key = tuple(part.moments for part in parts)
        known = self._cuts.get(key)
        if known is not None:
            return known
        times = parts[0].times if len(parts) == 1 else np.concatenate([part.times for part in parts])
        if len(parts) == 1 or bool((times[1:] > times[:-1]).all()):
            first = int(times.searchsorted(self._start_ms))
            last = int(times.searchsorted(self._end_ms, side="right"))
            cut = _Cut(times[first:last], first, last, ascending=True)
        else:
            cut = _Cut(times, 0, len(times), ascending=False)
        if self._bytes + times.nbytes > _MOST_BYTES:
            self._cuts.clear()
            self._bytes = 0
        self._cuts[key] = cut
        self._bytes += times.nbytes
        return cut


def _put_in_order(times: Times, values: Values) -> tuple[Times, Values]:
    """Sort by time: a source flaps between layouts, a series moves between sources, or history has been imported.

    Of two samples at the same moment, a value counts before the end that the other source wrote, then the later one.
    """
    order = np.lexsort((~stale_mask(values), times))
    times, values = times[order], values[order]
    last = np.append(times[1:] > times[:-1], True)
    return times[last], values[last]
