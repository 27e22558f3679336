"""Health, in three layers that are never mixed. A request reads the last verdicts; it does no work of its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response

from dashboard.access import public
from dashboard.problem import retry_after
from dashboard.request_id import current_request_id
from dashboard.services import services

if TYPE_CHECKING:
    from model.status import Check

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
@public
def live() -> Response:
    """Should someone kill me?"""
    return _answer(services().model.health().live)


@blueprint.get("/health/startup")
@public
def startup() -> Response:
    """Has the first load ended well?"""
    return _answer(services().model.health().startup)


@blueprint.get("/health/ready")
@public
def ready() -> Response:
    """May traffic come?"""
    return _answer(services().model.health().ready)


@blueprint.get("/health")
@public
def summary() -> Response:
    """Everything in one answer, for an uptime monitor."""
    health = services().model.health()
    first = next((check for check in (health.live, health.startup, health.ready) if not check.ok), None)
    ok = all(finding is not False for finding in health.checks.values())
    document = {
        "checks": health.checks,
        "gpu_memory": health.gpu_memory,
        "reason": None if ok or first is None else first.reason,
        "suggestion": None if ok or first is None else first.suggestion,
    }
    return _respond(ok, document)


def _answer(check: Check) -> Response:
    document = {
        "check": check.name,
        "reason": check.reason,
        "suggestion": check.suggestion,
        "checked": _iso(check.checked_ms),
    }
    return _respond(check.ok, document)


def _respond(ok: bool, document: dict[str, Any]) -> Response:
    now_ms = time.time_ns() // 1_000_000
    body = {
        "status": "ok" if ok else "unavailable",
        "timestamp": _iso(now_ms),
        "uptime": max(0.0, (now_ms - services().started_ms) / 1000),
        **document,
        "trace_id": current_request_id(),
    }
    response = Response(orjson.dumps(body), 200 if ok else 503, mimetype="application/json")
    if not ok:
        response.headers.update(retry_after(services().settings.health.interval_seconds))
    return response


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
