"""The page behind a link in a notice: acknowledge its alerts with a name and a reason, without logging in.

The address itself is the authority, once. Looking at it changes nothing: chat apps look at every link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Blueprint, Response, current_app, make_response, render_template, request

from alerts.engine import MAX_REASON
from alerts.state import AlertError
from dashboard.access import require
from dashboard.i18n import current_language, say_duration
from dashboard.i18n import message as _
from dashboard.identity import current
from dashboard.moment import iso, now_ms
from dashboard.problem import Problem, retry_after
from dashboard.services import services
from dashboard.situation import tone
from dashboard.throttle import LoginThrottle
from mask import deidentify
from storage.error import StorageError

if TYPE_CHECKING:
    from alerts.silencing.link import AckLink
    from alerts.state import Alert

blueprint = Blueprint("ack_link", __name__)

THROTTLE = "wakeless.ack_throttle"
MAX_NAME = 64
MAX_NOTE = 300
#: What people say most often; the first is chosen unless they say otherwise.
REASONS = ("I am looking into it", "Known, nothing to do now", "Planned work", "False alarm")
#: Neither the address nor the page is for anybody else.
HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One alert as the page shows it; ``state`` is a sentence where there is nothing to acknowledge."""

    title: str
    tone: str
    since: str
    lasted: str
    value: str | None
    state: str | None


@blueprint.after_request
def _keep_private(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@blueprint.get("/ack/<token>")
@require("link")
def look(token: str) -> Response:
    """What a link would acknowledge, and the form for it."""
    link = services().quieting.links.look(token, now_ms())
    if link is None:
        _admit()  # only guesses count here
    elif link.state(now_ms()) == "open":
        return _form(token, link)
    return _dead(link)


@blueprint.post("/ack/<token>")
@require("link")
def use(token: str) -> Response:
    """Acknowledge what still fires, and use the link up."""
    _admit()
    links = services().quieting.links
    link = links.look(token, now_ms())
    if link is None or link.state(now_ms()) != "open":
        return _dead(link)
    name = " ".join(request.form.get("name", "").split())
    reason = ": ".join(filter(None, (" ".join(request.form.get(field, "").split()) for field in ("reason", "note"))))
    if not 1 <= len(name) <= MAX_NAME:
        return _form(token, link, name=name[:MAX_NAME], error=_("Say who you are: 1 to 64 characters."))
    if not 1 <= len(reason) <= MAX_REASON:
        return _form(token, link, name=name, error=_("Say why, in a few words."))
    if not any(alert.state == "firing" for alert in _alerts(link.alerts)):
        return _form(token, link, name=name)
    claimed = links.use(token, name, now_ms())
    if claimed is None:  # somebody was faster
        return _dead(links.look(token, now_ms()))
    try:
        count = _acknowledge(claimed, name, reason)
    except StorageError:
        links.give_back(token)
        raise
    return _page(alerts=_shown(claimed), done=count, name=name, reason=reason)


def _acknowledge(alert_ids: tuple[int, ...], name: str, reason: str) -> int:
    """Acknowledge those that fire and that nobody has acknowledged; returns how many."""
    count = 0
    for alert in _alerts(alert_ids):
        if alert.state != "firing":
            continue
        try:
            services().alerts.acknowledge(alert.id, name, reason, now_ms())
        except AlertError:  # it ended, or somebody acknowledged it, at this very moment
            continue
        detail = {"rule": alert.rule, "reason": reason, "name": name, "peer": request.remote_addr}
        services().audit.note(now_ms(), f"link:{name}", "alert.ack", f"alert:{alert.id}", detail)
        count += 1
    return count


def _form(token: str, link: AckLink, *, name: str = "", error: str | None = None) -> Response:
    shown = _shown(link.alerts)
    if not any(one.state is None for one in shown):
        return _page(alerts=shown)
    who = current()
    return _page(
        alerts=shown,
        token=token,
        name=name or (who.name if who.kind == "session" else ""),
        chosen=request.form.get("reason"),
        note=request.form.get("note", "")[:MAX_NOTE],
        error=error,
        status=200 if error is None else 422,
    )


def _dead(link: AckLink | None) -> Response:
    """A link that cannot be used: what became of it, as far as its owner may know."""
    if link is None:
        return _page(heading=_("This link is not known"), text=_("It may be incomplete: copy all of it."), status=404)
    if link.used_ms is None:
        return _page(
            heading=_("This link has expired"),
            text=_("A newer notice has a new one; or log in and acknowledge on the page of alerts."),
            status=410,
        )
    ago = say_duration(max(0, now_ms() - link.used_ms) / 1000, current_language())
    text = _("{name} acknowledged with it {ago} ago.", name=link.used_by, ago=ago)
    return _page(heading=_("This link has been used"), text=text, alerts=_shown(link.alerts), status=410)


def _page(
    *,
    alerts: list[Shown] | None = None,
    token: str | None = None,
    heading: str | None = None,
    text: str | None = None,
    name: str = "",
    reason: str = "",
    chosen: str | None = None,
    note: str = "",
    error: str | None = None,
    done: int | None = None,
    status: int = 200,
) -> Response:
    rendered = render_template(
        "ack.html",
        alerts=alerts or [],
        token=token,
        heading=heading,
        text=text,
        name=name,
        reason=reason,
        reasons=REASONS,
        chosen=chosen,
        note=note,
        error=error,
        done=done,
        max_name=MAX_NAME,
        max_note=MAX_NOTE,
    )
    return make_response(rendered, status)


def _alerts(alert_ids: tuple[int, ...]) -> list[Alert]:
    found = (services().alerts.alert(alert_id) for alert_id in alert_ids)
    return [alert for alert in found if alert is not None]


def _shown(alert_ids: tuple[int, ...]) -> list[Shown]:
    language, time_ms = current_language(), now_ms()
    shown = []
    for alert in _alerts(alert_ids):
        since_ms = alert.firing_ms if alert.firing_ms is not None else alert.active_ms
        lasted_ms = (alert.resolved_ms or time_ms) - since_ms
        shown.append(
            Shown(
                title=deidentify(alert.text("summary", language)),  # as the notice has it: no login stands before this
                tone=tone(alert),
                since=iso(since_ms),
                lasted=say_duration(max(0, lasted_ms) / 1000, language),
                value=None if alert.value is None else f"{alert.value:.6g}",
                state=_state(alert),
            )
        )
    return shown


def _state(alert: Alert) -> str | None:
    """Why there is nothing to acknowledge; None if there is."""
    if alert.state == "acknowledged":
        return _("Acknowledged by {name}", name=alert.ack_by)
    return None if alert.state == "firing" else _("It is over.")


def _admit() -> None:
    """Make guessing slow."""
    wait_seconds = cast(LoginThrottle, current_app.extensions[THROTTLE]).attempt_link(request.remote_addr)
    if wait_seconds is not None:
        detail = _("Too many links were tried. Try again in a minute.")
        raise Problem(429, "too-many-attempts", detail, headers=retry_after(wait_seconds))
