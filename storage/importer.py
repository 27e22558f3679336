"""Taking in history from elsewhere: samples become blocks of the file beside those of the collectors.

It works in a process of its own while the server runs, which notices what was published. Whatever is there already is
left out, so that an import that was killed is simply run again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from sqlalchemy import Connection, Engine

from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Times, stale_mask
from storage.block import Block, BlockWriter
from storage.block import Column as BlockColumn
from storage.error import StorageError
from storage.fact import note_fact, read_number
from storage.index import Key, insert_series, pack_labels
from storage.openmetrics import Column
from storage.series import SeriesStore
from storage.window import Buffer, Moments, Stretch, stretches

#: The source that imported blocks name.
SOURCE = "import"
#: Samples wait in memory, 16 bytes each or more, up to this size: the more of them, the more series share moments.
BUFFER_BYTES = 192 * 1024 * 1024
#: Series registered in one transaction: some milliseconds.
_SERIES = 500


_COUNT_SERIES = "SELECT count(*) FROM series WHERE id IN (SELECT value FROM json_each(?))"


@dataclass(slots=True)
class Summary:
    """What an import has done so far."""

    read: int = 0
    samples: int = 0  #: written
    skipped: int = 0  #: were there already, or came twice
    expired: int = 0  #: written, but older than what is kept
    series: int = 0  #: that any sample was written of


class Importer:
    """Takes columns in any order and writes them. ``keep_from_ms``: older samples are going to expire."""

    def __init__(self, database: Engine, keep_from_ms: int = 0, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._database = database
        self._keep_from_ms = keep_from_ms
        self._buffer_bytes = buffer_bytes
        self._writer = BlockWriter(database)
        self._buffer = Buffer()
        self._ids: dict[Labels, int] = {}
        self.summary = Summary()

    def take(self, columns: Iterable[Column]) -> None:
        """Take some samples, and write all that wait once they are many. Raises :class:`StorageError`."""
        columns = list(columns)
        self._buffer.add(columns)
        self.summary.read += sum(len(column.times) for column in columns)
        if self._buffer.bytes >= self._buffer_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what waits; each window counts as soon as it is written."""
        moments = Moments()
        store = SeriesStore(self._database)
        for number, window in enumerate(self._buffer.drain(moments)):
            if number == 0:
                self._lower_horizon(min(int(column.times[0]) for column in window))
                store.attach()
            fresh = list(_left_out(store, window, moments))
            self._write(stretches(fresh))
            self.summary.skipped += sum(len(column.times) for column in window)
            self.summary.skipped -= sum(len(column.times) for column in fresh)
        self.summary.skipped += self._buffer.doubled
        self._buffer.doubled = 0

    def _write(self, found: Sequence[Stretch]) -> None:
        if not found:
            return
        self._register({labels for stretch in found for labels, _, _ in stretch.columns})
        blocks = []
        for times, columns in found:
            mine = [BlockColumn(self._ids[labels], values, present) for labels, values, present in columns]
            blocks.append(self._writer.write(SOURCE, times, mine))
        with self._database.begin() as connection:
            self._keep_series(connection, blocks)
            self._writer.publish(connection, blocks)
        for times, columns in found:
            self.summary.samples += sum(len(values) for _, values, _ in columns)
            for _, _, present in columns:
                own = times if present is None else times[present]
                self.summary.expired += int(own.searchsorted(self._keep_from_ms))
        self.summary.series = len(self._ids)

    def _register(self, wanted: Iterable[Labels]) -> None:
        fresh = sorted(labels for labels in wanted if labels not in self._ids)
        for first in range(0, len(fresh), _SERIES):
            with self._database.begin() as connection:
                ids = {labels: insert_series(connection, _key(labels)) for labels in fresh[first : first + _SERIES]}
            self._ids.update(ids)

    def _keep_series(self, connection: Connection, blocks: Sequence[Block]) -> None:
        """Put back what the server has deleted meanwhile, because no block held it.

        Raises :class:`StorageError` where a series has come back there since, under another id.
        """
        written = set[int]().union(*(block.series for block in blocks))
        keys = [(id, *_key(labels)) for labels, id in self._ids.items() if id in written]
        connection.exec_driver_sql(
            "INSERT OR IGNORE INTO series (id, name, labels) VALUES (?, ?, ?)",
            [(id, name, pack_labels(labels)) for id, name, labels in keys],
        )
        there = connection.exec_driver_sql(_COUNT_SERIES, (orjson.dumps(sorted(written)).decode(),)).scalar_one()
        if there < len(written):
            raise StorageError("series have expired and come back meanwhile; run the import again", permanent=False)

    def _lower_horizon(self, oldest_ms: int) -> None:
        """Show samples that are older than what had expired before; retention decides about them anew."""
        with self._database.begin() as connection:
            if read_number(connection, "horizon_ms") > oldest_ms:
                note_fact(connection, "horizon_ms", oldest_ms)


def _left_out(store: SeriesStore, window: Sequence[Column], moments: Moments) -> Iterator[Column]:
    """The columns of a window without the samples that the store has; those without any sample left are left out."""
    first = min(int(column.times[0]) for column in window)
    last = max(int(column.times[-1]) for column in window)
    known = set(store.labels((), first, last)).intersection(column.labels for column in window)
    present: dict[Labels, Times] = {}
    for name in {_key(labels)[0] for labels in known}:
        hints = Hints(last, last, 0, last - first + 1)
        for series in store.stream([Matcher(METRIC_NAME, "=", name)], hints):
            if series.labels in known:
                present[series.labels] = series.times[~stale_mask(series.values)]
    for column in window:
        there = present.get(column.labels)
        if there is None or not len(there):
            yield column
            continue
        fresh = ~np.isin(column.times, there, assume_unique=True)
        if fresh.all():
            yield column
        elif fresh.any():
            yield Column(column.labels, moments.share(column.times[fresh]), column.values[fresh])


def _key(labels: Labels) -> Key:
    """A label set as the table of series has it."""
    return dict(labels)[METRIC_NAME], tuple(pair for pair in labels if pair[0] != METRIC_NAME)


@contextmanager
def only_import(database: Engine) -> Iterator[None]:
    """Be the only import, and clear away what a killed one has left. Raises :class:`StorageError`."""
    folder = os.open(Path(database.url.database or "").parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError("another import is running", permanent=False) from None
        BlockWriter(database).clear(imported=True)
        yield
    finally:
        os.close(folder)
