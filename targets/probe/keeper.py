"""Writes down where probes stand: what has changed, all of it in one transaction, tried again until it is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Engine

from storage.error import StorageError
from targets.probe import record
from targets.probe.record import Kept, Stretch
from targets.probe.watched import Watched

_log = structlog.get_logger(__name__)


class Keeper:
    """Owns the tables of probes. ``lock`` guards what it writes; it is not held while the disk is waited for."""

    def __init__(self, database: Engine, lock: threading.Lock) -> None:
        self._database = database
        self._lock = lock
        self._writing = threading.Lock()
        self._complained = False

    def load(self) -> Kept | None:
        """What an earlier process has left; None while the database cannot be read."""
        try:
            with self._database.connect() as connection:
                return record.load(connection)
        except StorageError as error:
            self._complain(error)
            return None

    def write(self, candidates: Callable[[], Sequence[Watched]]) -> list[Watched]:
        """Write what has changed of these; returns those of which all that was to be written then has been."""
        with self._writing:
            with self._lock:
                changed = [one for one in candidates() if one.dirty or one.unwritten]
                dirty = [one for one in changed if one.dirty]
                records = [one.record() for one in dirty]
                stretches = [stretch for one in changed for stretch in one.unwritten]
                copies = [replace(stretch) for stretch in stretches]
                for one in dirty:
                    one.dirty = False
            if not changed:
                return []
            try:
                with self._database.begin() as connection:
                    ids = record.save(connection, records, copies)
            except StorageError as error:
                self._complain(error)
                with self._lock:
                    for one in dirty:
                        one.dirty = True
                return []
            self._complained = False
            with self._lock:
                _settle(changed, stretches, copies, ids)
            return changed

    def _complain(self, error: StorageError) -> None:
        if not self._complained:
            _log.warning("probes_not_kept", error=str(error))
        self._complained = True


def _settle(
    watched: Sequence[Watched], stretches: Sequence[Stretch], written: Sequence[Stretch], ids: Sequence[int | None]
) -> None:
    """Forget what has been written, but not what has changed meanwhile."""
    done: set[int] = set()
    for stretch, copy, row_id in zip(stretches, written, ids, strict=True):
        stretch.id = row_id
        if stretch.ended_ms == copy.ended_ms:
            done.add(id(stretch))
    for one in watched:
        one.unwritten = [stretch for stretch in one.unwritten if id(stretch) not in done]
