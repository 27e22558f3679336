"""The data folder belongs to one supervisor at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class DataFolderTaken(Exception):
    """Another Wakeless runs on the same data folder."""


@contextmanager
def lock_data_folder(data_dir: Path) -> Iterator[None]:
    """Hold the data folder: two servers would end each other's series and load two models.

    Raises :class:`DataFolderTaken`.
    """
    with (data_dir / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderTaken(f"another Wakeless is running on data_dir {data_dir}") from None
        file.truncate(0)
        with suppress(OSError):  # a full disk: nobody can be told which process this is
            file.write(str(os.getpid()))
            file.flush()
        yield


def holder(data_dir: Path) -> int | None:
    """The supervisor that holds the data folder, by what it wrote; ask only when the folder is taken."""
    try:
        return int((data_dir / "lock").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
