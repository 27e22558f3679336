"""Blocks: a stretch of one source's history as it lies in the file, and how it gets there.

A block's chunks are written first, some at a time, so that nobody waits long for the database; it counts once it is
published. What a kill leaves half-written is cleared away at the next start.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine

from collectors.sample import Times, Values, stale_mask
from storage.bucket import COUNT, DAY_MS, HIGH, LOW, SUM, day_of, encode_buckets
from storage.codec import Index, encode_runs, encode_times, encode_values
from storage.engine import unsynced
from storage.fact import note_fact, read_number
from storage.layout import pack_series

#: Bits of a chunk's id that hold the series.
SERIES_BITS = 32
SERIES_MASK = (1 << SERIES_BITS) - 1
#: What stands for the series in the chunk that holds a block's moments; ids of series begin with 1.
MOMENTS = 0
#: Samples that a block should have of a series: enough for the codec, few enough that a short window reads little.
BLOCK_SAMPLES = 4096
#: Bytes of chunks written in one transaction: some milliseconds.
PORTION_BYTES = 128 * 1024
#: Chunks deleted in one transaction: so, too.
PORTION_CHUNKS = 50
#: Between two transactions the lock stays free for so long: it is not a fair one, and an alert may be waiting.
_PAUSE_SECONDS = 0.001


class Column(NamedTuple):
    """One series of a block. ``present`` are the positions of its moments in the block's, None for all of them.

    ``values`` (n,), in a block of buckets (4, n), has as many as it has moments.
    """

    series: int
    values: Values
    present: Index | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """What is known of a block without reading it; both times are of samples in it, or of ends of buckets.

    A block of buckets is of one day. Its ``segment`` is None for as long as the samples are there that it was made of.
    """

    id: int
    source: str
    segment: int | None
    resolution_ms: int
    start_ms: int
    end_ms: int
    count: int
    samples: int
    series: frozenset[int]
    bytes: int

    @property
    def day(self) -> int:
        """The day that a block of buckets is of."""
        return day_of(self.end_ms)


def chunk_id(block: int, series: int) -> int:
    """The key of a series' samples in a block."""
    return block << SERIES_BITS | series


