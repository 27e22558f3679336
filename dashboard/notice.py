"""Notices: which wait, which were sent, and those that were given up, for operators to send again or to discard."""

from __future__ import annotations

from typing import Any, get_args

from flask import Blueprint, Response, request

from alerts.delivery.entry import Entry, NoticeState
from alerts.delivery.pace import limits, rate
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.standing import LaneStatus
from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.moment import now_ms
from dashboard.parameter import one_of, whole
from dashboard.problem import Problem
from dashboard.services import services

blueprint = Blueprint("notice", __name__, url_prefix="/api/notices")

_STATES: tuple[NoticeState, ...] = get_args(NoticeState)
#: Ids that SQLite cannot hold name nothing.
_MAX_ID = (1 << 63) - 1


@blueprint.get("")
@require("viewer")
def notices() -> Response:
    """The newest notices, and how each channel stands."""
    state: NoticeState | None = one_of("state", _STATES)  # type: ignore[assignment]  # it is one of them
    channel = request.args.get("channel") or None
    found = services().outbox.recent(whole("limit", 100, 1, 1000), state=state, channel=channel)
    return answer({"notices": [_shown(entry) for entry in found], "channels": _lanes()})


@blueprint.post("/<int:notice_id>/retry")
@require("operator")
def retry(notice_id: int) -> Response:
    """Send a notice that was given up, or that waits for its next attempt, now."""
    entry = _find(notice_id)
    if not services().outbox.retry(notice_id, now_ms()):
        raise Problem(409, "conflict", f"The notice is not one to send again: it is {entry.state}.")
    audit("notice.retry", f"notice:{notice_id}", {"channel": entry.channel, "error": entry.error})
    return answer({"notice": _shown(_find(notice_id))})


@blueprint.delete("/<int:notice_id>")
@require("operator")
def discard(notice_id: int) -> Response:
    """Take out a notice that was given up or that waits: it is never sent."""
    entry = _find(notice_id)
    if not services().outbox.discard(notice_id):
        raise Problem(409, "conflict", f"Only what waits or was given up can be discarded; this is {entry.state}.")
    audit("notice.discard", f"notice:{notice_id}", {"channel": entry.channel, "error": entry.error})
    return answer({"discarded": notice_id})


def _find(notice_id: int) -> Entry:
    entry = services().outbox.find(notice_id) if notice_id <= _MAX_ID else None
    if entry is None:
        raise Problem(404, "not-found", f"There is no notice {notice_id}.")
    return entry


def _shown(entry: Entry) -> dict[str, Any]:
    """A notice as the page shows it; before it is sent, its title is the summary of its most urgent alert."""
    return {
        "id": entry.id,
        "channel": entry.channel,
        "title": entry.title or entry.headline,
        "body": entry.body,
        "kind": entry.kind,
        "about": entry.about,
        "stands_for": entry.stands_for,
        "state": entry.state,
        "created_ms": entry.created_ms,
        "next_ms": entry.next_ms,
        "sent_ms": entry.sent_ms,
        "attempts": entry.attempts,
        "error": entry.error,
    }


def _lanes() -> list[dict[str, Any]]:
    """Every channel that there is or for which there are notices."""
    specs = {spec.name: spec for spec in services().channels.registry.specs()}
    lanes = {lane.channel: lane for lane in services().outbox.lanes(now_ms())}
    idle = {name: LaneStatus(name, 0, 0, 0, None, None) for name in specs if name not in lanes}
    return [_lane(lane, specs.get(name)) for name, lane in sorted((lanes | idle).items())]


def _lane(lane: LaneStatus, spec: ChannelSpec | None) -> dict[str, Any]:
    return {
        "name": lane.channel,
        "is_configured": spec is not None,
        "waiting": lane.waiting,
        "failed": lane.failed,
        "sent_24h": lane.sent_24h,
        "rate": None if spec is None else rate(limits(spec)),
        "resting_until_ms": lane.resting_until_ms,
        "last_error": lane.last_error,
    }
