"""The newest history, in memory: what rules, panels and most queries read.

It costs 8 bytes a sample, and 8 bytes a tick for its time: 300 series for two hours at one second take 17 MB.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from collectors.sample import Times, Values
from storage.layout import Layout
from storage.piece import Piece

#: Columns of a block. It doubles from one block to the next, so that a source whose layout keeps changing stays small,
#: up to a size at which dropping whole blocks wastes little.
FIRST_CAPACITY = 16
LARGEST_CAPACITY = 1024


class _Block:
    """Ticks of one layout. Columns below ``count`` never change any more, so readers need no copy of them.

    Each series lies in one piece of memory: a select of one series reads 8 bytes a sample, not a cache line each.
    """

    __slots__ = ("columns", "count", "first_ms", "last_ms", "layout", "times", "values")

    def __init__(self, layout: Layout, capacity: int, time_ms: int) -> None:
        self.layout = layout
        self.columns: Mapping[int, int] = layout.columns
        self.times: Times = np.empty(capacity, dtype=np.int64)
        self.values = np.empty((len(layout.series), capacity), dtype=np.float64)
        self.count = 0
        self.first_ms = self.last_ms = time_ms

    def push(self, time_ms: int, row: Values) -> None:
        self.times[self.count] = time_ms
        self.values[:, self.count] = row
        self.last_ms = time_ms
        self.count += 1


class Row(NamedTuple):
    """A tick on its way into the store: ``values`` in the order of the layout."""

    time_ms: int
    layout: Layout
    values: Values


class _View(NamedTuple):
    """A source's blocks as they were at one moment; only the last of them is still written, beyond ``filled``."""

    blocks: tuple[_Block, ...]
    filled: int


class Snapshot(NamedTuple):
    """All of the head between two ticks. Times up to and including ``floor_ms`` are to be read from the file."""

    floor_ms: int
    views: Sequence[_View]

    def pieces(self, ids: set[int], start_ms: int, end_ms: int) -> list[Piece]:
        """What the head has of these series in the window (inclusive), in order of time for each source."""
        found: list[Piece] = []
        for view in self.views:
            mine = len(found)
            newest = len(view.blocks) - 1
            for number in range(newest, -1, -1):
                block = view.blocks[number]
                if block.first_ms > end_ms:
                    continue
                if number < newest and block.last_ms < start_ms:
                    break
                if ids.isdisjoint(block.columns):
                    continue
                piece = _cut(block, view.filled if number == newest else block.count, start_ms, end_ms)
                if piece is not None:
                    found.append(piece)
            found[mine:] = reversed(found[mine:])
        return found

    def series_between(self, start_ms: int, end_ms: int) -> set[int]:
        """The ids of all series that had a sample in the window, ends included."""
        ids: set[int] = set()
        for view in self.views:
            for block in view.blocks:
                if block.first_ms <= end_ms and block.last_ms >= start_ms:
                    ids.update(block.layout.series)
        return ids


def _cut(block: _Block, count: int, start_ms: int, end_ms: int) -> Piece | None:
    times = block.times[:count]
    first = 0 if start_ms <= block.first_ms else int(times.searchsorted(start_ms))
    last = int(times.searchsorted(end_ms, side="right"))
    if first >= last:
        return None
    return Piece(times[first:last], block.values[:, first:last], block.columns)


class Head:
    """One writer pushes rows; any thread takes snapshots, which cost a few microseconds and never wait for I/O."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._blocks: dict[str, tuple[_Block, ...]] = {}
        self._floor_ms = -1
        self._newest_ms = -1
        self._lock = threading.Lock()

    def start_at(self, floor_ms: int) -> None:
        """Say that everything up to ``floor_ms`` is in the file only."""
        with self._lock:
            self._floor_ms = max(self._floor_ms, floor_ms)

    def push(self, rows: Sequence[Row]) -> None:
        """Add the rows of one transaction: a reader sees all of them or none."""
        with self._lock:
            for row in rows:
                if row.time_ms > self._floor_ms:
                    self._push(row)
            self._trim()

    def snapshot(self) -> Snapshot:
        """What there is now."""
        with self._lock:
            views = [_View(blocks, blocks[-1].count) for blocks in self._blocks.values()]
            return Snapshot(self._floor_ms, views)

    def _push(self, row: Row) -> None:
        blocks = self._blocks.get(row.layout.source, ())
        last = blocks[-1] if blocks else None
        # By series, not by id: ids of layouts that have left the file are used again.
        same = last is not None and (last.layout is row.layout or last.layout.series == row.layout.series)
        if last is None or not same or last.count == len(last.times):
            capacity = min(2 * len(last.times), LARGEST_CAPACITY) if last is not None and same else FIRST_CAPACITY
            last = _Block(row.layout, capacity, row.time_ms)
            self._blocks[row.layout.source] = (*blocks, last)
        last.push(row.time_ms, row.values)
        self._newest_ms = max(self._newest_ms, row.time_ms)

    def _trim(self) -> None:
        """Drop blocks that are too old as a whole. What is left of the others below the floor is read from the file."""
        floor = self._newest_ms - self._length_ms
        if floor <= self._floor_ms:
            return
        self._floor_ms = floor
        for source, blocks in list(self._blocks.items()):
            if blocks[0].last_ms > floor:
                continue
            kept = tuple(block for block in blocks if block.last_ms > floor)
            if kept:
                self._blocks[source] = kept
            else:
                del self._blocks[source]
