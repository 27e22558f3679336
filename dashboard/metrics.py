"""``GET /metrics``: the newest samples of all sources, from memory."""

from __future__ import annotations

from flask import Blueprint, Response

from collectors.exposition import CONTENT_TYPE, render
from dashboard.access import require
from dashboard.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@require("metrics")
def metrics() -> Response:
    """Prometheus text. Reads what the last ticks found; collects nothing, so that a hanging source cannot hold it."""
    rooms = services()
    return Response(render([*rooms.collection.latest(), *rooms.targets.latest()]), content_type=CONTENT_TYPE)
