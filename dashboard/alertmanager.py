"""Alertmanager's HTTP API v2, so that amtool works on us and other Prometheus servers can send us their alerts.

What is kept back shows as suppressed: by a silence's id, or the name of a maintenance window. An alert that somebody
has acknowledged still fires, and shows so.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response

from alerts.silencing.matching import match_all
from alerts.silencing.silence import SilenceError
from alerts.state import AlertError
from config import VERSION
from dashboard import alertmanager_form as form
from dashboard.access import require
from dashboard.alertmanager_config import configuration
from dashboard.api import audit
from dashboard.identity import current
from dashboard.moment import iso, now_ms
from dashboard.services import services
from storage.error import StorageError

if TYPE_CHECKING:
    from alerts.state import Alert

blueprint = Blueprint("alertmanager", __name__, url_prefix="/api/v2")
blueprint.register_error_handler(form.FormError, form.failure)

#: The Alertmanager whose API this is; amtool of another version says so with every call.
SPOKEN_VERSION = "0.25.0"
_STATUS_OF = {"not_found": 404, "invalid": 400, "full": 400}


@blueprint.errorhandler(StorageError)
def _storage_error(error: StorageError) -> Response:
    """The database takes nothing: senders try again."""
    response = form.answer("What was sent or asked for could not be kept or read: the database does not answer.", 503)
    if not error.permanent:
        response.headers["Retry-After"] = "5"
    return response


# --- alerts ------------------------------------------------------------------------------------------------------


@blueprint.get("/alerts")
@require("viewer")
def alerts() -> Response:
    """The alerts that fire, ours and those of other servers."""
    wanted = _Wanted.asked()
    shown = [seen.document for seen in wanted.seen() if any(map(wanted.receiver, seen.receivers))]
    return form.answer(sorted(shown, key=lambda one: str(one["fingerprint"])))


@blueprint.get("/alerts/groups")
@require("viewer")
def groups() -> Response:
    """The same, as notices tell of them together: by route."""
    wanted, root = _Wanted.asked(), services().routing().root
    found: dict[tuple[str, tuple[tuple[str, str], ...], str], list[dict[str, Any]]] = {}
    for seen in wanted.seen():
        for route in root.find(seen.alert.labels):
            if wanted.receiver(route.receiver):
                labels = tuple(route.group_labels(seen.alert.labels).items())
                found.setdefault((route.id, labels, route.receiver), []).append(seen.document)
    return form.answer(
        [
            {"alerts": members, "labels": dict(labels), "receiver": {"name": receiver}}
            for (_, labels, receiver), members in sorted(
                found.items(), key=lambda item: (len(item[0][1]), item[0][1], item[0][2])
            )
        ]
    )


@blueprint.post("/alerts")
@require("operator")
def post_alerts() -> Response:
    """Take another server's alerts. As in Alertmanager the good ones are taken, also where some are not."""
    good, problems = form.posted_alerts()
    try:
        services().alerts.accept(good, now_ms())
    except AlertError as error:
        problems.append(str(error))
    if problems:
        raise form.FormError(400, "; ".join(problems[:10]))
    return _empty()


@dataclass(frozen=True, slots=True)
class _Seen:
    """An alert, whom it goes to, and how it is shown."""

    alert: Alert
    receivers: list[str]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which alerts a query asks for."""

    test: Callable[[Alert], bool]
    receiver: Callable[[str], bool]
    active: bool
    silenced: bool
    inhibited: bool

    @classmethod
    def asked(cls) -> _Wanted:
        """As the query at hand says. Nothing here is ever unprocessed, so that parameter leaves nothing out."""
        matchers = form.matchers()
        return cls(
            lambda alert: match_all(matchers, alert.labels),
            form.receiver_test(),
            *(form.flag(name) for name in ("active", "silenced", "inhibited")),
        )

    def seen(self) -> Iterator[_Seen]:
        """Those that fire, the longest first."""
        here, time_ms = services(), now_ms()
        routing, inhibitors = here.routing(), here.inhibitors()
        lasting_ms = int(here.settings.alerts.resolve_seconds * 1000)
        firing = [alert for alert in here.alerts.current() if alert.is_firing and self.test(alert)]
        for alert in sorted(firing, key=lambda alert: (form.starts_ms(alert), alert.fingerprint)):
            silenced = here.quieting.mutes(alert.labels, time_ms)
            inhibited = inhibitors.get(alert.fingerprint, ())
            if not (silenced or inhibited or self.active):
                continue
            if (silenced and not self.silenced) or (inhibited and not self.inhibited):
                continue
            receivers = list(dict.fromkeys(route.receiver for route in routing.root.find(alert.labels)))
            ends_ms = max(alert.seen_ms, time_ms) + lasting_ms if alert.ends_ms is None else alert.ends_ms
            yield _Seen(alert, receivers, form.gettable_alert(alert, receivers, silenced, inhibited, ends_ms))


# --- silences ----------------------------------------------------------------------------------------------------


@blueprint.get("/silences")
@require("viewer")
def silences() -> Response:
    """Every silence that is known, expired ones among them."""
    time_ms = now_ms()
    found = services().quieting.silences.all(time_ms, form.matchers())
    return form.answer([form.gettable_silence(one, time_ms) for one in found])


@blueprint.post("/silences")
@require("operator")
def post_silence() -> Response:
    """Make a silence, or change the one whose id is given."""
    silence = form.posted_silence()
    if not silence.created_by:
        silence = replace(silence, created_by=current().actor)
    try:
        silence_id = services().quieting.silences.put(silence, now_ms())
    except SilenceError as error:
        raise form.FormError(_STATUS_OF[error.kind], str(error)) from error
    detail = {"matchers": [str(one) for one in silence.matchers], "reason": silence.comment}
    detail |= {"created_by": silence.created_by, "ends": iso(silence.ends_ms)}
    audit("silence.change" if silence.id else "silence.create", f"silence:{silence_id}", detail)
    return form.answer({"silenceID": silence_id})


@blueprint.get("/silence/<silence_id>")
@require("viewer")
def silence(silence_id: str) -> Response:
    """One silence."""
    found = services().quieting.silences.get(form.silence_id(silence_id))
    return _empty(404) if found is None else form.answer(form.gettable_silence(found, now_ms()))


@blueprint.delete("/silence/<silence_id>")
@require("operator")
def expire_silence(silence_id: str) -> Response:
    """End a silence now."""
    try:
        found = services().quieting.silences.expire(form.silence_id(silence_id), now_ms())
    except SilenceError as error:
        raise form.FormError(_STATUS_OF[error.kind], str(error)) from error
    audit("silence.expire", f"silence:{found.id}", {"matchers": [str(one) for one in found.matchers]})
    return _empty()


# --- the rest ----------------------------------------------------------------------------------------------------


@blueprint.get("/receivers")
@require("viewer")
def receivers() -> Response:
    """The receivers' names."""
    return form.answer([{"name": name} for name in services().routing().receivers])


@blueprint.get("/status")
@require("viewer")
def status() -> Response:
    """What answers here, since when, and how it routes."""
    return form.answer(
        {
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": configuration(services().routing())},
            "uptime": iso(services().started_ms),
            "versionInfo": {
                "branch": "",
                "buildDate": "",
                "buildUser": "",
                "goVersion": f"python{platform.python_version()}",
                "revision": f"wakeless-{VERSION}",
                "version": SPOKEN_VERSION,
            },
        }
    )


def _empty(status: int = 200) -> Response:
    """No body at all, and no type of one."""
    response = Response(b"", status)
    del response.headers["Content-Type"]
    return response
