"""``GET /api/outages.csv``: when targets were down in a window, streamed."""

from __future__ import annotations

from flask import Blueprint, Response, request

from alerts.outage.sheet import outage_sheet
from dashboard.access import require
from dashboard.compression import compress
from dashboard.moment import now_ms
from dashboard.parameter import window
from dashboard.sending import leave_the_deaf
from dashboard.services import services
from dashboard.sheet import MONTH_MS, csv_file
from dashboard.target_uptime import outages_between

blueprint = Blueprint("target_sheet", __name__, url_prefix="/api")
blueprint.after_request(compress)
blueprint.after_request(leave_the_deaf)


@blueprint.get("/outages.csv")
@require("viewer")
def outages() -> Response:
    """Outages of all targets, or of ``target``, in a window (30 days without one)."""
    period = window(MONTH_MS)
    found = outages_between(services().database, *period, request.args.get("target") or None)
    return csv_file("outages", period, outage_sheet(found, now_ms()))
