"""``GET /api/checkup``: the checklist for an alert or a target, filled in with what is known at this moment."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request
from sqlalchemy import select

from alerts.book import AlertBook
from dashboard.access import require
from dashboard.api import answer
from dashboard.event import ACTIONS
from dashboard.health import verdicts
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, invalid
from dashboard.problem import Problem
from dashboard.services import Services, services
from ledger import without_lines
from mask import mask
from promql.error import QueryError
from promql.value import Vector
from reports import checkup
from reports.checkup import Change, Failure, Level, Sign, Step
from reports.common import LEAST, compare, flat
from reports.own_log import Line, OwnLog, at_least
from storage.request_sample import RequestSample
from storage.request_search import FAILED, RequestSearch, Wanted
from storage.tables import LogEventRow, RemedyRow, TargetOutageRow

if TYPE_CHECKING:
    from alerts.state import Alert
    from model.status import Health

blueprint = Blueprint("checkup", __name__, url_prefix="/api")

#: Seconds for all steps together, and for looking through the log and the requests.
SECONDS, _LOOK_SECONDS = 1.6, 0.8
#: How long before and after an alert's beginning errors are looked for.
_BEFORE_MS, _AFTER_MS = 10 * 60_000, 2 * 60_000
_MOST_INPUTS = 2000
_LONGEST = 300

#: What it runs on: name, query, unit, from where on it is too much, and where more of it is seen.
_LEVELS: tuple[tuple[str, str, str, float | None, str], ...] = (
    ("GPU memory", "max(gpu_memory_used_bytes / gpu_memory_total_bytes)", "ratio", 0.95, "/"),
    ("GPU load", "max(gpu_utilization_ratio)", "ratio", None, "/"),
    ("GPU temperature", "max(gpu_temperature_celsius)", "celsius", 85.0, "/"),
    ("CPU", "cpu_utilization_ratio", "ratio", 0.95, "/"),
    ("Memory", "memory_used_bytes / memory_total_bytes", "ratio", 0.9, "/"),
    ("Swap", "swap_used_bytes", "bytes", None, "/"),
    ("Disk", "max(filesystem_used_ratio)", "ratio", 0.85, "/storage"),
    ("Queue", "sum(inference_queue_depth)", "count", None, "/model"),
)
#: What is said of a remedy by its state, and by its kind.
_STATES = {"done": "done", "failed": "failed", "started": "under way", "skipped": "not done"}
_STATES |= {"dry_run": "would have been done"}
_KINDS = {"call": "Call a URL", "command": "Run a program", "systemd": "Restart a systemd unit"}
_KINDS |= {"container": "Restart a container", "standby": "Switch to the standby"}
#: Actions of the audit that change how the service behaves, beside those of the strip of events.
_CHANGES = ("rules.", "target.", "channel.", "maintenance.", "model.", "process.", "silence.", "routing.")


class Subject(NamedTuple):
    """What is asked about: a moment, perhaps an alert, perhaps a target; all else is the model and its server."""

    time_ms: int
    now_ms: int
    alert: Alert | None = None
    target: str | None = None


@blueprint.get("/checkup")
@require("viewer")
def view() -> Response:
    """Five questions and their answers; ``alert`` or ``target`` says what about, else it is the model."""
    rooms, subject = services(), _subject(services())
    health = verdicts()  # needs the request at hand
    steps = checkup.run(
        {
            "alive": lambda: checkup.alive([*_signs(rooms, subject, health)]),
            "resources": lambda: checkup.resources([*_levels(rooms, subject.now_ms)]),
            "changes": lambda: checkup.changes([*_changes(rooms, subject)], _clock),
            "first_error": lambda: checkup.first_error([*_failures(rooms, subject)], _clock),
            "inputs": lambda: _inputs(rooms, subject),
        },
        SECONDS,
    )
    found: dict[str, Any] = {"time_ms": subject.time_ms, "target": subject.target}
    if subject.alert is not None:
        found["alert"] = subject.alert.as_dict()
    return answer(found | {"steps": [step.as_dict() for step in steps]})


def _subject(rooms: Services) -> Subject:
    now, alert, target = now_ms(), request.args.get("alert"), request.args.get("target")
    if alert:
        if not (alert.isascii() and alert.isdigit() and len(alert) < 19):
            invalid("alert", f"is {alert[:40]!r}, but must be an alert's id")
        found = AlertBook(rooms.database).find(int(alert))
        if found is None:
            raise Problem(404, "not-found", "There is no such alert.")
        return Subject(found.firing_ms or found.active_ms, now, found, found.labels.get("target") or None)
    if target:
        if rooms.targets.roster.find(target) is None:
            raise Problem(404, "not-found", "There is no such target.")
        since = [
            state.since_ms
            for state in rooms.targets.prober.states()
            if state.target == target and state.state == "down"
        ]
        return Subject(min(since, default=now), now, None, target)
    return Subject(now, now)


# --- what is known ------------------------------------------------------------------------------------------------


def _signs(rooms: Services, subject: Subject, health: Health) -> Iterator[Sign]:
    if subject.target is None:
        for check in (health.live, health.startup, health.ready):
            yield Sign(check.name, check.ok, check.reason, "/model")
        return
    link = f"/targets/{quote(subject.target)}"
    for state in rooms.targets.prober.states():
        if state.target == subject.target:
            known = None if state.state == "unknown" else state.state == "up"
            yield Sign(state.probe, known, mask(state.reason)[:_LONGEST] or None, link)
    for scrape in rooms.targets.scraper.states():
        if scrape.target == subject.target:
            yield Sign("scrape", scrape.up, mask(scrape.error or "")[:_LONGEST] or None, link)
    for source in rooms.targets.logs.states():
        if source.target == subject.target:
            yield Sign("log", source.up, mask(source.error or "")[:_LONGEST] or None, link)


def _levels(rooms: Services, now: int) -> Iterator[Level]:
    for name, query, unit, most, link in _LEVELS:
        try:
            found = rooms.query.instant(query, now)
        except QueryError:
            continue
        values = [float(value) for value in found.values] if isinstance(found, Vector) else []
        if values and math.isfinite(values[0]):
            yield Level(name, values[0], unit, most, link)


def _changes(rooms: Services, subject: Subject) -> Iterator[Change]:
    start, end = subject.time_ms - HOUR_MS, max(subject.time_ms, min(subject.now_ms, subject.time_ms + _AFTER_MS))
    own = None if subject.target is None else ("target.remedy", f"target:{subject.target}")
    for entry in rooms.audit.between(start, end):
        if (entry.action, entry.target) == own:
            continue  # told below, with how it ended
        if entry.action in ACTIONS or entry.action.startswith(_CHANGES):
            what = ACTIONS.get(entry.action, entry.action.replace(".", ": ").replace("_", " "))
            named = f" {entry.target.partition(':')[2]}" if entry.action.startswith("target.") else ""
            yield Change(entry.time_ms, f"{what}{named} ({entry.actor})")
    for incident in rooms.incidents.between(start, end):
        if incident.kind != "alert" and incident.started_ms >= start:
            cause = str(without_lines(incident.detail).get("version") or incident.cause).replace("_", " ")
            wanted = incident.kind in ("planned", "remedy")
            yield Change(incident.started_ms, f"{incident.kind}: {cause}", wanted, f"/incidents/{incident.id}")
    if start <= rooms.started_ms <= end:
        yield Change(rooms.started_ms, "the server process started")
    status = rooms.model.status()
    if status.model and status.state != "disabled" and start <= status.since_ms <= end:
        yield Change(
            status.since_ms, f"the model became {status.state} with version {status.version or '?'}", link="/model"
        )
    if subject.target is not None:
        yield from _remedies(rooms, subject.target, start, end)


def _remedies(rooms: Services, target: str, start: int, end: int) -> Iterator[Change]:
    found = select(RemedyRow.started_ms, RemedyRow.kind, RemedyRow.state)
    found = found.where(RemedyRow.target == target, RemedyRow.started_ms.between(start, end))
    with rooms.database.connect() as connection:
        for row in connection.execute(found.order_by(RemedyRow.started_ms.desc()).limit(20)):
            what = f"remedy {_STATES.get(row.state, row.state)}: {_KINDS.get(row.kind, row.kind)}"
            yield Change(row.started_ms, what, link=f"/targets/{quote(target)}", failed=row.state == "failed")


def _failures(rooms: Services, subject: Subject) -> Iterator[Failure]:
    start, end = subject.time_ms - _BEFORE_MS, subject.time_ms + _AFTER_MS
    if subject.target is not None:
        yield from _target_failures(rooms, subject.target, start, end)
        return
    own = OwnLog(rooms.settings.data_dir)
    bad = at_least("error")

    def around(line: Line) -> bool:
        return line.level in bad and line.time_ms is not None and start <= line.time_ms <= end

    # From the end backwards, so that of many the newest are had; the first of those is told.
    for line in own.newest(200, around, holds="error", seconds=_LOOK_SECONDS).lines[:5]:
        trace = str(line.fields.get("exception") or "").splitlines()
        lines = tuple(mask(one)[:_LONGEST] for one in trace[-15:])
        link = f"/logs?request_id={quote(line.request_id)}#own" if line.request_id else "/logs#own"
        yield Failure(line.time_ms or 0, mask(line.text.replace("_", " "))[:_LONGEST], lines, link)
    groups = RequestSearch(rooms.database).errors(start, end, limit=20)
    for group in sorted(groups, key=lambda group: group.first_ms)[:5]:
        link = f"/requests?fingerprint={quote(group.fingerprint)}"
        yield Failure(group.first_ms, mask(group.text)[:_LONGEST], (), link)


def _target_failures(rooms: Services, target: str, start: int, end: int) -> Iterator[Failure]:
    events = select(LogEventRow.first_ms, LogEventRow.text, LogEventRow.context)
    events = events.where(LogEventRow.target == target, LogEventRow.last_ms >= start, LogEventRow.first_ms <= end)
    outages = select(TargetOutageRow.started_ms, TargetOutageRow.reason)
    outages = outages.where(TargetOutageRow.target == target, TargetOutageRow.started_ms.between(start, end))
    with rooms.database.connect() as connection:
        for row in connection.execute(events.order_by(LogEventRow.first_ms).limit(10)):
            context = tuple(mask(str(line))[:_LONGEST] for line in row.context[:15])
            yield Failure(row.first_ms, mask(row.text)[:_LONGEST], context, f"/logs?target={quote(target)}")
        for outage in connection.execute(outages.order_by(TargetOutageRow.started_ms).limit(10)):
            yield Failure(outage.started_ms, mask(outage.reason)[:_LONGEST], (), f"/targets/{quote(target)}")


def _inputs(rooms: Services, subject: Subject) -> Step:
    if subject.target is not None:
        return Step("inputs", "unknown", "What is sent to a target is not seen here; its log may tell.")
    start, end = subject.time_ms - HOUR_MS, subject.time_ms + _AFTER_MS
    search = RequestSearch(rooms.database)
    if not search.page(Wanted(start, end), 1, seconds=_LOOK_SECONDS).entries:
        return Step("inputs", "unknown", "Nothing was asked of the model in that hour.")
    sample = RequestSample(rooms.database)
    failing = [flat(one) for one in sample.inputs(start, end, FAILED, _MOST_INPUTS)]
    good = [flat(one) for one in sample.inputs(start, end, ("ok",), _MOST_INPUTS)] if failing else []
    return checkup.inputs(compare(failing, good), LEAST)


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M:%S UTC")
