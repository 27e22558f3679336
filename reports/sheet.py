"""Requests as CSV, a piece at a time: one line for each, as they came; safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Engine, or_, select

from alerts.outage.sheet import cell_text
from storage.tables import RequestRow

COLUMNS = (
    "time", "request_id", "route", "status", "outcome", "result_class", "model", "version", "total_seconds",
    "queue_seconds", "compute_seconds", "error", "fingerprint",
)  # fmt: skip
_LINES = 1000


def request_sheet(database: Engine, start_ms: int, end_ms: int) -> Iterator[bytes]:
    """The requests of a window (inclusive), the oldest first; no reading transaction lasts longer than a piece."""
    yield (",".join(COLUMNS) + "\n").encode()
    row_of = RequestRow
    columns = [row_of.id, row_of.time_ms, *(getattr(row_of, name) for name in COLUMNS[1:])]
    last_ms, last_id = start_ms, -1
    while True:
        after = or_(row_of.time_ms > last_ms, (row_of.time_ms == last_ms) & (row_of.id > last_id))
        query = select(*columns).where(row_of.time_ms >= last_ms, row_of.time_ms <= end_ms, after)
        with database.connect() as connection:
            rows = connection.execute(query.order_by(row_of.time_ms, row_of.id).limit(_LINES)).all()
        if rows:
            lines = [",".join([_time(row[1]), *(cell_text(cell) for cell in row[2:])]) for row in rows]
            yield ("\n".join(lines) + "\n").encode("utf-8", "replace")
            last_id, last_ms = rows[-1][0], rows[-1][1]
        if len(rows) < _LINES:
            return


def _time(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
