"""Health, in three layers that are never mixed. A request reads the last verdicts; it does no work of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from flask import Blueprint, Response

from dashboard.access import public
from dashboard.moment import iso, now_ms
from dashboard.problem import retry_after
from dashboard.request_id import current_request_id
from dashboard.services import services
from model.status import Check, Health

blueprint = Blueprint("health", __name__)

#: A tick counts as stalled after so many intervals without the end of one, and never before so many seconds.
STALLED_TICKS = 10
STALLED_SECONDS = 30.0


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
    health, tick = verdicts(), _tick()
    first = next((check for check in (health.live, tick, health.startup, health.ready) if not check.ok), None)
    ok = all(finding is not False for finding in health.checks.values())
    document = {
        "checks": health.checks,
        "gpu_memory": health.gpu_memory,
        "reason": None if ok or first is None else first.reason,
        "suggestion": None if ok or first is None else first.suggestion,
    }
    return _respond(ok, document)


def verdicts() -> Health:
    """The model's verdicts, and as ``api`` whether this process still does its work."""
    health = services().model.health()
    return replace(health, checks=health.checks | {"api": _tick().ok})


def _tick() -> Check:
    """Whether ticks still end. A process whose ticks stand still answers, but shows old numbers and alerts nobody."""
    age = services().pulse_age_seconds()
    ok = age < max(STALLED_SECONDS, STALLED_TICKS * services().settings.collectors.interval_seconds)
    if ok:
        return Check("api", True, None, None, now_ms(), 0.0)
    suggestion = "Charts and alerts stand still: restart the process, and look at the log for what the tick does."
    return Check("api", False, f"tick_stalled: no tick for {age:.0f} s", suggestion, now_ms(), 0.0)


def _answer(check: Check) -> Response:
    document = {
        "check": check.name,
        "reason": check.reason,
        "suggestion": check.suggestion,
        "checked": iso(check.checked_ms),
    }
    return _respond(check.ok, document)


def _respond(ok: bool, document: dict[str, Any]) -> Response:
    moment_ms = now_ms()
    body = {
        "status": "ok" if ok else "unavailable",
        "timestamp": iso(moment_ms),
        "uptime": max(0.0, (moment_ms - services().started_ms) / 1000),
        **document,
        "trace_id": current_request_id(),
    }
    response = Response(orjson.dumps(body), 200 if ok else 503, mimetype="application/json")
    if not ok:
        response.headers.update(retry_after(services().settings.health.interval_seconds))
    return response
