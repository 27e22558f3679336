"""Our own JSON API: what the page's scripts and people's scripts call. ``openapi.py`` describes it."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response, request

from alerts.state import AlertError
from dashboard.access import require
from dashboard.event import events_between
from dashboard.health import verdicts
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, GivenReason, Reason, Restart, body, one_of, window
from dashboard.problem import Problem
from dashboard.services import services
from model.release import NoSwitch
from model.retreat import Retreat

if TYPE_CHECKING:
    from alerts.state import Alert

blueprint = Blueprint("api", __name__, url_prefix="/api")

DAY_MS = 24 * HOUR_MS
ALERT_STATES = ("pending", "firing", "acknowledged", "resolved")
#: Which HTTP error an acknowledgement that cannot be becomes.
_ALERT_ERRORS = {"not_found": (404, "not-found"), "conflict": (409, "conflict"), "invalid": (422, "invalid-parameter")}


@blueprint.get("/model")
@require("viewer")
def model() -> Response:
    """The model's state and the last verdicts on its health."""
    host = services().model
    remedies = [asdict(one) for one in host.remedies()]
    #: Where safe mode can go back to, and why it cannot where ``to`` is null.
    retreat = asdict(host.rearguard.way()) if services().safe_mode else None
    taken = host.intake()
    return answer(
        {
            "status": asdict(host.status()),
            "health": asdict(verdicts()),
            "remedies": remedies,
            "retreat": retreat,
            "intake": None if taken is None else asdict(taken),
        }
    )


@blueprint.post("/model/restart")
@require("operator")
def restart_model() -> Response:
    """Load the model anew; the old one serves until the new one is ready, where memory allows."""
    reason = body(Reason).reason
    host = services().model
    state = host.status()
    if state.state == "disabled":
        raise Problem(409, "conflict", "There is no model to load: it is switched off, or this is safe mode.")
    if not host.reload("manual"):  # a label, so no person's words
        raise Problem(409, "conflict", "The model is being loaded already.")
    audit("model.reload", state.model, {"reason": reason})
    return answer({"accepted": True, "last_seconds": state.last_load_seconds}, 202)


@blueprint.post("/process/restart")
@require("operator")
def restart_process() -> Response:
    """End this server process in order, and let the supervisor start a new one."""
    asked = body(Restart)
    if services().stopping:
        raise Problem(409, "conflict", "The server is stopping already.")
    if asked.roll_back:
        retreat = _step_back()
        audit("process.rollback", "process", {"reason": asked.reason, "version": retreat.to, "before": retreat.version})
        restart = partial(services().restart_process, current().actor, asked.reason, retreat)
    else:
        audit("process.restart", "process", {"reason": asked.reason})
        restart = partial(services().restart_process, current().actor, asked.reason)
    try:
        restart()
    except RuntimeError as error:
        raise Problem(409, "conflict", "Nothing would start this process again: it has no supervisor.") from error
    return answer({"accepted": True, "last_seconds": _last_restart_seconds()}, 202)


def _step_back() -> Retreat:
    """Have the next process start with the last good version."""
    if not services().safe_mode:
        raise Problem(409, "conflict", "This is not safe mode: switch to another version instead.")
    try:
        return services().model.rearguard.step_back()
    except NoSwitch as error:
        raise Problem(409, "conflict", error.detail) from error


@blueprint.get("/alerts")
@require("viewer")
def alerts() -> Response:
    """Current alerts; with ``start``, ``end`` or ``state=resolved`` also those that fired in that window."""
    state = one_of("state", ALERT_STATES)
    found: dict[int, Alert] = {alert.id: alert for alert in services().alerts.current()}
    if request.args.get("start") or request.args.get("end"):
        period = window(DAY_MS)
        found = {alert.id: alert for alert in services().alerts.history(period.start_ms, period.end_ms)}
    elif state == "resolved":
        period = window(DAY_MS)
        found |= {alert.id: alert for alert in services().alerts.history(period.start_ms, period.end_ms)}
    return answer({"alerts": [_with_reasons(alert) for alert in found.values() if state in (None, alert.state)]})


@blueprint.post("/alerts/<int:alert_id>/ack")
@require("operator")
def acknowledge(alert_id: int) -> Response:
    """Put one's name and a reason on a firing alert."""
    reason = body(GivenReason).reason
    try:
        alert = services().alerts.acknowledge(alert_id, current().actor, reason, now_ms())
    except AlertError as error:
        raise _alert_problem(error) from error
    audit("alert.ack", f"alert:{alert_id}", {"rule": alert.rule, "reason": reason})
    return answer({"alert": alert.as_dict()})


@blueprint.delete("/alerts/<int:alert_id>/ack")
@require("operator")
def unacknowledge(alert_id: int) -> Response:
    """Take an acknowledgement back."""
    try:
        alert = services().alerts.unacknowledge(alert_id, current().actor, now_ms())
    except AlertError as error:
        raise _alert_problem(error) from error
    audit("alert.unack", f"alert:{alert_id}", {"rule": alert.rule})
    return answer({"alert": alert.as_dict()})


@blueprint.get("/events")
@require("viewer")
def events() -> Response:
    """What happened in a window, for the strip under the charts: alerts, incidents, and what people did."""
    period = window()
    return answer({"events": [_plain(event) for event in events_between(services(), *period)]})


@blueprint.get("/audit")
@require("admin")
def audit_entries() -> Response:
    """Who did what."""
    return answer({"entries": [_plain(one) for one in services().audit.between(*window(7 * DAY_MS))]})


def answer(document: dict[str, Any], status: int = 200) -> Response:
    """JSON; what JSON cannot carry (NaN) becomes null."""
    return Response(orjson.dumps(document, default=_default), status, mimetype="application/json")


def audit(action: str, target: str, detail: dict[str, Any]) -> None:
    """Record what the caller does. A disk that takes no record does not keep a person from acting."""
    services().audit.note(now_ms(), current().actor, action, target, detail)


def _plain(value: Any) -> dict[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    plain: dict[str, Any] = value._asdict()
    return plain


def _with_reasons(alert: Alert) -> dict[str, Any]:
    """An alert, and what keeps its notices back while it lasts."""
    reasons = services().alerting.reasons(alert, now_ms()) if alert.state != "resolved" else {}
    return alert.as_dict() | reasons


def _default(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _alert_problem(error: AlertError) -> Problem:
    status, kind = _ALERT_ERRORS[error.kind]
    detail = str(error)
    return Problem(status, kind, f"{detail[:1].upper()}{detail[1:]}.")


def _last_restart_seconds() -> float | None:
    """How long the last restart that somebody asked for took: from the end of one process to the next one's start."""
    wanted = [exit for exit in services().ledger.exits() if exit.reason == "restart"]
    if not wanted:
        return None
    seconds = (services().started_ms - wanted[-1].ended_ms) / 1000
    return seconds if 0 <= seconds < HOUR_MS / 1000 else None
