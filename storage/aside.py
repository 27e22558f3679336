"""Moving a database out of the way with all that belongs to it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from storage.error import storage_errors

#: What SQLite keeps beside a database file.
COMPANIONS = ("-wal", "-shm")


def journal_folder(path: Path) -> Path:
    """Where the journal of the database at ``path`` is."""
    return path.with_suffix(".journal")


def journal_aside(path: Path) -> Path:
    """Where the journal lies of a database that was moved aside to ``path``."""
    return path.with_name(path.name + ".journal")


def move_aside(path: Path, target: Path, *, journal: bool) -> None:
    """Rename a database to ``target``; ``journal``: its journal as well. What of it is not there is no mistake.

    Raises :class:`storage.error.StorageError` when the folder cannot be written.
    """
    with storage_errors(path.parent):
        if journal and journal_folder(path).exists():
            os.rename(journal_folder(path), journal_aside(target))
        for companion in ("", *COMPANIONS):  # the file first: it must never be opened without its log
            source = path.with_name(path.name + companion)
            if source.exists():
                os.rename(source, target.with_name(target.name + companion))
        sync_folder(path.parent)


def remove_database(path: Path) -> None:
    """Delete a database of ours that nobody uses: one that was never finished."""
    for companion in ("", *COMPANIONS):
        path.with_name(path.name + companion).unlink(missing_ok=True)


def free_name(path: Path, why: Literal["damaged", "replaced", "deleted"], now_ms: int) -> Path:
    """``wakeless.db.damaged-20261121T120000Z``, or with a number behind it where that is taken."""
    stamp = datetime.fromtimestamp(now_ms / 1000, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    name, number = f"{path.name}.{why}-{stamp}", 1
    while any(path.with_name(name + rest).exists() for rest in ("", ".journal", *COMPANIONS)):
        number += 1
        name = f"{path.name}.{why}-{stamp}-{number}"
    return path.with_name(name)


def sync_folder(folder: Path) -> None:
    """Make renames survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
