"""Deleting old history bit by bit, so that nobody waits long, and giving room back to the disk."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing

from sqlalchemy import Connection, Engine

from storage.block import Block, delete_block
from storage.fact import note_fact, read_number

#: Pages given back in one transaction.
_PAGES = 200
#: Between two transactions the lock stays free for so long: it is not a fair one, and an alert may be waiting.
_PAUSE_SECONDS = 0.005
#: Free pages are kept for new history up to this share of the file: moving pages about costs writes.
_FREE_SHARE = 0.1
_FREE_PAGES = 256


def delete_blocks(database: Engine, blocks: Sequence[Block]) -> None:
    """Delete blocks with their chunks, one transaction each; the readers must have let go of them before."""
    for block in blocks:
        with database.begin() as connection:
            delete_block(connection, block.id)
        time.sleep(_PAUSE_SECONDS)
    if blocks:
        with database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM layouts WHERE id NOT IN (SELECT layout FROM blocks)")
            note_fact(connection, "generation", read_number(connection, "generation") + 1)


def delete_series(connection: Connection, ids: Iterable[int]) -> None:
    """Delete series that nothing holds any more."""
    rows = [(id,) for id in ids]
    if rows:
        connection.exec_driver_sql("DELETE FROM series WHERE id = ?", rows)


def released(blocks: Collection[Block], kept: set[int]) -> set[int]:
    """The series of deleted blocks that nothing else holds."""
    distinct = {id(block.series): block.series for block in blocks}
    return set().union(*distinct.values()) - kept


def shrink(database: Engine) -> int:
    """Give free pages back to the disk while they are a tenth of the file or more; returns how many."""
    given = 0
    while True:
        with database.begin() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
            if free <= max(_FREE_PAGES, pages * _FREE_SHARE):
                return given
            # One page at a time: Python's driver takes one step of a statement without a result, and a step is a page.
            with closing(connection.connection.cursor()) as cursor:
                for _ in range(_PAGES):
                    cursor.execute("PRAGMA incremental_vacuum(1)")
            given += min(_PAGES, free)
        time.sleep(_PAUSE_SECONDS)
