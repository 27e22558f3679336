"""What the history takes, source by source, and what is wrong with where it lies: what the storage page shows."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response

from dashboard.access import require
from dashboard.api import answer
from dashboard.moment import now_ms
from dashboard.services import services
from storage.cost import DAY_MS, growth, reaches_limit_ms

blueprint = Blueprint("storage", __name__, url_prefix="/api")


@blueprint.get("/storage")
@require("viewer")
def storage() -> Response:
    """Sizes, limits, and the costs of every source."""
    store, settings, now = services().store, services().settings.storage, now_ms()
    size, costs, span = store.size(), store.costs(), store.span()
    oldest_ms, newest_ms = span or (None, None)
    full_ms = None
    if settings.max_bytes and oldest_ms is not None:
        retention_ms = settings.retention_days * DAY_MS
        full_ms = reaches_limit_ms(
            size, settings.max_bytes, growth(costs), oldest_ms=oldest_ms, now_ms=now, retention_ms=retention_ms
        )
    return answer(
        {
            "bytes": size,
            "limit_bytes": settings.max_bytes or None,
            "retention_days": settings.retention_days,
            "oldest_ms": oldest_ms,
            "newest_ms": newest_ms,
            "reaches_limit_ms": full_ms,
            "sources": [asdict(cost) for cost in costs],
            "problems": [problem._asdict() for problem in store.problems.current()],
        }
    )
