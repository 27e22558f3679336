"""Backups: the whole of a database and its journal as one file, made and put back while the server runs or not."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import structlog

from storage.aside import (
    COMPANIONS,
    free_name,
    journal_aside,
    journal_folder,
    move_aside,
    remove_database,
    sync_folder,
)
from storage.engine import HEAD_REVISION, connect_plainly, create_file, open_database
from storage.error import StorageError, storage_errors
from storage.journal import segments
from storage.series import SeriesStore

logger = structlog.get_logger(__name__)

#: Pages copied before progress is told: half a megabyte.
_PAGES = 512
#: Steps of SQLite's virtual machine between two signs of life of a check.
_STEPS = 2_000_000

#: Told how much is done, from 0 to 1, and of what.
Progress = Callable[[float, str], None]


def backup(path: Path, target: Path, progress: Progress, *, force: bool = False) -> int:
    """Write all that the database at ``path`` and its journal hold into the one file ``target``; returns its bytes.

    The server may run meanwhile: it is not held up, and the backup is of the moment at which it began. The file appears
    under its name when it is complete and has been checked, readable by its owner only.
    Raises :class:`StorageError`; ``target`` is as it was then.
    """
    _refuse(path, target, force)
    scratch = target.with_name(target.name + ".part.db")
    try:
        with storage_errors(target):
            _remove(scratch)
            _copy_journal(
                journal_folder(path), scratch
            )  # before the file: what is sealed in between is in both, and left out later
            _copy(path, scratch, lambda share: progress(0.7 * share, "copied"))
            _seal_journal(scratch)
            progress(0.75, "sealed")
            _check_pages(scratch, lambda share: progress(0.75 + 0.25 * share, "checked"))
            _sync_file(scratch)
            os.rename(scratch, target)
            sync_folder(target.parent)
            progress(1.0, "done")
            return target.stat().st_size
    finally:
        with suppress(OSError):
            _remove(scratch)


def place(file: Path, path: Path, progress: Progress) -> None:
    """Check a backup and lay a copy beside the database at ``path``, which the next start takes up.

    Of a database that was set aside with its journal, the copy has what is in the journal as well.
    Raises :class:`StorageError` when it is no backup, damaged, or of a newer version; nothing has changed then.
    """
    _check_kind(file)
    if path.exists() and os.path.samefile(file, path):
        raise StorageError(f"{file} is the database itself", permanent=True)
    scratch = path.with_name(path.name + ".restore.part")
    try:
        with storage_errors(path):
            _remove(scratch)
            _check_pages(file, lambda share: progress(0.5 * share, "checked"))
            _copy(file, scratch, lambda share: progress(0.5 + 0.5 * share, "copied"))
            if journal_aside(file).exists():
                _copy_journal(journal_aside(file), scratch)
                _seal_journal(scratch)
            _sync_file(scratch)
            os.rename(scratch, _waiting(path))
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            _remove(scratch)


def is_waiting(path: Path) -> bool:
    """Whether a backup waits for the next start, or is taking the place of the database right now."""
    return _waiting(path).exists() or _planned(path) is not None


def set_aside(path: Path) -> set[Path]:
    """The databases that restored ones have taken the place of."""
    found = path.parent.glob(f"{path.name}.replaced-*")
    return {one for one in found if not one.name.endswith((*COMPANIONS, ".journal"))}


def take_up_restored(path: Path, now_ms: int) -> Path | None:
    """Let a backup that waits take the place of the database, when nobody uses it.

    Returns where the present database lies now, with its journal; None where there was no backup or no database.
    Raises :class:`StorageError`. What dies on the way is gone on with at the next call, under the same names.
    """
    before = None
    with storage_errors(path):
        planned = _planned(path)
        if planned is None and _waiting(path).exists():
            target = free_name(path, "replaced", now_ms)
            planned = _waiting(path).with_name(target.name.replace(".replaced-", ".restore-"))
            os.rename(_waiting(path), planned)
        if planned is None:
            return None
        target = path.with_name(planned.name.replace(".restore-", ".replaced-"))
        move_aside(path, target, journal=True)
        before = target if target.exists() else None
        os.rename(planned, path)
        sync_folder(path.parent)
    logger.warning("database_restored", path=str(path), before=before.name if before else None)
    return before


def _waiting(path: Path) -> Path:
    """Where a backup waits for the next start."""
    return path.with_name(path.name + ".restore")


def _planned(path: Path) -> Path | None:
    """The backup for which the database is being moved aside; its name says under which."""
    return next(path.parent.glob(f"{path.name}.restore-*"), None)


def _refuse(path: Path, target: Path, force: bool) -> None:
    if not path.exists():
        raise StorageError(f"there is no database {path}", permanent=True)
    if not target.parent.is_dir():
        raise StorageError(f"there is no folder {target.parent}", permanent=True)
    if target.is_dir():
        raise StorageError(f"{target} is a folder", permanent=True)
    if target.exists() and (os.path.samefile(path, target) or not force):
        raise StorageError(f"{target} exists already", permanent=True)


def _copy_journal(journal: Path, scratch: Path) -> None:
    """Copy the journal's segments, so that their sealing meanwhile takes none away."""
    folder = journal_folder(scratch)
    folder.mkdir(mode=0o700)
    for segment in segments(journal):
        with suppress(FileNotFoundError):  # sealed this moment: the file has it
            shutil.copyfile(segment.path, folder / segment.path.name)


def _copy(path: Path, target: Path, told: Callable[[float], None]) -> None:
    """Copy one moment of a database, a few pages at a time."""

    def progress(_status: int, left: int, total: int) -> None:
        told(1 - left / max(total, 1))

    create_file(target)
    with (
        closing(connect_plainly(path, read_only=True)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # holds the moment: no write restarts the copy
        copy.execute("PRAGMA synchronous = OFF")  # synced once, at the end
        source.backup(copy, pages=_PAGES, progress=progress, sleep=0)
        copy.execute("PRAGMA journal_mode = DELETE")


def _seal_journal(scratch: Path) -> None:
    """Bring what the copied journal holds into the copied file, as an orderly stop would."""
    database = open_database(scratch)
    try:
        store = SeriesStore(database)
        store.load()
        store.close()
    finally:
        database.dispose()
    with closing(connect_plainly(scratch)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _check_kind(file: Path) -> None:
    """Raise :class:`StorageError` unless ``file`` looks like a database of this version, or of an older one."""
    if not file.is_file():
        raise StorageError(f"there is no file {file}", permanent=True)
    with storage_errors(file), closing(connect_plainly(file, read_only=True)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not {"alembic_version", "series", "users"} <= names:
            raise StorageError(f"{file} is not a backup of Wakeless", permanent=True)
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
    if revision > HEAD_REVISION:
        raise StorageError(f"{file} was made by a newer Wakeless (schema {revision})", permanent=True)


def _check_pages(path: Path, told: Callable[[float], None]) -> None:
    """Raise :class:`StorageError` unless every page and every index of the file is sound."""
    with storage_errors(path), closing(connect_plainly(path, read_only=True)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        done = 0

        def tick() -> int:
            nonlocal done
            done += 1
            told(done / (done + 1 + pages / 100_000))  # nobody knows how much is left: it comes nearer and nearer
            return 0

        connection.set_progress_handler(tick, _STEPS)
        (line,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if line != "ok":
        raise StorageError(f"{path} is damaged: {line}", permanent=True, trouble="damaged")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(scratch: Path) -> None:
    """Delete an unfinished backup with its journal."""
    remove_database(scratch)
    shutil.rmtree(journal_folder(scratch), ignore_errors=True)
