"""The one error of this room, and what SQLite's own errors mean in its words."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: What the file or its disk suffers from. Each but the last may be over without a restart.
Trouble = Literal["locked", "full", "disk", "read_only", "missing", "damaged"]

#: SQLite's primary result code → (the trouble, what to say, whether trying again is pointless until a person acts).
_MEANING: dict[int, tuple[Trouble, str, bool]] = {
    sqlite3.SQLITE_BUSY: ("locked", "is locked by another program", False),
    sqlite3.SQLITE_LOCKED: ("locked", "is locked by another program", False),
    sqlite3.SQLITE_FULL: ("full", "cannot grow: the disk is full", False),
    sqlite3.SQLITE_IOERR: ("disk", "cannot be read or written: the disk reports an error", False),
    sqlite3.SQLITE_READONLY: ("read_only", "cannot be written: the file or its folder is read-only", True),
    sqlite3.SQLITE_PERM: ("read_only", "cannot be opened: permission is missing", True),
    sqlite3.SQLITE_CANTOPEN: ("missing", "cannot be opened: check that its folder exists and may be written", True),
    sqlite3.SQLITE_CORRUPT: ("damaged", "is damaged", True),
    sqlite3.SQLITE_NOTADB: ("damaged", "is not a SQLite database, or is damaged", True),
}
_PRIMARY_CODE = 0xFF  # the low byte of an extended result code

#: The operating system's error → the trouble; any other is the disk's.
_SYSTEM: dict[int, Trouble] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "missing",
}


class StorageError(Exception):
    """The database cannot do what was asked. ``permanent`` says that trying again will not help.

    ``trouble`` is what the file or the disk suffers from; None where that is not the reason.
    """

    def __init__(self, message: str, *, permanent: bool, trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.trouble = trouble


def explain(error: BaseException, path: Path | str) -> StorageError:
    """Say in one line what an error of SQLite or the operating system means for the database at ``path``."""
    if isinstance(error, StorageError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None and code & _PRIMARY_CODE in _MEANING:
        trouble, words, permanent = _MEANING[code & _PRIMARY_CODE]
        return StorageError(f"the database {path} {words}", permanent=permanent, trouble=trouble)
    if isinstance(cause, PoolTimeout):
        return StorageError(f"the database {path} is busy: too many queries at once", permanent=False)
    if isinstance(cause, OSError):
        trouble = _SYSTEM.get(cause.errno or 0, "disk")
        return StorageError(f"the database {path} cannot be opened: {cause.strerror}", permanent=True, trouble=trouble)
    return StorageError(f"the database {path} failed: {' '.join(str(cause).split())}", permanent=False)


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn errors of the database and the file system inside the block into :class:`StorageError`."""
    try:
        yield
    except (sqlite3.Error, DBAPIError, PoolTimeout, OSError) as error:
        raise explain(error, path) from error
