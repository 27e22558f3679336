"""Saves what plain reading can get out of a damaged database, table by table, into a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Engine

from storage.engine import connect_plainly
from storage.fact import read_fact

logger = structlog.get_logger(__name__)

#: Who may log in, and what people have done: saved at once, since the server needs it or nothing else has it.
SMALL = (
    "users",
    "tokens",
    "login_links",
    "alerts",
    "rule_texts",
    "silences",
    "maintenance",
    "ack_links",
    "channels",
    "dispatch_groups",
    "dispatch_log",
    "outbox",
    "actions",
    "incidents",
    "incident_entries",
    "audit",
)
#: What the journal's ticks and the blocks refer to: of no use unless it is whole.
_FOUNDATION = ("series", "facts")
#: The list of history; what it lists is copied later, see ``salvage``.
_HISTORY = ("layouts", "blocks")
_ROWS = 500

#: Facts that are about the old file itself.
_OWN_FACTS = ("damage", "salvage", "probe")

Value = int | float | str | bytes | None


class Rescue(NamedTuple):
    """How it went. ``saved``: rows by table; ``lost``: tables that could not be read to the end.

    ``history``: whether the new database goes on with the old one's series, blocks and journal.
    """

    saved: dict[str, int]
    lost: tuple[str, ...]
    history: bool


def rescue(old: Path, database: Engine) -> Rescue:
    """Copy what can be read of the small tables of ``old`` into the new and empty ``database``.

    Raises :class:`storage.error.StorageError` when the new one cannot be written.
    """
    saved: dict[str, int] = {}
    lost: list[str] = []
    with open_damaged(old) as source, database.begin() as connection:
        for table in SMALL:
            rows, whole = _read(source, connection, table)
            saved[table] = _insert(connection, table, rows)
            if not whole:
                lost.append(table)
        foundation = {table: _read(source, connection, table) for table in _FOUNDATION}
        history = all(whole for _, whole in foundation.values())
        if history:
            for table, (rows, _) in foundation.items():
                saved[table] = _insert(connection, table, rows)
            for name in _OWN_FACTS:
                connection.exec_driver_sql("DELETE FROM facts WHERE name = ?", (name,))
            history = read_fact(connection, "identity") is not None
        lost += [table for table, (_, whole) in foundation.items() if not whole]
        for table in _HISTORY if history else ():
            rows, whole = _read(source, connection, table)
            saved[table] = _insert(connection, table, rows)
            if not whole:
                lost.append(table)
        if history:  # a block without its list of series is none, and buckets are made anew where they can be
            connection.exec_driver_sql(
                "DELETE FROM blocks WHERE NOT ready OR layout NOT IN (SELECT id FROM layouts)"
                " OR (resolution_ms > 0 AND segment IS NULL)"
            )
    return Rescue(saved, tuple(lost), history)


@contextmanager
def open_damaged(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that reads a damaged file and changes nothing; None where SQLite knows no way into it."""
    try:
        connection = connect_plainly(path, read_only=True)
    except sqlite3.Error as error:
        logger.error("damaged_file_unreadable", path=str(path), error=str(error))
        yield None
        return
    with closing(connection):
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        yield connection


def columns(source: sqlite3.Connection | Connection, table: str) -> list[str]:
    """The names of a table's columns; none where there is no such table, or nobody knows."""
    try:
        if isinstance(source, Connection):
            found: Sequence[Any] = source.exec_driver_sql(f"PRAGMA table_info({table})").fetchall()
        else:
            found = source.execute(f"PRAGMA table_info({table})").fetchall()
    except sqlite3.Error:
        return []
    return [row[1] for row in found]


def _read(
    source: sqlite3.Connection | None, target: Connection, table: str
) -> tuple[dict[int, dict[str, Value]], bool]:
    """The rows that can be read, by rowid, and whether that is all of them: from the front, then from the back."""
    if source is None:
        return {}, False
    there = columns(source, table)
    if not there and _is_absent(source, table):
        return {}, True
    names = [name for name in columns(target, table) if name in there]
    if not names:
        return {}, False
    rows: dict[int, dict[str, Value]] = {}
    for order in ("ASC", "DESC"):
        try:
            quoted = ", ".join(f'"{name}"' for name in names)
            query = f"SELECT rowid, {quoted} FROM {table} NOT INDEXED ORDER BY rowid {order}"  # noqa: S608 - our own names
            for rowid, *values in source.execute(query):
                if rowid in rows:
                    return rows, False
                rows[rowid] = dict(zip(names, values, strict=True))
        except sqlite3.Error as error:
            logger.warning("table_damaged", table=table, rows=len(rows), error=str(error))
        else:
            return rows, order == "ASC"
    return rows, False


def _is_absent(source: sqlite3.Connection, table: str) -> bool:
    """Whether a file of an older version has no such table, so that nothing of it is lost."""
    try:
        names = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return False
    return bool(names) and table not in names


def _insert(connection: Connection, table: str, rows: dict[int, dict[str, Value]]) -> int:
    """Insert rows, those left out that the table does not take; returns how many there are then."""
    for row in rows.values():
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, tuple(row.values()))
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608 - our own names
