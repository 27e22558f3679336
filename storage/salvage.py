"""Brings the history of a database that was moved aside into the new one, bit by bit, beside everything else."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection

from storage.block import SERIES_MASK, chunk_id
from storage.engine import Database
from storage.fact import note_fact, read_fact
from storage.layout import unpack_series
from storage.rescue import columns, open_damaged

logger = structlog.get_logger(__name__)

#: One step works for about so long; its transactions are far shorter.
STEP_SECONDS = 0.25
_PORTION_BYTES = 128 * 1024
_REQUESTS = 200

Row = tuple[Any, ...]


def plan_salvage(connection: Connection, old: Path) -> None:
    """Note what is to be copied from ``old``, in the transaction that lists its blocks."""
    last = connection.exec_driver_sql("SELECT max(id) FROM blocks").scalar() or 0
    plan = {"file": old.name, "block": 0, "last": last, "request": 0, "chunks": 0, "missing": 0}
    note_fact(connection, "salvage", orjson.dumps(plan).decode())


class Salvage:
    """Goes on where the last process stopped. Used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done = False

    def step(self) -> bool:
        """Work for a moment; whether there is more to do. Raises :class:`storage.error.StorageError`."""
        if self._done:
            return False
        with self._database.connect() as connection:
            noted = read_fact(connection, "salvage")
        if noted is None:
            self._done = True
            return False
        plan: dict[str, Any] = orjson.loads(noted)
        deadline = time.monotonic() + STEP_SECONDS
        with open_damaged(self._database.path.with_name(plan["file"])) as source:
            while source is not None and (self._copy_block(source, plan) or self._copy_requests(source, plan)):
                if time.monotonic() >= deadline:
                    return True
        self._end(plan)
        return False

    def _end(self, plan: dict[str, Any]) -> None:
        with self._database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM facts WHERE name = 'salvage'")
        self._done = True
        logger.info("history_salvaged", file=plan["file"], chunks=plan["chunks"], missing=plan["missing"])

    def _copy_block(self, source: sqlite3.Connection, plan: dict[str, Any]) -> bool:
        """Copy the chunks of the next block; False when there is none."""
        with self._database.connect() as connection:
            found = connection.exec_driver_sql(_NEXT_BLOCK, (plan["block"], plan["last"])).one_or_none()
            names = [name for name in columns(connection, "chunks") if name in columns(source, "chunks")]
        if found is None or not names:
            return False
        id, packed = found
        rows, missing = _chunks(source, names, id, [0, *unpack_series(packed)])
        plan |= {"block": id, "chunks": plan["chunks"] + len(rows), "missing": plan["missing"] + missing}
        marks = ", ".join("?" * len(names))
        insert = f"INSERT OR IGNORE INTO chunks ({_quoted(names)}) VALUES ({marks})"  # noqa: S608 - our own names
        while True:
            portion = _portion(rows)
            with self._database.begin() as connection:
                still_there = connection.exec_driver_sql("SELECT 1 FROM blocks WHERE id = ?", (id,)).scalar()
                if portion and still_there:
                    connection.exec_driver_sql(insert, portion)
                if not rows or not still_there:
                    note_fact(connection, "salvage", orjson.dumps(plan).decode())
                    return True

    def _copy_requests(self, source: sqlite3.Connection, plan: dict[str, Any]) -> bool:
        """Copy the next rows of the request log under new ids; False when there are none, or none can be read."""
        with self._database.connect() as connection:
            names = [name for name in columns(connection, "requests") if name in columns(source, "requests")]
        names = [name for name in names if name != "id"]
        query = f"SELECT id, {_quoted(names)} FROM requests WHERE id > ? ORDER BY id LIMIT {_REQUESTS}"  # noqa: S608 - our own names
        try:
            rows = source.execute(query, (plan["request"],)).fetchall() if names else []
        except sqlite3.Error as error:
            logger.warning("requests_not_salvaged", after=plan["request"], error=str(error))
            return False
        if not rows:
            return False
        plan["request"] = rows[-1][0]
        marks = ", ".join("?" * len(names))
        insert = f"INSERT OR IGNORE INTO requests ({_quoted(names)}) VALUES ({marks})"  # noqa: S608 - our own names
        with self._database.begin() as connection:
            connection.exec_driver_sql(insert, [tuple(row[1:]) for row in rows])
            note_fact(connection, "salvage", orjson.dumps(plan).decode())
        return True


_NEXT_BLOCK = (
    "SELECT blocks.id, layouts.series FROM blocks JOIN layouts ON layouts.id = blocks.layout"
    " WHERE blocks.id > ? AND blocks.id <= ? ORDER BY blocks.id LIMIT 1"
)


def _chunks(
    source: sqlite3.Connection, names: Sequence[str], block: int, series: Sequence[int]
) -> tuple[list[Row], int]:
    """The chunks of a block that can be read, and how many cannot."""
    select = f"SELECT {_quoted(names)} FROM chunks WHERE id BETWEEN ? AND ?"  # noqa: S608 - our own names
    try:
        rows: list[Row] = source.execute(select, (chunk_id(block, 0), chunk_id(block, SERIES_MASK))).fetchall()
    except sqlite3.Error:
        rows = []
        for one in series:
            try:
                rows += source.execute(select, (chunk_id(block, one),) * 2).fetchall()
            except sqlite3.Error as error:
                logger.warning("chunk_not_salvaged", block=block, series=one, error=str(error))
    return rows, len(series) - len(rows)


def _portion(rows: list[Row]) -> list[Row]:
    """Take the first rows off, as many as one transaction should write."""
    count = size = 0
    while count < len(rows) and size < _PORTION_BYTES:
        size += sum(len(value) for value in rows[count] if isinstance(value, bytes))
        count += 1
    portion, rows[:] = rows[:count], rows[count:]
    return portion


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
