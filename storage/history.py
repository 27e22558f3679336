"""History that lies in the file: chunks read and decoded, some series at a time, so that a month fits into memory."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
import orjson
import structlog
from sqlalchemy import Connection, Engine

from collectors.sample import Times, Values
from storage.block import MOMENTS, SERIES_BITS, SERIES_MASK, Block, chunk_id
from storage.bucket import decode_buckets
from storage.cache import DecodedCache, Key
from storage.codec import Index, decode_runs, decode_times, decode_values
from storage.crew import Crew
from storage.error import StorageError, storage_errors
from storage.piece import Part

logger = structlog.get_logger(__name__)

#: Samples that lie in memory at once while a query reads: 8 MB. One series may be larger.
GROUP_SAMPLES = 1_000_000
#: Queries that read more than this do not go through the cache: they would only empty it.
_CACHED_SAMPLES = 1_000_000
#: Whole series with different moments of which the times are remembered within a query.
_MOST_JOINTS = 8


#: A chunk's id, its runs and its values, as the file has them.
_Found = tuple[int, bytes | None, bytes]
Kept = TypeVar("Kept", Times, Values)


class _Chunk(NamedTuple):
    block: Block
    runs: bytes | None
    packed: bytes


class History:
    """Reads blocks of ``database``. Safe to use from any thread."""

    def __init__(self, database: Engine, cache: DecodedCache) -> None:
        self._database = database
        self._cache = cache
        self._crew = Crew()
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
        joints: dict[tuple[int, ...], Times | None] = {}
        with self._database.connect() as connection:
            for group in _groups(sizes):
                yield self._read_group(connection, group, blocks, None if cached else joints)

    def _read_group(
        self,
        connection: Connection,
        group: Collection[int],
        blocks: Sequence[Block],
        joints: dict[tuple[int, ...], Times | None] | None,
    ) -> dict[int, list[Part]]:
        """``joints`` are times laid end to end for whole series; without it, chunks are decoded one by one and kept."""
        parts: dict[int, list[Part]] = {id: [] for id in group}
        by_id = {block.id: block for block in blocks}
        moments: dict[int, Times] = {}
        chunks: dict[int, list[_Chunk]] = {id: [] for id in group}
        wanted = self._wanted(group, blocks, moments, parts if joints is None else None)
        packed_moments: list[tuple[Block, bytes]] = []
        for id, runs, packed in self._fetch(connection, wanted, by_id) if wanted else ():
            block, series = by_id[id >> SERIES_BITS], id & SERIES_MASK
            if series == MOMENTS:
                packed_moments.append((block, packed))
            else:
                chunks[series].append(_Chunk(block, runs, packed))
        for (block, _), times in zip(packed_moments, self._crew.map(_moments, packed_moments), strict=True):
            id = chunk_id(block.id, MOMENTS)
            if isinstance(times, StorageError):
                self._report(id, block, str(times))
            else:
                moments[block.id] = self._keep(("times", id), times)
        for series, found in chunks.items():
            found = [chunk for chunk in found if chunk.block.id in moments]
            whole = _whole(found, moments, joints, self._crew) if joints is not None and found else None
            parts[series] += [whole] if whole else self._decode(series, found, moments, cached=joints is None)
            parts[series].sort(key=lambda part: int(part.times[0]))  # those that the cache had came first
        return parts

    def _decode(
        self, series: int, chunks: Sequence[_Chunk], moments: Mapping[int, Times], *, cached: bool
    ) -> Iterator[Part]:
        """A series chunk by chunk; one that is damaged is left out."""
        parts = self._crew.map(lambda chunk: _part(chunk, moments[chunk.block.id]), chunks)
        for chunk, part in zip(chunks, parts, strict=True):
            id = chunk_id(chunk.block.id, series)
            if isinstance(part, StorageError):
                self._report(id, chunk.block, str(part))
                continue
            if cached and chunk.runs is None:
                self._keep(("values", id), part.values)
            yield part

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


def _moments(one: tuple[Block, bytes]) -> Times | StorageError:
    block, packed = one
    try:
        return decode_times(packed, block.count)
    except StorageError as error:
        return error


def _part(chunk: _Chunk, times: Times) -> Part | StorageError:
    block = chunk.block
    try:
        present: Index | None = None if chunk.runs is None else decode_runs(chunk.runs, block.count)
        count = block.count if present is None else len(present)
        if block.resolution_ms:
            values = decode_buckets(chunk.packed, count)
        else:
            values = np.empty(count, dtype=np.float64)
            decode_values(chunk.packed, values)
    except StorageError as error:
        return error
    if present is None:
        return Part(block.id, times, values)
    return Part((block.id, chunk.runs), times[present], values)


def _whole(
    chunks: Sequence[_Chunk], moments: Mapping[int, Times], joints: dict[tuple[int, ...], Times | None], crew: Crew
) -> Part | None:
    """A series that has all moments of its blocks, decoded into one array; None for one that is not so simple."""
    if any(chunk.runs is not None or chunk.block.resolution_ms for chunk in chunks):
        return None
    key = tuple(chunk.block.id for chunk in chunks)
    if key not in joints:
        if len(joints) >= _MOST_JOINTS:
            joints.clear()
        times = np.concatenate([moments[id] for id in key])
        joints[key] = times if bool((times[1:] > times[:-1]).all()) else None
    joint = joints[key]
    if joint is None:
        return None
    values = np.empty(len(joint), dtype=np.float64)
    ends = list(itertools.accumulate(chunk.block.count for chunk in chunks))
    places = [values[end - chunk.block.count : end] for chunk, end in zip(chunks, ends, strict=True)]
    try:
        crew.map(lambda pair: decode_values(pair[0].packed, pair[1]), list(zip(chunks, places, strict=True)))
    except StorageError:
        return None  # chunk by chunk it will be found out which
    return Part(key, joint, values)


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
