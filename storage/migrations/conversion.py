"""From the first schema's rows, one for each tick, to blocks of history; a part of migration 0002.

It runs in the migration's one transaction: a kill leaves the file as it was. Beside the file it needs room for the
blocks, a tenth of it or so, and memory for what is on its way into a block. The rows are deleted with their table,
which costs next to nothing; retention then gives their room back to the disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import structlog
from sqlalchemy import Connection

from collectors.sample import STALE_BITS, Times, Values, stale_mask
from storage.codec import encode_runs, encode_times, encode_values

logger = structlog.get_logger(__name__)

#: A tick's key was ``time_ms << 20 | layout``.
_LAYOUT_BITS = 20
_LAYOUT_MASK = (1 << _LAYOUT_BITS) - 1
_PACKED = np.dtype("<f8")
_SERIES = np.dtype("<u4")
#: A chunk's key is ``block << 32 | series``; series 0 stands for the block's moments.
_SERIES_BITS = 32
#: Ticks of a block, and the time it spans, at most.
BLOCK_TICKS = 4096
_BLOCK_MS = 86_400_000
#: Rows that are read at once, and bytes of rows that wait for their block, of all sources together.
_PAGE_ROWS = 2000
_WAITING_BYTES = 64 * 1024 * 1024
_REPORT_SECONDS = 5.0


class _Layout(NamedTuple):
    """Which series a source wrote, as the first schema kept it."""

    source: str
    series: tuple[int, ...]
    open: bool


@dataclass(slots=True)
class _Waiting:
    """Ticks of one source that will be a block: a layout and a row of packed values for each moment."""

    times: list[int] = field(default_factory=list)
    layouts: list[int] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(map(len, self.rows))

    def fits(self, time_ms: int) -> bool:
        """Whether a tick of this time can come into the same block."""
        if not self.times:
            return True
        return len(self.times) < BLOCK_TICKS and self.times[-1] < time_ms < self.times[0] + _BLOCK_MS


def convert(connection: Connection) -> None:
    """Turn ``ticks`` and ``tick_layouts`` into blocks, ends of series that were open among them."""
    layouts = _layouts(connection)
    oldest, newest = connection.exec_driver_sql("SELECT min(id), max(id) FROM ticks").one()
    if newest is None:
        return
    first_ms, last_ms = oldest >> _LAYOUT_BITS, newest >> _LAYOUT_BITS
    progress = _Progress(first_ms, last_ms)
    waiting: dict[str, _Waiting] = {}
    for rows in _pages(connection):
        for key, values in rows:
            layout = layouts.get(key & _LAYOUT_MASK)
            if layout is None or len(values) != len(layout.series) * _PACKED.itemsize:
                progress.unusable += 1
                continue
            _take(connection, waiting, layouts, key >> _LAYOUT_BITS, key & _LAYOUT_MASK, values)
        if sum(one.bytes for one in waiting.values()) > _WAITING_BYTES:
            _flush(connection, waiting, layouts)
        progress.report(rows[-1][0] >> _LAYOUT_BITS, len(rows))
    for id, layout in layouts.items():  # the end of what was open, as every start writes it
        if layout.open and layout.series:
            _take(connection, waiting, layouts, last_ms + 1, id, _stale_row(len(layout.series)))
    _flush(connection, waiting, layouts)
    connection.exec_driver_sql("INSERT INTO facts (name, value) VALUES ('last_tick_ms', ?)", (str(last_ms),))
    progress.done()


class _Progress:
    """Tells the log how far it has come, now and then."""

    def __init__(self, first_ms: int, last_ms: int) -> None:
        self._first_ms, self._last_ms = first_ms, last_ms
        self._begun = self._told = time.monotonic()
        self._ticks = 0
        self.unusable = 0  #: rows whose layout is missing, or that are cut short
        logger.info("history_conversion_begun", first_ms=first_ms, last_ms=last_ms)

    def report(self, time_ms: int, ticks: int) -> None:
        self._ticks += ticks
        if time.monotonic() - self._told >= _REPORT_SECONDS:
            self._told = time.monotonic()
            share = (time_ms - self._first_ms) / max(self._last_ms - self._first_ms, 1)
            logger.info("history_conversion", percent=round(100 * share, 1), ticks=self._ticks)

    def done(self) -> None:
        seconds = round(time.monotonic() - self._begun, 1)
        logger.info("history_converted", ticks=self._ticks, unusable=self.unusable, seconds=seconds)


def _layouts(connection: Connection) -> dict[int, _Layout]:
    rows = connection.exec_driver_sql("SELECT id, source, series, ended_ms FROM tick_layouts")
    return {
        id: _Layout(source, tuple(np.frombuffer(series, dtype=_SERIES).tolist()), ended_ms is None)
        for id, source, series, ended_ms in rows
    }


def _pages(connection: Connection) -> Iterator[Sequence[tuple[int, bytes]]]:
    """All rows in order of time."""
    after = -1
    while True:
        rows: Sequence[tuple[int, bytes]] = connection.exec_driver_sql(
            'SELECT id, "values" FROM ticks WHERE id > ? ORDER BY id LIMIT ?', (after, _PAGE_ROWS)
        ).cursor.fetchall()
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _take(
    connection: Connection,
    waiting: dict[str, _Waiting],
    layouts: Mapping[int, _Layout],
    time_ms: int,
    layout: int,
    values: bytes,
) -> None:
    source = layouts[layout].source
    block = waiting.setdefault(source, _Waiting())
    if not block.fits(time_ms):
        _write(connection, source, block, layouts)
        block = waiting[source] = _Waiting()
    block.times.append(time_ms)
    block.layouts.append(layout)
    block.rows.append(values)


def _flush(connection: Connection, waiting: dict[str, _Waiting], layouts: Mapping[int, _Layout]) -> None:
    for source, block in waiting.items():
        if block.times:
            _write(connection, source, block, layouts)
    waiting.clear()


def _write(connection: Connection, source: str, block: _Waiting, layouts: Mapping[int, _Layout]) -> None:
    """Write a block with its chunks. It counts as sealed from segment 0, the one before the journal's first."""
    times = np.array(block.times, dtype=np.int64)
    columns = _columns(block, layouts)
    moments = encode_times(times)
    samples = sum(len(part) for values, _ in columns.values() for part in values)
    id = _insert_block(connection, source, times, samples, sorted(columns))
    chunks = [(id << _SERIES_BITS, len(times), None, None, None, None, moments)]
    chunks += [_chunk(id << _SERIES_BITS | series, *columns[series], len(times)) for series in sorted(columns)]
    connection.exec_driver_sql(
        'INSERT INTO chunks (id, "count", "min", "max", "sum", runs, "values") VALUES (?, ?, ?, ?, ?, ?, ?)', chunks
    )
    size = sum(len(chunk[-1]) for chunk in chunks)
    connection.exec_driver_sql("UPDATE blocks SET bytes = ? WHERE id = ?", (size, id))


