"""Ticks that are in the file only, read page by page so that memory holds the answer and one page, no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, Engine

from storage.layout import LAYOUT_BITS, LAYOUT_MASK, PACKED, Layout, LayoutCatalogue, tick_key
from storage.piece import Piece

#: Rows fetched at a time: a few megabytes at most, and some milliseconds without the interpreter's lock between two.
PAGE_ROWS = 1000
#: Above this many layouts, all rows are fetched and those of other layouts skipped here: SQL text has its limits.
_MOST_NAMED = 500


def read_history(database: Engine, ids: Collection[int], start_ms: int, end_ms: int) -> list[Piece]:
    """The pieces of a window (inclusive) with only the wanted series, in order of time for each layout."""
    wanted = set(ids)
    with database.connect() as connection:
        layouts = {layout.id: layout for layout in LayoutCatalogue.between(connection, start_ms, end_ms, wanted)}
        if not layouts:
            return []
        picks = {id: sorted(wanted.intersection(layout.series)) for id, layout in layouts.items()}
        pieces: list[Piece] = []
        for rows in tick_pages(connection, start_ms, end_ms, layouts):
            pieces += _cut_page(rows, layouts, picks)
        return pieces


def tick_pages(
    connection: Connection, start_ms: int, end_ms: int, layouts: Collection[int] | None = None
) -> Iterator[Sequence[tuple[int, bytes]]]:
    """Rows ``(key, values)`` of a window (inclusive), ascending, of these layouts or of all."""
    only = ""
    if layouts is not None and len(layouts) <= _MOST_NAMED:
        only = f" AND (id & {LAYOUT_MASK}) IN ({','.join(map(str, layouts))})"
    statement = f'SELECT id, "values" FROM ticks WHERE id >= ? AND id < ?{only} ORDER BY id LIMIT {PAGE_ROWS}'  # noqa: S608 - integers only
    first, beyond = tick_key(start_ms, 0), tick_key(end_ms + 1, 0)
    while True:
        rows: Sequence[tuple[int, bytes]] = connection.exec_driver_sql(statement, (first, beyond)).cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < PAGE_ROWS:
            return
        first = rows[-1][0] + 1


def _cut_page(
    rows: Sequence[tuple[int, bytes]], layouts: Mapping[int, Layout], picks: Mapping[int, list[int]]
) -> Iterator[Piece]:
    """One piece for each layout on the page: its times, and the wanted columns copied out of the rows."""
    by_layout: dict[int, tuple[list[int], list[bytes]]] = {}
    for key, values in rows:
        keys, blobs = by_layout.setdefault(key & LAYOUT_MASK, ([], []))
        keys.append(key)
        blobs.append(values)
    for id, (keys, blobs) in by_layout.items():
        if id not in layouts:
            continue
        columns = layouts[id].columns
        times = np.array(keys, dtype=np.int64) >> LAYOUT_BITS
        matrix = np.frombuffer(b"".join(blobs), dtype=PACKED).reshape(len(keys), len(columns))
        values_of_picks = np.ascontiguousarray(matrix[:, [columns[series] for series in picks[id]]].T, dtype=np.float64)
        yield Piece(times, values_of_picks, {series: row for row, series in enumerate(picks[id])})