class BlockWriter:
    """Writes blocks into ``database``, from any thread or process."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def write(
        self,
        source: str,
        times: Times,
        columns: Sequence[Column],
        *,
        segment: int | None = None,
        resolution_ms: int = 0,
    ) -> Block:
        """Write the chunks of a new block, which nobody sees before :meth:`publish`.

        ``times`` (n,) ascend strictly; each series comes once. With a resolution they are buckets of one day.
        Raises :class:`storage.error.StorageError`.
        """
        columns = sorted(columns, key=lambda column: column.series)
        series = tuple(column.series for column in columns)
        bounds = (int(times[0]), int(times[-1]), len(times), sum(column.values.shape[-1] for column in columns))
        with unsynced(), self._database.begin() as connection:
            id = _next_id(connection)
            row = (id, source, segment, resolution_ms, *bounds, _layout(connection, series))
            connection.exec_driver_sql(_INSERT_BLOCK, row)
        portion: list[_Chunk] = [(chunk_id(id, MOMENTS), len(times), None, None, None, None, encode_times(times))]
        size, waiting = 0, len(portion[0][-1])
        for column in columns:
            portion.append(_bucket_chunk(id, column) if resolution_ms else _chunk(id, column))
            waiting += len(portion[-1][-1])
            if waiting >= PORTION_BYTES:
                self._insert(portion)
                size, waiting, portion = size + waiting, 0, []
                time.sleep(_PAUSE_SECONDS)
        self._insert(portion)
        return Block(id, source, segment, resolution_ms, *bounds, frozenset(series), size + waiting)

    def _insert(self, chunks: list[_Chunk]) -> None:
        if chunks:
            with unsynced(), self._database.begin() as connection:
                connection.exec_driver_sql(_INSERT_CHUNK, chunks)

    @staticmethod
    def publish(connection: Connection, blocks: Sequence[Block]) -> bool:
        """Make blocks count, in a write transaction of the caller's.

        The buckets of days to which they bring samples count no more, for as long as they can be made anew; returns
        whether there are such.
        """
        if not blocks:
            return False
        connection.exec_driver_sql(
            "UPDATE blocks SET ready = 1, bytes = ? WHERE id = ?", [(block.bytes, block.id) for block in blocks]
        )
        note_fact(connection, "generation", read_number(connection, "generation") + 1)
        days = [(DAY_MS, day_of(one.start_ms), day_of(one.end_ms)) for one in blocks if not one.resolution_ms]
        return bool(days) and connection.exec_driver_sql(_WITHDRAW_BUCKETS, days).rowcount > 0

    def clear(self, *, imported: bool) -> None:
        """Delete what a killed process has left unpublished: of the sealing, or of an import."""
        which = "segment IS NULL" if imported else "segment IS NOT NULL"
        self._clear(f"resolution_ms = 0 AND {which}")

    def clear_buckets(self) -> None:
        """Delete the buckets that a killed process has left unpublished, and those that were withdrawn."""
        self._clear("resolution_ms > 0")

    def _clear(self, which: str) -> None:
        with self._database.connect() as connection:
            left = connection.exec_driver_sql(f"SELECT id FROM blocks WHERE ready = 0 AND {which}").scalars().all()  # noqa: S608 - a constant
        for id in left:
            delete_block(self._database, id)


def delete_block(database: Engine, id: int) -> None:
    """Delete a block and its chunks, some at a time; the block itself last, so that a kill leaves nothing unknown."""
    while True:
        with unsynced(), database.begin() as connection:
            portion = (chunk_id(id, 0), chunk_id(id, SERIES_MASK), PORTION_CHUNKS)
            deleted = connection.exec_driver_sql(_DELETE_CHUNKS, portion).rowcount
            if deleted < PORTION_CHUNKS:
                connection.exec_driver_sql("DELETE FROM blocks WHERE id = ?", (id,))
                note_fact(connection, "deleted", max(id, read_number(connection, "deleted")))
                return
        time.sleep(_PAUSE_SECONDS)


_INSERT_BLOCK = (
    "INSERT INTO blocks (id, source, segment, ready, resolution_ms, start_ms, end_ms, count, samples, layout, bytes)"
    " VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 0)"
)
_INSERT_CHUNK = 'INSERT INTO chunks (id, "count", "min", "max", "sum", runs, "values") VALUES (?, ?, ?, ?, ?, ?, ?)'
#: Those of which samples have expired have a segment, and stay.
_WITHDRAW_BUCKETS = (
    "UPDATE blocks SET ready = 0 WHERE ready AND resolution_ms > 0 AND segment IS NULL"
    " AND (end_ms - 1) / ? BETWEEN ? AND ?"
)
_DELETE_CHUNKS = "DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)"


def _next_id(connection: Connection) -> int:
    """An id that no block has had: SQLite gives that of the last one again, once it has been deleted."""
    last = connection.exec_driver_sql("SELECT max(id) FROM blocks").scalar_one() or 0
    return max(int(last), read_number(connection, "deleted")) + 1


def _layout(connection: Connection, series: Sequence[int]) -> int:
    packed = pack_series(series)
    connection.exec_driver_sql("INSERT OR IGNORE INTO layouts (series) VALUES (?)", (packed,))
    return int(connection.exec_driver_sql("SELECT id FROM layouts WHERE series = ?", (packed,)).scalar_one())


#: id, count, min, max, sum, runs, values
_Chunk = tuple[int, int, float | None, float | None, float | None, bytes | None, bytes]


def _chunk(block: int, column: Column) -> _Chunk:
    values = column.values
    stale = stale_mask(values)
    live = values[~stale] if stale.any() else values
    low, high, total = None, None, None
    if len(live):
        with np.errstate(all="ignore"):  # infinities, and sums beyond the largest number
            low, high, total = float(np.fmin.reduce(live)), float(np.fmax.reduce(live)), float(live.sum())
    runs = None if column.present is None else encode_runs(column.present)
    return chunk_id(block, column.series), len(live), low, high, total, runs, encode_values(values)


def _bucket_chunk(block: int, column: Column) -> _Chunk:
    rows = column.values
    with np.errstate(all="ignore"):
        low, high = float(np.fmin.reduce(rows[LOW])), float(np.fmax.reduce(rows[HIGH]))
        count, total = int(rows[COUNT].sum()), float(rows[SUM].sum())
    runs = None if column.present is None else encode_runs(column.present)
    return chunk_id(block, column.series), count, low, high, total, runs, encode_buckets(rows)
