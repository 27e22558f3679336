"""``GET /metrics``: the newest samples of all sources, from memory."""

from __future__ import annotations

from flask import Blueprint, Response

from collectors.alias import with_aliases
from collectors.exposition import CONTENT_TYPE, render
from collectors.sample import Tick
from dashboard.access import require
from dashboard.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@require("metrics")
def metrics() -> Response:
    """Prometheus text. Reads what the last ticks found; collects nothing, so that a hanging source cannot hold it."""
    rooms = services()
    newest = Tick("metrics", 0, tuple(rooms.collection.latest()))
    samples = [sample for tick in with_aliases([newest], rooms.settings.metrics.aliases) for sample in tick.samples]
    return Response(render(samples), content_type=CONTENT_TYPE)
