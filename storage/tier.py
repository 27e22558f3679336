"""Makes the buckets of days that are over, one day after another, beside everything else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import structlog
from sqlalchemy import Connection, Engine

from collectors.sample import Times, Values
from storage.block import BlockWriter, Column
from storage.bucket import DAY_MS, day_of, into_buckets, whole_from
from storage.fact import read_fact, read_number
from storage.reader import SeriesReader
from storage.retention import hold_buckets
from storage.timeline import View

logger = structlog.get_logger(__name__)

#: The source that blocks of buckets name: they are of all sources, since a series may move from one to another.
SOURCE = "buckets"
#: Numbers that lie in memory at once, and in one block: 8 MB.
PORTION = 1_000_000
#: Half of the time is left to others.
_STRETCH_SECONDS = 0.02

_Row = tuple[int, Times, Values]


class Tier:
    """Works for one process that writes; used by one thread at a time."""

    def __init__(self, database: Engine, store: SeriesReader) -> None:
        self._database = database
        self._store = store
        self._blocks = BlockWriter(database)
        self._nothing: dict[int, set[int]] = {}  # days of which these blocks held no sample

    def step(self, resolution_ms: int, now_ms: int) -> bool:
        """Make the buckets of one day, the oldest that lacks them; False where there is none.

        A day is due once it is over and all of it is in the file. Raises :class:`storage.error.StorageError`.
        """
        with self._database.connect() as connection:
            if read_fact(connection, "salvage") is not None:
                return False  # what is being copied from a damaged file is missing still
        view = self._store.look()
        for day in _due(view, resolution_ms, now_ms):
            with self._database.connect() as connection:
                listed = _listed(connection, day)
            if listed != self._nothing.get(day):
                self._make(day, resolution_ms, listed)
                return True
        return False

    def _make(self, day: int, resolution_ms: int, listed: set[int]) -> None:
        """``listed`` are the blocks that hold the day's samples: others come, or some go, and it was for nothing."""
        self._blocks.clear_buckets()
        began = time.monotonic()
        view = self._store.look()
        rows = self._rows(view, day, resolution_ms)
        blocks = [
            self._blocks.write(SOURCE, *_columns(portion), resolution_ms=resolution_ms) for portion in _portions(rows)
        ]
        with self._database.begin() as connection:
            undisturbed = _listed(connection, day) == listed
            if undisturbed and blocks:
                connection.exec_driver_sql(_WITHDRAW_DAY, (DAY_MS, day))
                self._blocks.publish(connection, blocks)
                hold_buckets(connection, read_number(connection, "horizon_ms"))
        if undisturbed and not blocks:
            self._nothing[day] = listed
        self._store.look()
        series = sum(len(block.series) for block in blocks)
        seconds = round(time.monotonic() - began, 3)
        if undisturbed:
            size = sum(block.bytes for block in blocks)
            logger.info("buckets_made", day=day, series=series, bytes=size, seconds=seconds)
        else:
            logger.info("buckets_disturbed", day=day, seconds=seconds)

    def _rows(self, view: View, day: int, resolution_ms: int) -> Iterator[_Row]:
        """The buckets of every series that has any."""
        rested = time.monotonic()
        for id, times, values in self._store.samples(view, day * DAY_MS + 1, (day + 1) * DAY_MS):
            ends, rows = into_buckets(times, values, resolution_ms)
            if len(ends):
                yield id, ends, rows
            if time.monotonic() - rested > _STRETCH_SECONDS:
                time.sleep(_STRETCH_SECONDS)
                rested = time.monotonic()


def _due(view: View, resolution_ms: int, now_ms: int) -> list[int]:
    """The days that may have samples and lack buckets of this resolution, the oldest first.

    Buckets of another one are made anew where all of the samples are still there.
    """
    first_whole = whole_from(view.horizon_ms)
    done = {
        block.day
        for block in view.catalogue.tier
        if block.resolution_ms == resolution_ms or block.segment is not None or block.day < first_whole
    }
    bounds = [(block.start_ms, block.end_ms) for block in view.catalogue.blocks]
    bounds += [view_.bounds for section in view.sections for views in section.runs.values() for view_ in views]
    unsealed_ms = view.unsealed_ms()
    end = day_of(now_ms if unsealed_ms is None else min(unsealed_ms, now_ms))
    days: set[int] = set()
    for first_ms, last_ms in bounds:
        days.update(range(day_of(max(first_ms, view.horizon_ms)), min(day_of(last_ms) + 1, end)))
    return sorted(days - done)


def _listed(connection: Connection, day: int) -> set[int]:
    """The blocks that may hold samples of a day."""
    return set(connection.exec_driver_sql(_BLOCKS_OF_DAY, (day * DAY_MS, (day + 1) * DAY_MS)).scalars())


_BLOCKS_OF_DAY = "SELECT id FROM blocks WHERE ready AND resolution_ms = 0 AND end_ms > ? AND start_ms <= ?"
_WITHDRAW_DAY = "UPDATE blocks SET ready = 0 WHERE ready AND resolution_ms > 0 AND (end_ms - 1) / ? = ?"


def _portions(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    portion: list[_Row] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += row[2].size
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _columns(portion: Sequence[_Row]) -> tuple[Times, list[Column]]:
    """The ends of all buckets, and each series' buckets with the ends at which it has any."""
    times = np.unique(np.concatenate([ends for _, ends, _ in portion]))
    return times, [
        Column(id, rows, None if len(ends) == len(times) else times.searchsorted(ends)) for id, ends, rows in portion
    ]
