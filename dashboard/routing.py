"""Who is told what: the routing in force, who is on call, and why somebody does or does not hear of an alert."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from alerts.routing.explain import Explanation
from alerts.routing.group import Group
from alerts.routing.rota import Rota
from alerts.routing.scene import Reason
from alerts.routing.schema import ALL_LABELS
from alerts.routing.tree import Route, Routing
from dashboard.access import require
from dashboard.alertmanager_config import duration
from dashboard.api import answer
from dashboard.moment import now_ms
from dashboard.parameter import body
from dashboard.services import services

blueprint = Blueprint("routing", __name__, url_prefix="/api/routing")

#: Most labels of an alert that one can ask about, and characters of a name or a value.
MAX_LABELS = 100
MAX_LABEL = 2000
_REASONS = {
    "inhibited": "the alert {}",
    "time_interval": "the time interval {}",
    "silenced": "the silence {}",
    "quiet_hours": "the quiet hours {}",
    "acknowledged": "the acknowledgement by {}",
}


class Question(BaseModel):
    """An alert that fires or might."""

    model_config = ConfigDict(extra="forbid", strict=True)
    labels: dict[str, str] = Field(max_length=MAX_LABELS)


@blueprint.get("")
@require("viewer")
def view() -> Response:
    """The routing as a tree, its receivers and rotas, and what its file asks for in vain."""
    dispatcher, time_ms = services().dispatcher, now_ms()
    routing = dispatcher.routing
    return answer(
        {
            "file": routing.file,
            "tree": _tree(routing.root),
            "receivers": [
                {"name": receiver.name, "channels": list(receiver.channels)} for receiver in routing.receivers.values()
            ],
            "rotas": [_rota(rota, time_ms) for rota in routing.rotas.values()],
            "inhibit_rules": [str(rule) for rule in routing.inhibit_rules],
            "unsupported": list(routing.unsupported),
            "notes": list(routing.notes),
            "problems": list(services().alerting.routing.problems),
            "groups": [_group(group, routing, time_ms) for group in dispatcher.groups()],
        }
    )


@blueprint.post("/explain")
@require("viewer")
def explain() -> Response:
    """Who hears of an alert with these labels, by which routes, and what keeps it back now."""
    labels = {name[:MAX_LABEL]: value[:MAX_LABEL] for name, value in body(Question).labels.items() if value}
    found = services().dispatcher.explain(labels, now_ms())
    reachable = [each for each in found if each.channels]
    all_muted = bool(found) and all(each.muted_by for each in found)
    reasons = dict.fromkeys(_words(reason) for each in found for reason in each.muted_by) if all_muted else {}
    return answer(
        {
            "receivers": [{"name": each.on_call, "channels": list(each.channels)} for each in reachable],
            "route": [_place(each) for each in found],
            "muted_by": list(reasons),
            "routes": [each.as_dict() for each in found],
        }
    )


def _words(reason: Reason) -> str:
    return _REASONS[reason.kind].format(", ".join(reason.names))


def _place(found: Explanation) -> str:
    """A route as a person finds it: its place in the file and its matchers."""
    return f"{found.route} {found.matchers}"


def _tree(route: Route) -> dict[str, Any]:
    """A route and all below it, durations as the file writes them."""
    return {
        "path": route.path,
        "receiver": route.receiver,
        "matchers": [str(matcher) for matcher in route.matchers],
        "levels": list(route.levels),
        "group_by": [ALL_LABELS] if route.group_by_all else list(route.group_by),
        "group_wait": duration(route.group_wait_ms),
        "group_interval": duration(route.group_interval_ms),
        "repeat_interval": duration(route.repeat_interval_ms),
        "mute_time_intervals": list(route.mute_time_intervals),
        "active_time_intervals": list(route.active_time_intervals),
        "escalation": [{"after": duration(step.after_ms), "receiver": step.receiver} for step in route.escalation],
        "quiet_hours": [
            {"time_intervals": list(quiet.time_intervals), "levels": list(quiet.levels)} for quiet in route.quiet_hours
        ],
        "continue": route.continues,
        "routes": [_tree(child) for child in route.routes],
    }


def _rota(rota: Rota, time_ms: int) -> dict[str, Any]:
    until_ms, following = rota.handover(time_ms) or (None, None)
    return {
        "name": rota.name,
        "timezone": rota.zone_name,
        "receivers": list(rota.receivers),
        "now": rota.on_call(time_ms),
        "until_ms": until_ms,
        "next": following,
    }


def _group(group: Group, routing: Routing, time_ms: int) -> dict[str, Any]:
    return {
        "route": group.route.path,
        "receiver": routing.receiver(group.route.receiver, time_ms).name,
        "labels": dict(group.labels),
        "alerts": [alert.id for alert in group.members.values()],
        "next_ms": group.next_ms,
        "escalates_ms": group.escalates_ms,
        "told_ms": {channel: told.time_ms for channel, told in group.told.items()},
    }
