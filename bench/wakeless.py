"""Wakeless under measurement: its history filled as collectors fill it, its server started on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import psutil

from bench.fleet import Stretch, ticks
from bench.peer import size_of
from storage.engine import open_database
from storage.series import SeriesStore
from tests.running import RunningServer

DATABASE = "wakeless.db"
#: Moments of all sources in one append: fewer and larger frames in the journal, the same blocks in the file.
TOGETHER = 12
RETENTION_DAYS = 3650


class Wakeless:
    """One Wakeless with its data below ``folder``. As a context manager it runs there, without a model."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.running = RunningServer(
            self.data, MODEL__ENABLED="false", AUTH__ANONYMOUS="viewer", STORAGE__RETENTION_DAYS=RETENTION_DAYS
        )
        self.port = self.running.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers; one that does not is ended."""
        try:
            self.running.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in order."""
        self.running.stop(within=60)

    @property
    def server(self) -> psutil.Process:
        """The process that answers."""
        return self.running.worker

    def feed(self, days: Iterable[list[Stretch]]) -> Iterator[int]:
        """Append day after day, sealed on the way and at the end as by a clean stop; yields the samples of each day."""
        database = open_database(self.data / DATABASE)
        store = SeriesStore(database)
        store.load()
        for day in days:
            moments = ticks(day)
            while together := list(itertools.chain.from_iterable(itertools.islice(moments, TOGETHER))):
                store.append(together)
                store.seal()  # moves something once there is a block of it, as when the server asks every 30 s
            yield sum(stretch.values.size for stretch in day)
        store.close()
        database.dispose()

    def size(self) -> int:
        """Bytes of everything in the data folder: the database with all its indices, and what is left beside it."""
        return size_of(self.data)
