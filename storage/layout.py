"""Which series a source writes, in which order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: Layouts remembered by their content, for sources that switch between a few.
_REMEMBERED = 512


class Layout:
    """An ascending tuple of series ids that one source writes together. ``id`` means something to the journal only."""

    def __init__(self, id: int, source: str, series: tuple[int, ...]) -> None:
        self.id = id
        self.source = source
        self.series = series

    @cached_property
    def columns(self) -> Mapping[int, int]:
        """Series id → its place in the row."""
        return {series: column for column, series in enumerate(self.series)}


def pack_series(series: Iterable[int]) -> bytes:
    """Series ids as the file keeps them: little-endian uint32."""
    return np.fromiter(series, dtype="<u4").tobytes()


def unpack_series(packed: bytes) -> tuple[int, ...]:
    """The inverse of :func:`pack_series`."""
    return tuple(np.frombuffer(packed, dtype="<u4").tolist())


class LayoutRegistry:
    """Gives each list of series of a source a number; only those in use lately are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, tuple[int, ...]], Layout] = OrderedDict()
        self._next = 1

    def find(self, source: str, series: tuple[int, ...]) -> Layout:
        """The layout of this content."""
        key = (source, series)
        layout = self._known.get(key)
        if layout is None:
            layout = self._known[key] = Layout(self._next, source, series)
            self._next += 1
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return layout

    def forget(self) -> None:
        """Drop what is remembered, after series have left the file."""
        self._known.clear()


def gather_order(ids: Sequence[int]) -> tuple[tuple[int, ...], NDArray[np.intp] | None]:
    """How to bring samples, given by their series ids in order of arrival, into a layout's order.

    Returns the ascending ids and the positions to take them from, ``None`` when they are in order already.
    Of a series that came twice, the last sample counts.
    """
    last = {series: position for position, series in enumerate(ids)}
    series = tuple(sorted(last))
    if series == tuple(ids):
        return series, None
    return series, np.array([last[id] for id in series], dtype=np.intp)
