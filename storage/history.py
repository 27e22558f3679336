"""History that lies in the file: chunks read and decoded, some series at a time, so that a month fits into memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import numpy as np
import orjson
import structlog
from sqlalchemy import Connection, Engine

from collectors.sample import Times, Values
from storage.block import MOMENTS, SERIES_BITS, SERIES_MASK, Block, chunk_id
from storage.cache import DecodedCache, Key
from storage.codec import Index, decode_runs, decode_times, decode_values
from storage.error import StorageError, storage_errors
from storage.piece import Part

logger = structlog.get_logger(__name__)

#: Samples that lie in memory at once while a query reads: 8 MB. One series may be larger.
GROUP_SAMPLES = 1_000_000
#: Queries that read more than this do not go through the cache: they would only empty it.
_CACHED_SAMPLES = 1_000_000


#: A chunk's id, its runs and its values, as the file has them.
_Found = tuple[int, bytes | None, bytes]
Kept = TypeVar("Kept", Times, Values)


class History:
    """Reads blocks of ``database``. Safe to use from any thread."""

    def __init__(self, database: Engine, cache: DecodedCache) -> None:
        self._database = database
        self._cache = cache
        self._unreadable: set[int] = set()

    @property
    def unreadable(self) -> int:
        """Chunks that could not be read or decoded since the start: holes in the answers."""
        return len(self._unreadable)

    def read(self, ids: Sequence[int], blocks: Sequence[Block]) -> Iterator[dict[int, list[Part]]]:
        """The parts of each series in order of the blocks, for some series after the others.

        The parts of one series may be out of order. A damaged chunk is left out, counted and logged.
        Raises :class:`StorageError` when the database cannot be read.
        """
        sizes = _sizes(ids, blocks)
        cached = sum(sizes.values()) <= _CACHED_SAMPLES
        with self._database.connect() as connection:
            for group in _groups(sizes):
                yield self._read_group(connection, group, blocks, cached)

    def _read_group(
        self, connection: Connection, group: Collection[int], blocks: Sequence[Block], cached: bool
    ) -> dict[int, list[Part]]:
        parts: dict[int, list[Part]] = {id: [] for id in group}
        by_id = {block.id: block for block in blocks}
        moments: dict[int, Times] = {}
        wanted = self._wanted(group, blocks, moments, parts if cached else None)
        for id, runs, packed in self._fetch(connection, wanted, by_id) if wanted else ():
            block, series = by_id[id >> SERIES_BITS], id & SERIES_MASK
            try:
                if series == MOMENTS:
                    moments[block.id] = self._keep(("times", id), decode_times(packed, block.count))
                elif block.id in moments:
                    part = _decode(block, moments[block.id], runs, packed)
                    if cached and runs is None:
                        self._keep(("values", id), part.values)
                    parts[series].append(part)
            except StorageError as error:
                self._report(id, block, str(error))
        return parts

    def _fetch(self, connection: Connection, wanted: Sequence[int], blocks: Mapping[int, Block]) -> list[_Found]:
        """The rows of these chunks; where the file is damaged, those of them that can be read."""
        try:
            return self._select(connection, wanted)
        except StorageError as error:
            if error.trouble != "damaged":
                raise
        found: list[_Found] = []
        for id in wanted:
            try:
                found += self._select(connection, [id])
            except StorageError as error:
                if error.trouble != "damaged":
                    raise
                self._report(id, blocks[id >> SERIES_BITS], str(error))
        return found

    def _select(self, connection: Connection, ids: Sequence[int]) -> list[_Found]:
        with storage_errors(self._database.url.database or ""):
            rows = connection.exec_driver_sql(_SELECT_CHUNKS, (orjson.dumps(ids).decode(),))
            return cast("list[_Found]", rows.cursor.fetchall())

    def _wanted(
        self,
        group: Collection[int],
        blocks: Sequence[Block],
        moments: dict[int, Times],
        parts: dict[int, list[Part]] | None,
    ) -> list[int]:
        """The chunks to be read, a block's moments before its values. What the cache has is filled in right away."""
        wanted: list[int] = []
        picks: dict[frozenset[int], list[int]] = {}
        chosen = set(group)
        for block in blocks:
            series = picks.get(block.series)
            if series is None:
                series = picks[block.series] = sorted(chosen & block.series)
            if not series:
                continue
            times = self._cache.get(("times", chunk_id(block.id, MOMENTS)))
            if times is None:
                wanted.append(chunk_id(block.id, MOMENTS))
                parts_now = None
            else:
                moments[block.id] = cast("Times", times)
                parts_now = parts
            for id in series:
                values = None if parts_now is None else self._cache.get(("values", chunk_id(block.id, id)))
                if values is None or parts_now is None:
                    wanted.append(chunk_id(block.id, id))
                else:
                    parts_now[id].append(Part(block.id, moments[block.id], cast("Values", values)))
        return wanted

    def _keep(self, key: Key, array: Kept) -> Kept:
        array.flags.writeable = False
        self._cache.put(key, array)
        return array

    def _report(self, id: int, block: Block, problem: str) -> None:
        if id not in self._unreadable:
            self._unreadable.add(id)
            where = {"block": block.id, "source": block.source, "series": id & SERIES_MASK, "start_ms": block.start_ms}
            logger.error("chunk_unreadable", error=problem, **where)


_SELECT_CHUNKS = (
    'SELECT chunks.id, chunks.runs, chunks."values" FROM json_each(?) AS wanted'
    " CROSS JOIN chunks ON chunks.id = wanted.value"
)


def _decode(block: Block, times: Times, runs: bytes | None, packed: bytes) -> Part:
    present: Index | None = None if runs is None else decode_runs(runs, block.count)
    values = np.empty(block.count if present is None else len(present), dtype=np.float64)
    decode_values(packed, values)
    values.flags.writeable = False
    if present is None:
        return Part(block.id, times, values)
    return Part((block.id, runs), times[present], values)


def _sizes(ids: Sequence[int], blocks: Sequence[Block]) -> dict[int, int]:
    """Samples of each series in these blocks, at most."""
    by_layout: dict[frozenset[int], int] = {}
    for block in blocks:
        by_layout[block.series] = by_layout.get(block.series, 0) + block.count
    sizes: dict[int, int] = {}
    wanted = set(ids)
    for series, count in by_layout.items():
        for id in wanted & series:
            sizes[id] = sizes.get(id, 0) + count
    return {id: sizes.get(id, 0) for id in ids}


def _groups(sizes: dict[int, int]) -> Iterator[list[int]]:
    group: list[int] = []
    samples = 0
    for id, count in sizes.items():
        if group and samples + count > GROUP_SAMPLES:
            yield group
            group, samples = [], 0
        group.append(id)
        samples += count
    if group:
        yield group
