"""The newest history, in memory: what rules, panels and most queries read, and what is sealed next.

It costs 8 bytes a sample, and 8 bytes a tick for its time: 300 series for two hours at one second take 17 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from collectors.sample import Times
from storage.block import Block
from storage.journal import Row
from storage.layout import Layout
from storage.piece import Part, Piece

#: Columns of a run. It doubles from one run to the next, so that a source whose layout keeps changing stays small.
FIRST_CAPACITY = 16
LARGEST_CAPACITY = 1024


class Run:
    """Ticks of one layout, one after another. Columns below ``count`` never change any more: readers need no copy.

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

    def push(self, row: Row) -> None:
        self.times[self.count] = row.time_ms
        self.values[:, self.count] = row.values
        self.last_ms = row.time_ms
        self.count += 1


class RunView(NamedTuple):
    """A run as it was at one moment: only its first ``filled`` columns are meant."""

    run: Run
    filled: int

    @property
    def bounds(self) -> tuple[int, int]:
        """The times of its first and its last tick."""
        return self.run.first_ms, self.run.last_ms

    @property
    def times(self) -> Times:
        """The moments, ascending."""
        return self.run.times[: self.filled]

    def cut(self, start_ms: int, end_ms: int) -> Piece | None:
        """What lies in the window (inclusive)."""
        times = self.times
        first = 0 if start_ms <= self.run.first_ms else int(times.searchsorted(start_ms))
        last = int(times.searchsorted(end_ms, side="right"))
        if first >= last:
            return None
        return Piece(times[first:last], self.run.values[:, first:last], self.run.columns)


class Section:
    """A segment of the journal, as it lies in memory: the runs of each source. Pushed and viewed under a lock.

    Once it has been sealed, ``blocks`` is what it has become in the file; memory still answers for it.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.runs: dict[str, list[Run]] = {}
        self.counts: dict[str, int] = {}
        self.last_ms = -1
        self.blocks: Sequence[Block] | None = None

    @classmethod
    def join(cls, sections: Sequence[Section], blocks: Sequence[Block]) -> Section:
        """Some sections that have been sealed together, oldest first, as one."""
        joint = cls(sections[-1].number)
        for section in sections:
            for source, runs in section.runs.items():
                joint.runs.setdefault(source, []).extend(runs)
        joint.last_ms = max(section.last_ms for section in sections)
        joint.blocks = blocks
        return joint

    def push(self, row: Row) -> None:
        """Add a tick, newer than all of its source."""
        source = row.layout.source
        runs = self.runs.setdefault(source, [])
        last = runs[-1] if runs else None
        same = last is not None and (last.layout is row.layout or last.layout.series == row.layout.series)
        if last is None or not same or last.count == len(last.times):
            capacity = min(2 * len(last.times), LARGEST_CAPACITY) if last is not None and same else FIRST_CAPACITY
            last = Run(row.layout, capacity, row.time_ms)
            runs.append(last)
        last.push(row)
        self.counts[source] = self.counts.get(source, 0) + 1
        self.last_ms = max(self.last_ms, row.time_ms)

    @property
    def samples(self) -> int:
        """All that it holds."""
        return sum(run.count * len(run.layout.series) for runs in self.runs.values() for run in runs)

    @property
    def longest(self) -> int:
        """The ticks of the source that has most."""
        return max(self.counts.values(), default=0)

    def view(self) -> SectionView:
        """What there is now."""
        return SectionView(
            self.number,
            {source: [RunView(run, run.count) for run in runs] for source, runs in self.runs.items()},
            self.blocks is not None,
        )


class SectionView(NamedTuple):
    """A section at one moment: the runs of each source, in order of time. Once ``sealed``, the file has it too."""

    number: int
    runs: Mapping[str, Sequence[RunView]]
    sealed: bool = False

    def pieces(self, ids: set[int], start_ms: int, end_ms: int) -> Iterator[tuple[int, Piece]]:
        """What it has of these series in the window (inclusive), in order of time for each source.

        Each with the number of its run, which is the same whatever series are asked for.
        """
        for number, view in enumerate(chain.from_iterable(self.runs.values())):
            if view.run.first_ms > end_ms or view.run.last_ms < start_ms or ids.isdisjoint(view.run.columns):
                continue
            piece = view.cut(start_ms, end_ms)
            if piece is not None:
                yield number, piece

    def series(self) -> set[int]:
        """All series that it has."""
        return {id for views in self.runs.values() for view in views for id in view.run.layout.series}

    def series_between(self, start_ms: int, end_ms: int) -> set[int]:
        """The series of all runs that overlap the window (inclusive)."""
        return {
            id
            for views in self.runs.values()
            for view in views
            if view.run.first_ms <= end_ms and view.run.last_ms >= start_ms
            for id in view.run.layout.series
        }


def head_parts(sections: Sequence[SectionView], ids: set[int], start_ms: int, end_ms: int) -> dict[int, list[Part]]:
    """What memory has of the series, in order of time for each source."""
    parts: dict[int, list[Part]] = {}
    for section in sections:
        for number, piece in section.pieces(ids, start_ms, end_ms):
            for series in ids.intersection(piece.columns):
                part = Part(("head", section.number, number), piece.times, piece.values[piece.columns[series]])
                parts.setdefault(series, []).append(part)
    return parts
