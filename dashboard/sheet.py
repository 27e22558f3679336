"""``GET /api/alerts.csv`` and ``GET /api/incidents.csv``: what fired and what failed in a window, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

import structlog
from flask import Blueprint, Response

from alerts.book import AlertBook
from alerts.outage.sheet import alert_sheet, incident_sheet
from dashboard.access import require
from dashboard.compression import compress
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, Window, window
from dashboard.sending import leave_the_deaf
from dashboard.services import services
from storage.error import StorageError

log = structlog.get_logger(__name__)
blueprint = Blueprint("sheet", __name__, url_prefix="/api")
blueprint.after_request(compress)
blueprint.after_request(leave_the_deaf)

MONTH_MS = 30 * 24 * HOUR_MS


@blueprint.get("/alerts.csv")
@require("viewer")
def alerts() -> Response:
    """Alerts that fired in a window (30 days without one), as they were raised."""
    period = window(MONTH_MS)
    return csv_file("alerts", period, alert_sheet(AlertBook(services().database).stream(*period), now_ms()))


@blueprint.get("/incidents.csv")
@require("viewer")
def incidents() -> Response:
    """Incidents of a window (30 days without one), as they were noted."""
    period = window(MONTH_MS)
    return csv_file("incidents", period, incident_sheet(services().incidents, *period, now_ms()))


def csv_file(name: str, period: Window, pieces: Iterator[bytes]) -> Response:
    """A table as a file to save, named after its window."""
    first = next(pieces, b"")  # what fails at once becomes a problem document, not half a file
    response = Response(chain((first,), _logged(pieces)), content_type="text/csv; charset=utf-8")
    times = "_".join(datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H%M%SZ") for time_ms in period)
    response.headers["Content-Disposition"] = f'attachment; filename="wakeless_{name}_{times}.csv"'
    return response


def _logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The rest of a file. Its status has been sent, so a failure can only end the connection and be logged."""
    try:
        yield from pieces
    except StorageError as error:
        log.error("sheet_failed", exc_info=error)
        raise
