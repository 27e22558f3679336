"""The time-series store: what collectors wrote, kept as one row a tick in the file, the newest of it in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import structlog
from sqlalchemy import Connection, Engine

from collectors.sample import Hints, Labels, Matcher, Series, Tick
from storage.error import storage_errors
from storage.head import Head, Row
from storage.history import read_history, tick_pages
from storage.index import SeriesIndex
from storage.layout import LAYOUT_BITS, LAYOUT_MASK, MAX_TIME_MS, PACKED, Layout, LayoutCatalogue
from storage.piece import assemble
from storage.retention import delete_layouts, delete_series, delete_ticks, series_in_use, shrink
from storage.writer import Batch, TickWriter

logger = structlog.get_logger(__name__)

MINUTE_MS = 60_000


class SeriesStore:
    """One writer appends ticks; any thread selects.

    Rules of time: a tick that is not newer than its source's last one is dropped, counted and logged once for each
    run of them (a clock that stepped back, or a collector that came twice), so that times ascend strictly. While
    a clock is far behind what was recorded, ``wakeless_ticks_dropped_total`` is written all the same.
    A tick that cannot be written (a label that is not UTF-8) is dropped in the same way, without harm to the others.
    Rules of absence: a series that its source no longer writes gets a stale marker at the moment of the first tick
    without it; an empty tick ends all series of its source; after a restart :meth:`load` ends all that were open.
    """

    def __init__(self, engine: Engine, head_minutes: float = 120.0) -> None:
        self._engine = engine
        self._path = Path(engine.url.database or "")
        self._index = SeriesIndex()
        self._layouts = LayoutCatalogue()
        self._head = Head(int(head_minutes * MINUTE_MS))
        self._head_ms = int(head_minutes * MINUTE_MS)
        self._writer = TickWriter(self._index, self._layouts)
        self._last_tick_ms: int | None = None
        self._append_lock = threading.Lock()

    def load(self, now_ms: int) -> None:
        """Read the series, refill the head, and end every series that was open when the last process stopped.

        The ends are written one millisecond after the newest tick of all: until then that process was there, and a
        source that had stopped before has its own end. Of history older than the head's length at ``now_ms`` nothing
        is held in memory.
        """
        with self._append_lock, storage_errors(self._path):
            self._head = Head(self._head_ms)  # a load that failed halfway may be tried again
            with self._engine.connect() as connection:
                self._index.load(connection)
                newest: int | None = connection.exec_driver_sql("SELECT max(id) FROM ticks").scalar()
                if newest is not None:
                    self._last_tick_ms = newest >> LAYOUT_BITS
                    self._refill(connection, self._last_tick_ms, now_ms)
            with self._engine.begin() as connection:
                batch = self._writer.end_all(connection, self._last_tick_ms)
            self._publish(batch)

    def attach(self) -> None:
        """Read the series of a file that another process writes. For readers only: everything comes from the file."""
        with self._engine.connect() as connection:
            self._index.load(connection)
        self._head.start_at(MAX_TIME_MS)

    def append(self, ticks: Sequence[Tick]) -> None:
        """Write the ticks in one transaction, durable when this returns; readers then see all of them at once.

        Raises :class:`storage.error.StorageError`; nothing has been written then, and the next call may succeed.
        """
        if not ticks:
            return
        with self._append_lock:
            with self._engine.begin() as connection:
                batch = self._writer.prepare(connection, ticks)
            self._publish(batch)
            for row in batch.rows:
                self._last_tick_ms = max(self._last_tick_ms or 0, row.time_ms)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """The samples of all series that the matchers mean, within the window (inclusive), stale markers among them.

        Series without samples there are left out. The arrays are read-only. Windows that lie in the head touch no file.
        """
        ids = self._index.match(matchers)
        if not ids or start_ms > end_ms:
            return []
        snapshot = self._head.snapshot()
        pieces = []
        if start_ms <= snapshot.floor_ms:
            with storage_errors(self._path):
                pieces = read_history(self._engine, ids, max(start_ms, 0), min(end_ms, snapshot.floor_ms))
        pieces += snapshot.pieces(set(ids), max(start_ms, snapshot.floor_ms + 1), end_ms)
        return assemble(ids, pieces, self._index.labels_of)

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        """The series that a query looks at, one after another: all samples inside the windows of ``hints``."""
        return iter(self.select(matchers, hints.start_ms - hints.range_ms + 1, hints.end_ms))

    def labels(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """The label sets of matching series that were being written in the window (inclusive).

        Judged by when their layouts were in use, without reading samples: across a gap this may name a few too many.
        """
        ids = self._index.match(matchers)
        snapshot = self._head.snapshot()
        alive = snapshot.series_between(max(start_ms, snapshot.floor_ms + 1), end_ms)
        if start_ms <= snapshot.floor_ms and not alive.issuperset(ids):
            with self._engine.connect() as connection:
                for layout in LayoutCatalogue.between(connection, start_ms, min(end_ms, snapshot.floor_ms)):
                    alive.update(layout.series)
        found = (self._index.labels_of(id) for id in ids if id in alive)
        return [labels for labels in found if labels is not None]

    def last_tick_ms(self) -> int | None:
        """The time of the newest tick, earlier processes' among them once :meth:`load` has run; None without any."""
        return self._last_tick_ms

    def span(self) -> tuple[int, int] | None:
        """The times of the oldest and the newest row, ends of series among them; None when there is none."""
        with self._engine.connect() as connection:
            oldest, newest = connection.exec_driver_sql(
                "SELECT (SELECT min(id) FROM ticks), (SELECT max(id) FROM ticks)"
            ).one()
        return None if oldest is None else (oldest >> LAYOUT_BITS, newest >> LAYOUT_BITS)

    def expire(self, before_ms: int) -> int:
        """Delete ticks older than ``before_ms``, then layouts and series that nothing refers to; returns ticks deleted.

        Works in transactions of a few milliseconds, between which ticks are written, and gives room back to the disk.
        """
        with storage_errors(self._path):
            deleted = delete_ticks(self._engine, before_ms)
            self._head.start_at(before_ms - 1)
            self._forget_unused(before_ms)
            pages = shrink(self._engine)
        if deleted:
            logger.info("history_expired", ticks=deleted, before_ms=before_ms, pages_given_back=pages)
        return deleted

    @property
    def dropped(self) -> int:
        """Ticks that were dropped since this process started: not newer than their source's last, or unwritable."""
        return self._writer.dropped

    def _publish(self, batch: Batch) -> None:
        """Let readers see what has been committed; the index first, so that no sample is without labels."""
        self._writer.commit(batch)
        self._head.push(batch.rows)

    def _refill(self, connection: Connection, newest_ms: int, now_ms: int) -> None:
        floor_ms = max(newest_ms, min(now_ms, newest_ms + self._head_ms)) - self._head_ms
        self._head.start_at(floor_ms)
        layouts = {layout.id: layout for layout in LayoutCatalogue.between(connection, floor_ms, newest_ms)}
        for page in tick_pages(connection, max(floor_ms + 1, 0), newest_ms):
            self._head.push([_row_of(key, values, layouts) for key, values in page])

    def _forget_unused(self, before_ms: int) -> None:
        """Delete layouts that have no ticks any more, and series that are in no layout.

        Under the lock of ``append`` only what is short: there may be thousands of layouts to look through, so that is
        done before, and under the lock only those are looked at that were used since.
        """
        with self._append_lock:
            with self._engine.begin() as connection:
                suspects = delete_layouts(connection, before_ms)
            self._layouts.forget()
            looked_ms = self._last_tick_ms or 0
        if not suspects:
            return
        with self._engine.connect() as connection:
            suspects -= series_in_use(connection)
        with self._append_lock:
            with self._engine.begin() as connection:
                suspects -= series_in_use(connection, looked_ms)
                delete_series(connection, suspects)
            self._index.remove(suspects)


def _row_of(key: int, values: bytes, layouts: Mapping[int, Layout]) -> Row:
    """A row of the file as the head takes it."""
    return Row(key >> LAYOUT_BITS, layouts[key & LAYOUT_MASK], np.frombuffer(values, dtype=PACKED))
