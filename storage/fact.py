"""What the store knows of itself, kept in the file beside the history it is about."""

from __future__ import annotations

import secrets
from typing import Literal

from sqlalchemy import Connection

#: ``identity``: of this database, named by the journal. ``sealed``: the journal's last segment that is all in blocks.
#: ``last_tick_ms``: the newest tick in them. ``horizon_ms``: samples before it have expired. ``generation``: grows with
#: every change of the list of blocks, so that processes notice each other's.
#: ``deleted``: the highest id of a block that was deleted; none is given twice, as decoded chunks are remembered by it.
#: ``deleted_series``: the same of series: an import may hold the ids of some that it has not written samples of yet.
#: ``damage``: what became of the file before this one, as JSON. ``salvage``: how far its history has been copied.
#: ``probe``: when it was last seen that the file can be written, after a trouble. ``first_start_ms``: since when there
#: is a service, for its uptime.
Fact = Literal[
    "identity",
    "sealed",
    "last_tick_ms",
    "horizon_ms",
    "generation",
    "deleted",
    "deleted_series",
    "damage",
    "salvage",
    "probe",
    "first_start_ms",
]


def read_fact(connection: Connection, name: Fact) -> str | None:
    """The fact; None where nobody has noted it."""
    value: str | None = connection.exec_driver_sql("SELECT value FROM facts WHERE name = ?", (name,)).scalar()
    return value


def read_number(connection: Connection, name: Fact) -> int:
    """The fact as a number; 0 where nobody has noted it."""
    return int(read_fact(connection, name) or 0)


def note_fact(connection: Connection, name: Fact, value: str | int) -> None:
    """Note a fact in place of what was known."""
    connection.exec_driver_sql("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, str(value)))


def identity(connection: Connection) -> str:
    """The database's own name, given to it when it is first asked for; needs a write transaction."""
    known = read_fact(connection, "identity")
    if known is None:
        known = secrets.token_hex(8)
        note_fact(connection, "identity", known)
    return known
