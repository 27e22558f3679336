"""Giving the database its files back after somebody deleted them: open connections still hold what was in them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from storage.aside import COMPANIONS, remove_database, sync_folder
from storage.engine import Database, create_file
from storage.error import StorageError, storage_errors


def write_anew(database: Database) -> None:
    """Write the file again from what an open connection holds, and use it from now on; nothing is lost.

    Writers wait meanwhile; ticks do not, since they need no database. Raises :class:`StorageError`, e.g. on a full
    disk; the next attempt may succeed for as long as the connections stay open.
    """
    path = database.path
    scratch = path.with_name(path.name + ".again")
    with database.writing(), storage_errors(path):
        copy_held(database, scratch)
        for companion in COMPANIONS:  # of the deleted file: SQLite would take them for the new one's
            path.with_name(path.name + companion).unlink(missing_ok=True)
        os.rename(scratch, path)
        sync_folder(path.parent)
        Engine.dispose(database)


def copy_held(database: Database, target: Path) -> None:
    """Copy the whole database, as an open connection sees it, into the new file ``target``."""
    remove_database(target)
    create_file(target)
    with database.connect() as connection, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        held = connection.connection.driver_connection
        assert isinstance(held, sqlite3.Connection)
        held.backup(copy)


def leave_log(database: Database) -> None:
    """Bring what the deleted write-ahead log holds into the file, and let new connections begin another log.

    Raises :class:`StorageError` while a long query holds the log; the next attempt may succeed.
    """
    with database.writing(), storage_errors(database.path):
        with database.connect() as connection:
            held = connection.connection.driver_connection
            assert isinstance(held, sqlite3.Connection)
            (busy, *_) = held.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StorageError(f"the log of {database.path} is in use", permanent=False)
        Engine.dispose(database)