def _insert_block(connection: Connection, source: str, times: Times, samples: int, series: Sequence[int]) -> int:
    packed = np.array(series, dtype=_SERIES).tobytes()
    connection.exec_driver_sql("INSERT OR IGNORE INTO layouts (series) VALUES (?)", (packed,))
    layout = connection.exec_driver_sql("SELECT id FROM layouts WHERE series = ?", (packed,)).scalar_one()
    row = (source, int(times[0]), int(times[-1]), len(times), samples, layout)
    return int(connection.exec_driver_sql(_INSERT_BLOCK, row).scalar_one())


_INSERT_BLOCK = (
    "INSERT INTO blocks (source, segment, ready, resolution_ms, start_ms, end_ms, count, samples, layout, bytes)"
    " VALUES (?, 0, 1, 0, ?, ?, ?, ?, ?, 0) RETURNING id"
)


def _columns(block: _Waiting, layouts: Mapping[int, _Layout]) -> dict[int, tuple[list[Values], list[Times]]]:
    """Series → its values and the positions of their moments in the block, run by run of equal layouts."""
    columns: dict[int, tuple[list[Values], list[Times]]] = {}
    kinds = np.array(block.layouts)
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    for begin, end in pairwise(edges):
        series = layouts[block.layouts[begin]].series
        matrix = np.frombuffer(b"".join(block.rows[begin:end]), dtype=_PACKED).reshape(end - begin, len(series))
        present = np.arange(begin, end)
        for id, values in zip(series, np.ascontiguousarray(matrix.T, dtype=np.float64), strict=True):
            known = columns.setdefault(id, ([], []))
            known[0].append(values)
            known[1].append(present)
    return columns


def _chunk(
    id: int, values: list[Values], present: list[Times], count: int
) -> tuple[int, int, float | None, float | None, float | None, bytes | None, bytes]:
    joint = np.concatenate(values)
    live = joint[~stale_mask(joint)]
    low, high, total = None, None, None
    if len(live):
        with np.errstate(all="ignore"):  # infinities, and sums beyond them
            low, high, total = float(np.fmin.reduce(live)), float(np.fmax.reduce(live)), float(live.sum())
    runs = None if len(joint) == count else encode_runs(np.concatenate(present))
    return id, len(live), low, high, total, runs, encode_values(joint)


def _stale_row(width: int) -> bytes:
    return np.full(width, STALE_BITS, dtype="<u8").tobytes()
