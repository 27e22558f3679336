"""All blocks of the file, in memory, without their samples: so that a query knows what to read before it reads."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from sqlalchemy import Connection

from collectors.sample import Hints
from storage.block import Block
from storage.layout import unpack_series


class _Ordered:
    """Blocks in order of time."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.blocks: tuple[Block, ...] = tuple(sorted(blocks, key=lambda block: (block.start_ms, block.id)))
        self._starts = np.array([block.start_ms for block in self.blocks], dtype=np.int64)
        self._ends = np.array([block.end_ms for block in self.blocks], dtype=np.int64)

    def between(self, start_ms: int, end_ms: int) -> Sequence[Block]:
        return self._pick((self._starts <= end_ms) & (self._ends >= start_ms))

    def ended(self, before_ms: int) -> Sequence[Block]:
        return self._pick(self._ends < before_ms)

    def touched(self, hints: Hints) -> Sequence[Block]:
        if hints.step_ms <= hints.range_ms:
            return self.between(hints.start_ms - hints.range_ms + 1, hints.end_ms)
        # The first window that ends at or after the block's start has to begin before the block's end.
        ordinal = np.maximum(-((hints.start_ms - self._starts) // hints.step_ms), 0)
        window_end = hints.start_ms + ordinal * hints.step_ms
        return self._pick((window_end <= hints.end_ms) & (window_end - hints.range_ms < self._ends))

    def _pick(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Sequence[Block]:
        return [self.blocks[position] for position in np.flatnonzero(mask).tolist()]


class Catalogue:
    """An immutable list of blocks in order of time. Changes make a new one, so that readers need no lock.

    ``blocks`` hold samples; ``tier`` are those of buckets, which nobody sees who does not ask for them.
    """

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        blocks = list(blocks)
        self._samples = _Ordered(block for block in blocks if not block.resolution_ms)
        self._buckets = _Ordered(block for block in blocks if block.resolution_ms)
        self.blocks = self._samples.blocks
        self.tier = self._buckets.blocks

    @classmethod
    def load(cls, connection: Connection) -> Catalogue:
        """Read the file's list; one of years takes some milliseconds."""
        layouts = {
            id: frozenset(unpack_series(series))
            for id, series in connection.exec_driver_sql("SELECT id, series FROM layouts")
        }
        rows = connection.exec_driver_sql(
            "SELECT id, source, segment, resolution_ms, start_ms, end_ms, count, samples, layout, bytes"
            " FROM blocks WHERE ready"
        )
        return cls(
            Block(id, source, segment, resolution_ms, start_ms, end_ms, count, samples, layouts[layout], size)
            for id, source, segment, resolution_ms, start_ms, end_ms, count, samples, layout, size in rows
        )

    def __len__(self) -> int:
        return len(self.blocks)

    def plus(self, fresh: Collection[Block]) -> Catalogue:
        """With some more blocks."""
        return Catalogue({block.id: block for block in (*self.blocks, *self.tier, *fresh)}.values())

    def minus(self, ids: Collection[int]) -> Catalogue:
        """Without some blocks."""
        gone = set(ids)
        return Catalogue(block for block in (*self.blocks, *self.tier) if block.id not in gone)

    def between(self, start_ms: int, end_ms: int) -> Sequence[Block]:
        """The blocks that overlap a window (inclusive)."""
        return self._samples.between(start_ms, end_ms)

    def ended(self, before_ms: int) -> Sequence[Block]:
        """The blocks that end before a moment."""
        return self._samples.ended(before_ms)

    def touched(self, hints: Hints) -> Sequence[Block]:
        """The blocks that hold moments in any of a query's windows, as far as their ends tell."""
        return self._samples.touched(hints)

    def touched_buckets(self, hints: Hints) -> Sequence[Block]:
        """The blocks of buckets in any of a query's windows."""
        return self._buckets.touched(hints) if self.tier else ()

    def buckets(self, hints: Hints) -> Sequence[Block]:
        """Those of them of which every window holds whole ones."""
        grain_ms = math.gcd(hints.start_ms, hints.step_ms, hints.range_ms)
        return [block for block in self.touched_buckets(hints) if grain_ms % block.resolution_ms == 0]

    def ended_buckets(self, before_ms: int) -> Sequence[Block]:
        """The blocks of buckets that end before a moment."""
        return self._buckets.ended(before_ms)

    def last_times(self) -> dict[str, int]:
        """The newest sample's time of each source whose ticks were sealed; what was imported does not count."""
        newest: dict[str, int] = {}
        for block in self.blocks:
            if block.segment is not None:
                newest[block.source] = max(block.end_ms, newest.get(block.source, block.end_ms))
        return newest

    def series(self) -> set[int]:
        """The series of all blocks, those of buckets among them."""
        distinct = {id(block.series): block.series for block in (*self.blocks, *self.tier)}
        return set().union(*distinct.values())
