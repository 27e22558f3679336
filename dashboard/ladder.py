"""What was done about the model, by itself or by somebody, as one list: why, what, how long, and did it help.

Remedies are of this process and, from the incidents, of those before; ends of the process are from the ledger, which
also knows those that came and went too fast for the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, Response

from dashboard.access import require
from dashboard.api import answer
from dashboard.identity import current
from dashboard.parameter import HOUR_MS, whole, window
from dashboard.services import services
from ledger import without_lines

if TYPE_CHECKING:
    from dashboard.services import Services
    from ledger import Exit
    from model.remedy import Remedy
    from storage.incident import Incident
    from storage.record import AuditEntry

blueprint = Blueprint("ladder", __name__, url_prefix="/api/model")

MONTH_MS = 30 * 24 * HOUR_MS
#: What was done: a process was started, with everything, with another version, or without the model; the model was
#: loaded anew or the last good version put back; somebody asked for something; or nothing, and it passed or did not.
Action = Literal["start", "start_other", "start_without", "reload", "rollback", "end_canary", "asked", "stop", "none"]
#: What people do that no other line of the list tells of.
ASKED = {
    "model.reload": "Model reload asked for",
    "model.switch": "Switch to another version asked for",
    "model.canary": "Canary asked for",
    "model.canary_end": "Canary's end asked for",
    "model.promote": "Canary's promotion asked for",
}
#: What a remedy's action is called here.
_DONE: dict[str, Action] = {"rollback": "rollback", "end_canary": "end_canary"}


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the list. Times in UTC milliseconds."""

    time_ms: int
    kind: Literal["restart", "remedy", "trouble", "action"]
    #: For programs, e.g. ``segfault`` or ``breaker_open``; of an action what was asked for.
    cause: str
    #: In words what happened; of an action who asked, and why.
    why: str
    action: Action
    #: Until it was over: until the model answered again, or it was known whether it helped. ``None`` while it goes on.
    seconds: float | None
    #: ``None`` while that is not known, and where nothing was to be helped.
    helped: bool | None = None
    outcome: str | None = None
    #: Of an end: exit code, signal, what the process was doing, its memory, and for operators its last lines.
    detail: dict[str, Any] = field(default_factory=dict)


@blueprint.get("/history")
@require("viewer")
def history() -> Response:
    """The newest lines of a window, newest first. What a process wrote before it died is for operators."""
    period = window(MONTH_MS)
    found = rungs(services(), *period)[: whole("limit", 25, 1, 200)]
    told = [asdict(rung) for rung in found]
    if not current().may("operator"):
        for rung in told:
            rung["detail"] = without_lines(rung["detail"])
    return answer({"history": told})


def rungs(rooms: Services, start_ms: int, end_ms: int) -> list[Rung]:
    """All lines of a window, newest first."""
    ends, incidents = rooms.ledger.exits(), rooms.incidents.between(start_ms, end_ms)
    found = [*_ends(rooms, ends, incidents), *_remedies(incidents, rooms.model.remedies())]
    # Of safe mode the end that led to it tells.
    found += [_trouble(one) for one in incidents if one.kind == "model" and one.cause != "safe_mode"]
    found += [_asked(entry) for entry in rooms.audit.between(start_ms, end_ms) if entry.action in ASKED]
    return sorted(
        (rung for rung in found if start_ms <= rung.time_ms <= end_ms), key=lambda rung: rung.time_ms, reverse=True
    )


def _ends(rooms: Services, ends: Sequence[Exit], incidents: Iterable[Incident]) -> list[Rung]:
    """The ends in the ledger, oldest first, and outages that nobody lived to write there: power cuts, a kill of all."""
    outages = {incident.started_ms: incident for incident in incidents if incident.kind in ("process", "planned")}
    found = []
    for place, end in enumerate(ends):
        later = ends[place + 1] if place + 1 < len(ends) else None
        found.append(_end(rooms, end, later, outages.pop(end.ended_ms, None)))
    for outage in outages.values():
        over = outage.ended_ms is not None
        found.append(
            Rung(
                outage.started_ms, "restart", outage.cause, outage.summary, "start", _lasted(outage),
                helped=True if over else None, detail=outage.detail,
            )
        )  # fmt: skip
    return found


def _end(rooms: Services, end: Exit, later: Exit | None, outage: Incident | None) -> Rung:
    """``later`` is the end of the process that came next, ``outage`` how the database has it."""
    helped = _helped(rooms, end, later) if end.unexpected and not end.detail.get("safe_mode") else None
    started_ms = rooms.started_ms if later is None else later.started_ms
    seconds: float | None = max(0.0, (started_ms - end.ended_ms) / 1000)
    if outage is not None and helped is not False:
        seconds = _lasted(outage)
        helped = None if seconds is None else helped
    detail = {
        "pid": end.pid,
        "code": end.code,
        "signal": end.signal,
        "lived_seconds": (end.ended_ms - end.started_ms) / 1000,
        **end.detail,
    }
    return Rung(end.ended_ms, "restart", end.reason, end.summary, _action(end), seconds, helped, detail=detail)


def _action(end: Exit) -> Action:
    if end.reason == "stop":
        return "stop"
    if end.detail.get("safe_mode"):
        return "start_without"
    return "start_other" if end.reason == "restart" and end.detail.get("version") else "start"


def _helped(rooms: Services, end: Exit, later: Exit | None) -> bool | None:
    """A new process helped if it came to serve, and did not soon die as well."""
    if later is not None:
        lived = later.ended_ms - later.started_ms
        return not later.unexpected or lived >= rooms.settings.supervisor.crash_loop_seconds * 1000
    state = rooms.model.status().state
    return None if state == "loading" else state != "failed"


def _remedies(incidents: Iterable[Incident], running: Iterable[Remedy]) -> list[Rung]:
    """Those that are over are incidents, those of this process its host knows as well."""
    found = {incident.started_ms: incident.detail for incident in incidents if incident.kind == "remedy"}
    found |= {remedy.began_ms: asdict(remedy) for remedy in running}
    return [
        Rung(
            time_ms=began_ms,
            kind="remedy",
            cause=one.get("cause", ""),
            why=one.get("why", ""),
            action=_DONE.get(one.get("action", ""), "reload"),
            seconds=one.get("seconds"),
            helped=one.get("helped"),
            outcome=one.get("outcome"),
            detail={"state": one.get("state")},
        )
        for began_ms, one in found.items()
    ]


def _trouble(incident: Incident) -> Rung:
    return Rung(incident.started_ms, "trouble", incident.cause, incident.summary, "none", _lasted(incident))


def _asked(entry: AuditEntry) -> Rung:
    reason = entry.detail.get("reason")
    why = f"{entry.actor}: {reason}" if reason else entry.actor
    version = {"version": entry.detail["version"]} if entry.detail.get("version") else {}
    return Rung(entry.time_ms, "action", ASKED[entry.action], why, "asked", 0.0, detail=version)


def _lasted(incident: Incident) -> float | None:
    return None if incident.ended_ms is None else (incident.ended_ms - incident.started_ms) / 1000
