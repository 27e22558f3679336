"""Looks after the store's files every few seconds: what was deleted, what may be written again, what has to be told."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import structlog

from storage.aside import COMPANIONS, free_name
from storage.damage import suspect
from storage.engine import Database, hurried
from storage.error import StorageError
from storage.fact import note_fact
from storage.reattach import copy_held, leave_log, write_anew
from storage.series import SeriesStore

logger = structlog.get_logger(__name__)

#: What was mended is told for so long.
TOLD_SECONDS = 600.0
_PROBE_WAIT_SECONDS = 0.5


class Guardian:
    """One for a process that writes. Used by one thread at a time."""

    def __init__(self, database: Database, store: SeriesStore) -> None:
        self._database = database
        self._store = store
        self._problems = store.problems
        self._known = _identities(database.path)
        self._replaced = False
        self._suspected = False
        self._seal_all = False

    def look(self) -> None:
        """Notice what has happened to the files since the last look, and mend what can be mended."""
        for part in (self._look_at_journal, self._look_at_database):
            try:
                part()
            except StorageError as error:  # the next look tries again; the problem is told already
                logger.warning("not_mended", error=str(error))
        if self._problems.hampered("database"):
            self._probe()
        if self._store.unreadable:
            self._problems.tell("chunks_unreadable", detail=f"{self._store.unreadable} chunks")
        if not self._suspected and self._problems.has("database_damaged"):
            self._suspected = True
            suspect(self._database.path)

    def close(self) -> None:
        """At the end of the process: keep what went into a file that has lost its name."""
        with suppress(StorageError):
            self._look_at_database()
        if self._replaced:
            target = free_name(self._database.path, "replaced", time.time_ns() // 1_000_000)
            copy_held(self._database, target)
            logger.warning("replaced_database_kept", file=target.name)

    def _look_at_journal(self) -> None:
        """Where the journal is gone, memory has what it held: that is sealed at once, and a new journal begun."""
        if self._store.journal_lost():
            self._problems.tell("journal_missing")
            self._store.begin_anew()
            self._seal_all = True
        if self._seal_all:
            self._store.seal(everything=True)
            self._seal_all = False
            self._problems.tell("journal_missing", seconds=TOLD_SECONDS)

    def _look_at_database(self) -> None:
        path = self._database.path
        now = _identities(path)
        if path.name not in now:
            self._problems.tell("database_missing")
            write_anew(self._database)
            self._known = _identities(path)
            self._problems.over("database_missing", "database")
            self._problems.tell("database_missing", seconds=TOLD_SECONDS)
            logger.warning("database_written_anew", path=str(path))
        elif now[path.name] != self._known.get(path.name):
            self._replaced = True
            self._problems.tell("database_replaced")
        elif any(now.get(name) != known for name, known in self._known.items()):
            logger.error("database_log_deleted", path=str(path))
            leave_log(self._database)
            self._known = {path.name: now[path.name]}
        else:
            self._known = now

    def _probe(self) -> None:
        """See whether the database can be written again; :class:`Problems` hear of it either way."""
        try:
            with hurried(_PROBE_WAIT_SECONDS), self._database.begin() as connection:
                note_fact(connection, "probe", time.time_ns() // 1_000_000)
        except StorageError as error:
            logger.debug("database_not_written_yet", error=str(error))


def _identities(path: Path) -> dict[str, tuple[int, int]]:
    """Device and inode of the database and of each companion that is there."""
    found = {}
    for companion in ("", *COMPANIONS):
        name = path.name + companion
        try:
            status = os.stat(path.with_name(name))
        except FileNotFoundError:
            continue
        found[name] = (status.st_dev, status.st_ino)
    return found
