"""Deleting old history bit by bit, so that no tick waits long, and giving room back to the disk."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

from sqlalchemy import Connection, Engine

from storage.layout import tick_key, unpack_series

#: Rows deleted in one transaction: a few milliseconds.
_ROWS = 500
#: Pages given back in one transaction.
_PAGES = 200
#: Between two transactions the lock stays free for so long: it is not a fair one, and a tick may be waiting.
_PAUSE_SECONDS = 0.005
#: Free pages are kept for new history up to this share of the file: moving pages about costs writes.
_FREE_SHARE = 0.1
_FREE_PAGES = 256


def delete_ticks(database: Engine, before_ms: int) -> int:
    """Delete all ticks older than ``before_ms``; returns how many."""
    bound = tick_key(before_ms, 0)
    deleted = 0
    while True:
        with database.begin() as connection:
            upper = connection.exec_driver_sql(
                f"SELECT id FROM ticks WHERE id < ? ORDER BY id LIMIT 1 OFFSET {_ROWS}",  # noqa: S608 - a constant
                (bound,),
            ).scalar()
            deleted += connection.exec_driver_sql(
                "DELETE FROM ticks WHERE id < ?", (bound if upper is None else upper,)
            ).rowcount
        if upper is None:
            return deleted
        time.sleep(_PAUSE_SECONDS)


def delete_layouts(connection: Connection, before_ms: int) -> set[int]:
    """Delete layouts that ended before ``before_ms``; returns the series that they held."""
    rows = connection.exec_driver_sql("DELETE FROM layouts WHERE ended_ms < ? RETURNING series", (before_ms,)).scalars()
    return {series for packed in rows.all() for series in unpack_series(packed)}


def series_in_use(connection: Connection, since_ms: int = 0) -> set[int]:
    """The series of all layouts that were in use at ``since_ms`` or later."""
    rows = connection.exec_driver_sql(
        "SELECT series FROM layouts WHERE ended_ms IS NULL OR ended_ms >= ?", (since_ms,)
    ).scalars()
    return {series for packed in rows for series in unpack_series(packed)}


def delete_series(connection: Connection, ids: Iterable[int]) -> None:
    """Delete series that no layout holds any more."""
    rows = [(id,) for id in ids]
    if rows:
        connection.exec_driver_sql("DELETE FROM series WHERE id = ?", rows)


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
