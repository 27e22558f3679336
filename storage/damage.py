"""Opening the database at a start, whatever its file is like: one that is damaged is moved aside and begun anew."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import orjson
import structlog
from sqlalchemy import Engine

from storage.aside import COMPANIONS, free_name, journal_folder, move_aside, remove_database, sync_folder
from storage.engine import Database, connect_plainly, open_database
from storage.error import StorageError, explain
from storage.fact import note_fact, read_fact
from storage.journal import owner
from storage.problem import Problems
from storage.rescue import Rescue, rescue
from storage.salvage import plan_salvage

logger = structlog.get_logger(__name__)

#: Read whole at every start, with their indexes: they are small, and nothing works without them. The rest, months of
#: history, would take seconds: a page of it that is damaged is left out of answers, and looked for at the next start.
_CHECKED = (
    *("facts", "series", "layouts", "blocks", "users", "tokens", "login_links", "alerts", "outbox", "incidents"),
    *("rule_texts", "silences", "maintenance", "channels", "dispatch_groups", "dispatch_log", "actions"),
)
#: How long people are told of what happened at a start.
TOLD_SECONDS = 86_400.0


def open_or_replace(path: Path, problems: Problems, now_ms: int | None = None) -> Database:
    """Open the database at ``path`` for the server; a damaged one becomes ``wakeless.db.damaged-TIME``.

    What can be read of it is in the new one then, and ``problems`` tell. Raises :class:`StorageError` where the file
    cannot be opened for another reason.
    """
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    _put_away_orphans(path, now_ms)
    try:
        database = _open_sound(path, problems)
    except StorageError as error:
        if error.trouble != "damaged":
            raise
        logger.critical("database_damaged", path=str(path), error=str(error))
        database = _replace(path, problems, now_ms)
    suspect_marker(path).unlink(missing_ok=True)
    _put_away_strange_journal(database, now_ms)
    _tell_of_damage(database, now_ms)
    return database


def suspect_marker(path: Path) -> Path:
    """A file that asks the next start for a look at every page of the database."""
    return path.with_name(path.name + ".suspect")


def suspect(path: Path) -> None:
    """Let the next start look at every page: damage was met while running."""
    with suppress(OSError):  # a full or read-only disk; the next process will meet the damage as well
        suspect_marker(path).touch(mode=0o600)


def acknowledge(database: Engine, problems: Problems) -> None:
    """Tell no more of what happened at a start. Raises :class:`StorageError`."""
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM facts WHERE name = 'damage'")
    problems.over("database_moved_aside")


def _open_sound(path: Path, problems: Problems) -> Database:
    """Open the database. Raises :class:`StorageError`, damaged, also where only reading it shows that."""
    was_there = path.exists()
    if was_there and path.stat().st_size == 0 and owner(journal_folder(path)) is not None:
        raise StorageError(f"the database {path} is empty, but its journal is not", permanent=True, trouble="damaged")
    if was_there:
        _check_pages(path)
    database = open_database(path, problems)
    try:
        if was_there:
            _check_tables(path)
    except BaseException:
        database.dispose(close=False)
        raise
    return database


def _check_tables(path: Path) -> None:
    """Raise :class:`StorageError` unless the small tables are sound."""
    try:
        with closing(connect_plainly(path)) as connection:
            found = [row[0] for table in _CHECKED for row in connection.execute(f"PRAGMA integrity_check({table})")]
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise explain(error, path) from error
        found = [str(error)]
    except sqlite3.Error as error:
        raise explain(error, path) from error
    wrong = [line for line in found if line != "ok"]
    if wrong:
        raise StorageError(f"the database {path} is damaged: {wrong[0]}", permanent=True, trouble="damaged")


def _check_pages(path: Path) -> None:
    """Look at all of the file if the last process has met damage."""
    if not suspect_marker(path).exists():
        return
    try:
        with closing(connect_plainly(path)) as connection:
            (line,) = connection.execute("PRAGMA integrity_check(1)").fetchone()  # a quick one looks into no index
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if line != "ok":
        raise StorageError(f"the database {path} is damaged: {line}", permanent=True, trouble="damaged")


def _replace(path: Path, problems: Problems, now_ms: int) -> Database:
    """Begin a new database with what can be saved, then let it take the place of the old one.

    A process that dies on the way leaves either the damaged one in its place, or the new one complete beside it.
    """
    target, fresh_path = free_name(path, "damaged", now_ms), fresh_name(path)
    remove_database(fresh_path)
    fresh = open_database(fresh_path)
    try:
        found = rescue(path, fresh)
        told = {"time_ms": now_ms, "file": target.name, "saved": found.saved, "lost": found.lost}
        with fresh.begin() as connection:
            note_fact(connection, "damage", orjson.dumps(told).decode())
            if found.history:
                plan_salvage(connection, target)
    finally:
        fresh.dispose()  # the last connection: what is in the log comes into the file
    move_aside(path, target, journal=False)
    os.rename(fresh_path, path)
    sync_folder(path.parent)
    problems.over("database_damaged", "database")
    logger.critical("database_moved_aside", file=target.name, saved=found.saved, lost=found.lost, history=found.history)
    return open_database(path, problems)


def fresh_name(path: Path) -> Path:
    """Where a new database is made that is to take the place of another."""
    return path.with_name(path.name + ".fresh")


def _put_away_orphans(path: Path, now_ms: int) -> None:
    """What belongs to a database file that is gone must not be taken for a new one's."""
    if path.exists():
        return
    left = [path.with_name(path.name + companion) for companion in COMPANIONS]
    if any(one.exists() for one in left):
        target = free_name(path, "deleted", now_ms)
        move_aside(path, target, journal=False)
        logger.error("database_gone", path=str(path), left=target.name)
    if fresh_name(path).exists():  # complete, or the damaged one would still be in its place
        os.rename(fresh_name(path), path)


def _put_away_strange_journal(database: Database, now_ms: int) -> None:
    """A journal of another database stays, under another name: its ticks mean nothing without the series of its own."""
    folder = journal_folder(database.path)
    found = owner(folder)
    with database.connect() as connection:
        identity = read_fact(connection, "identity")
    if found is not None and found != identity:
        target = folder.with_name(f"{database.path.name}.strange-{now_ms}.journal")
        folder.rename(target)
        logger.error("journal_of_another_database", moved_to=target.name)


def _tell_of_damage(database: Database, now_ms: int) -> None:
    """Say for a day what was done at a start."""
    with database.connect() as connection:
        noted = read_fact(connection, "damage")
    if noted is None:
        return
    told = orjson.loads(noted)
    left = TOLD_SECONDS - (now_ms - told["time_ms"]) / 1000
    if left > 0:
        detail = describe(told["file"], Rescue(told["saved"], tuple(told["lost"]), True))
        database.problems.tell("database_moved_aside", detail=detail, since_ms=told["time_ms"], seconds=left)


def describe(file: str, found: Rescue) -> str:
    """What was saved and what was not, in a line."""
    saved = ", ".join(f"{table} {count}" for table, count in found.saved.items())
    lost = ", ".join(found.lost) or "nothing"
    return f"moved to {file}; saved: {saved or 'nothing'}; not read to the end: {lost}"
