"""Deleting old history bit by bit, so that nobody waits long, and giving room back to the disk."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from storage.block import Block, delete_block
from storage.bucket import DAY_MS, whole_from
from storage.fact import note_fact, read_number

#: Bytes given back in one transaction: some milliseconds.
_PORTION_BYTES = 512 * 1024
#: Between two transactions the lock stays free for so long: it is not a fair one, and an alert may be waiting.
_PAUSE_SECONDS = 0.005
#: Free room is kept for new history up to this share of the file: moving pages about costs writes.
_FREE_SHARE = 0.1
_FREE_BYTES = 1024 * 1024


class Room(NamedTuple):
    """What the database takes on the disk, in bytes, its write-ahead log aside; ``free`` of it is unused."""

    bytes: int
    free: int
    page: int

    @classmethod
    def of(cls, connection: Connection) -> Room:
        """As it is in this transaction."""
        pages, free, page = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return cls(pages * page, free * page, page)

    @property
    def used(self) -> int:
        """What is in it."""
        return self.bytes - self.free


def withdraw(connection: Connection, blocks: Sequence[Block]) -> None:
    """Let blocks count no more, in a write transaction of the caller's; whoever clears up next may delete them."""
    if blocks:
        connection.exec_driver_sql(
            "UPDATE blocks SET ready = 0, segment = coalesce(segment, 0) WHERE id = ?",
            [(block.id,) for block in blocks],
        )
        note_fact(connection, "generation", read_number(connection, "generation") + 1)


def hold_buckets(connection: Connection, before_ms: int) -> None:
    """Note of which days buckets cannot be made anew, since samples before ``before_ms`` have expired."""
    connection.exec_driver_sql(
        "UPDATE blocks SET segment = 0 WHERE resolution_ms > 0 AND segment IS NULL AND (end_ms - 1) / ? < ?",
        (DAY_MS, whole_from(before_ms)),
    )


def delete_blocks(database: Engine, blocks: Sequence[Block]) -> None:
    """Delete blocks that do not count any more, with their chunks, in small transactions."""
    for block in blocks:
        delete_block(database, block.id)
        time.sleep(_PAUSE_SECONDS)
    if blocks:
        with database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM layouts WHERE id NOT IN (SELECT layout FROM blocks)")


def total_bytes(blocks: Iterable[Block]) -> int:
    """What their chunks take."""
    return sum(block.bytes for block in blocks)


def oldest(blocks: Sequence[Block], share: float) -> int | None:
    """The moment before which blocks end that take a ``share`` of the bytes of all; None when there is no block."""
    left = share * total_bytes(blocks)
    before_ms = None
    for block in sorted(blocks, key=lambda block: block.end_ms):
        before_ms = block.end_ms + 1
        left -= block.bytes
        if left <= 0:
            break
    return before_ms


def delete_series(connection: Connection, ids: Collection[int]) -> None:
    """Delete series that nothing holds any more."""
    if ids:
        connection.exec_driver_sql("DELETE FROM series WHERE id = ?", [(id,) for id in ids])
        note_fact(connection, "deleted_series", max(*ids, read_number(connection, "deleted_series")))


def released(blocks: Collection[Block]) -> set[int]:
    """The series that deleted blocks held."""
    distinct = {id(block.series): block.series for block in blocks}
    return set().union(*distinct.values())


def shrink(database: Engine, most_bytes: int | None = None) -> int:
    """Give free room back to the disk while it is a tenth of the file, or the file is larger than ``most_bytes``.

    Returns the bytes given back.
    """
    given = 0
    while True:
        with database.begin() as connection:
            room = Room.of(connection)
            too_large = most_bytes is not None and room.bytes > most_bytes
            if room.free <= (0 if too_large else max(_FREE_BYTES, room.bytes * _FREE_SHARE)):
                return given
            # One page at a time: Python's driver takes one step of a statement without a result, and a step is a page.
            pages = min(_PORTION_BYTES, room.free) // room.page
            with closing(connection.connection.cursor()) as cursor:
                for _ in range(pages):
                    cursor.execute("PRAGMA incremental_vacuum(1)")
            given += pages * room.page
        time.sleep(_PAUSE_SECONDS)
