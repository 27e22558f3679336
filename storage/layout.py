"""Which series a source writes, in which order; and how time and layout make the key of a tick's row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from storage.error import StorageError

LAYOUT_BITS = 20
LAYOUT_MASK = (1 << LAYOUT_BITS) - 1
#: The times that a row's key can hold: from 1970 to the year 2248.
MAX_TIME_MS = (1 << (63 - LAYOUT_BITS)) - 1
#: Layouts remembered by their content, for sources that switch between a few.
_REMEMBERED = 512

#: Values as they lie in a row of ``ticks``, whatever the machine's own byte order.
PACKED = np.dtype("<f8")


def tick_key(time_ms: int, layout: int) -> int:
    """The key of a tick's row: ordered by time first."""
    return time_ms << LAYOUT_BITS | layout


class Layout:
    """An ascending tuple of series ids that one source writes together."""

    def __init__(self, id: int, source: str, series: tuple[int, ...]) -> None:
        self.id = id
        self.source = source
        self.series = series

    @cached_property
    def columns(self) -> Mapping[int, int]:
        """Series id → its place in the row."""
        return {series: column for column, series in enumerate(self.series)}


def pack_series(series: Iterable[int]) -> bytes:
    """Series ids as the file keeps them: little-endian uint32."""
    return np.fromiter(series, dtype="<u4").tobytes()


def unpack_series(packed: bytes) -> tuple[int, ...]:
    """The inverse of :func:`pack_series`."""
    return tuple(np.frombuffer(packed, dtype="<u4").tolist())


class LayoutCatalogue:
    """The layouts of the file. Only those in use lately are held in memory: a source may go through thousands."""

    def __init__(self) -> None:
        self._by_content: OrderedDict[tuple[str, tuple[int, ...]], int] = OrderedDict()

    def begin(self, connection: Connection, source: str, series: tuple[int, ...], time_ms: int) -> Layout:
        """Find or make the layout and note that ``source`` writes it from now on."""
        found = self._by_content.get((source, series)) or self._find(connection, source, series)
        if found is None:
            found = self._free_id(connection)
            row = (found, source, pack_series(series), time_ms)
            connection.exec_driver_sql(
                "INSERT INTO layouts (id, source, series, begun_ms, ended_ms) VALUES (?, ?, ?, ?, NULL)", row
            )
        else:
            connection.exec_driver_sql("UPDATE layouts SET ended_ms = NULL WHERE id = ?", (found,))
        return Layout(found, source, series)

    def end(self, connection: Connection, layout: Layout, time_ms: int) -> None:
        """Note that the tick at ``time_ms`` was the last in this layout."""
        connection.exec_driver_sql("UPDATE layouts SET ended_ms = ? WHERE id = ?", (time_ms, layout.id))

    def remember(self, layout: Layout) -> None:
        """Keep the layout's id at hand; to be called once the transaction that made it has been committed."""
        key = (layout.source, layout.series)
        self._by_content[key] = layout.id
        self._by_content.move_to_end(key)
        if len(self._by_content) > _REMEMBERED:
            self._by_content.popitem(last=False)

    def forget(self) -> None:
        """Drop what is remembered, after layouts were deleted from the file."""
        self._by_content.clear()

    @staticmethod
    def open_layouts(connection: Connection) -> list[Layout]:
        """The layouts that their sources were writing when the file was last written."""
        rows = connection.exec_driver_sql("SELECT id, source, series FROM layouts WHERE ended_ms IS NULL")
        return [Layout(id, source, unpack_series(series)) for id, source, series in rows]

    @staticmethod
    def last_ends(connection: Connection) -> list[tuple[str, int]]:
        """The time at which each source last ended a layout."""
        rows = connection.exec_driver_sql(
            "SELECT source, max(ended_ms) FROM layouts WHERE ended_ms IS NOT NULL GROUP BY source"
        )
        return [(source, ended_ms) for source, ended_ms in rows]

    @staticmethod
    def between(connection: Connection, start_ms: int, end_ms: int, wanted: set[int] | None = None) -> list[Layout]:
        """The layouts in use in a window (inclusive) that hold any of the ``wanted`` series."""
        rows = connection.exec_driver_sql(
            "SELECT id, source, series FROM layouts"
            " WHERE begun_ms <= ? AND (ended_ms IS NULL OR ended_ms >= ?) ORDER BY id",
            (end_ms, start_ms),
        )
        layouts = (Layout(id, source, unpack_series(series)) for id, source, series in rows)
        return [layout for layout in layouts if wanted is None or not wanted.isdisjoint(layout.series)]

    @staticmethod
    def _find(connection: Connection, source: str, series: tuple[int, ...]) -> int | None:
        found: int | None = connection.exec_driver_sql(
            "SELECT id FROM layouts WHERE source = ? AND series = ?", (source, pack_series(series))
        ).scalar()
        return found

    @staticmethod
    def _free_id(connection: Connection) -> int:
        """The next id; once all have been used, one that retention has freed."""
        newest: int = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM layouts").scalar_one()
        if newest < LAYOUT_MASK:
            return newest + 1
        free = connection.exec_driver_sql(
            "SELECT min(id) + 1 FROM (SELECT 0 AS id UNION ALL SELECT id FROM layouts) AS used"
            " WHERE NOT EXISTS (SELECT 1 FROM layouts WHERE layouts.id = used.id + 1)"
        ).scalar_one()
        if free > LAYOUT_MASK:
            raise StorageError("a million layouts are in use: series come and go too fast to be kept", permanent=True)
        return int(free)


def gather_order(ids: Sequence[int]) -> tuple[tuple[int, ...], NDArray[np.intp] | None]:
    """How to bring samples, given by their series ids in order of arrival, into a layout's order.

    Returns the ascending ids and the positions to take them from, ``None`` when they are in order already.
    Of a series that came twice, the last sample counts.
    """
    last = {series: position for position, series in enumerate(ids)}
    series = tuple(sorted(last))
    if series == tuple(ids):
        return series, None
    return series, np.array([last[id] for id in series], dtype=np.intp)
