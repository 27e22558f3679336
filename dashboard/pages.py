"""The pages, painted with current values, and the history of their panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as BaseResponse

from collectors.requests import OUTCOMES
from dashboard import access, asset, explore, i18n, live
from dashboard.board import Window as Times
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.panels import BadPanel, Panel
from dashboard.parameter import HOUR_MS, one_of, whole, window
from dashboard.problem import Problem
from dashboard.services import services
from dashboard.unit import say

blueprint = Blueprint("pages", __name__)

#: What a visitor sees first: the last hour, in steps of ten seconds.
FIRST_RANGE_MS = HOUR_MS
FIRST_STEP_MS = 10_000
SAMPLES = Path(__file__).resolve().parent.parent / "model" / "builtin" / "samples"
_YEAR = 365 * 24 * 3600


def init_app(app: Flask) -> None:
    """Add the pages, their files, their languages and the live websocket to the app."""
    i18n.init_app(app)
    asset.init_app(app)
    live.init_app(app)
    app.register_blueprint(asset.blueprint)
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(say=say, alert_text=_alert_text, duration=_duration)


def _alert_text(alert: Mapping[str, Any], part: str) -> str:
    """An annotation of an alert in the visitor's language."""
    said: Mapping[str, str] = alert["annotations"]
    fallback: str = alert["rule"] if part == "summary" else ""
    return said.get(f"{part}_{i18n.current_language()}") or said.get(part) or fallback


def _duration(seconds: float) -> str:
    return i18n.say_duration(seconds, i18n.current_language())


@blueprint.get("/")
@access.require("viewer")
def overview() -> str:
    """Is it well, since when, and what do I do?"""
    layout = services().hub.board.layout("overview")
    groups: dict[str, list[Panel]] = {}
    for panel in layout:
        if panel.kind == "tile" and isinstance(panel, Panel):
            groups.setdefault(panel.group, []).append(panel)
    return _page(
        "overview",
        groups=groups,
        bad_tiles=[panel for panel in layout if panel.kind == "tile" and isinstance(panel, BadPanel)],
        charts=[panel for panel in layout if panel.kind == "chart"],
        bars=[panel for panel in layout if panel.kind == "bars"],
    )


@blueprint.get("/alerts")
@access.require("viewer")
def alerts() -> str:
    """What fires, what was, what is held back, the rules, the notices and where they go."""
    rules = services().alerts.rules()
    return _page("alerts", rules=rules, rule_count=sum(len(group.rules) for group in rules))


@blueprint.get("/rules")
@access.require("viewer")
def rules() -> str:
    """The rules' text, to read; an administrator may write in it."""
    return _page("rules")


@blueprint.get("/incidents")
@access.require("viewer")
def incidents() -> str:
    """How much of the time the service was up, and each stretch in which it was not."""
    return _page("incidents")


@blueprint.get("/incidents/<int:incident_id>")
@access.require("viewer")
def incident(incident_id: int) -> str:
    """One incident: what happened when, what was done, what people noted."""
    return _page("incident", data={"incident": incident_id})


@blueprint.get("/model")
@access.require("viewer")
def model() -> str:
    """The model's state, its checks, its restarts, and a way to try it."""
    taken = services().model.intake()
    return _page("model", data={"intake": None if taken is None else asdict(taken)}, samples=_samples())


@blueprint.get("/explore")
@access.require("viewer")
def explore_page() -> str:
    """Ask anything of the history in PromQL: a table, a chart, a file."""
    words = [word._asdict() for word in explore.words()]
    return _page("explore", data={"words": words}, examples=explore.EXAMPLES, units=explore.UNITS)


@blueprint.get("/storage")
@access.require("viewer")
def storage() -> str:
    """What the history costs, when it will be full, and what is wrong with it."""
    return _page("storage")


@blueprint.get("/targets")
@access.require("viewer")
def targets() -> str:
    """What runs beside the model: is it up, since when, and how was it lately?"""
    return _page("targets")


@blueprint.get("/targets/<name>")
@access.require("viewer")
def target(name: str) -> str:
    """One target: its probes, scrapes and logs, its outages, and what was done about them."""
    return _page("target", data={"target": name})


@blueprint.get("/requests")
@access.require("viewer")
def requests() -> str:
    """What was asked of the model: how fast it was, what failed, and what failures have in common."""
    return _page("requests", data={"outcomes": OUTCOMES})


@blueprint.get("/logs")
@access.require("viewer")
def logs() -> str:
    """What was found in the logs of targets, and Wakeless' own log as it grows."""
    return _page("logs")


@blueprint.get("/reports")
@access.require("viewer")
def reports() -> str:
    """What is said of a day, a week or a month."""
    return _page("reports")


@blueprint.get("/checkup")
@access.require("viewer")
def checkup() -> str:
    """What is usually looked at when something is wrong, looked at: for an alert or a target."""
    return _page("checkup")


@blueprint.get("/samples/<name>")
@access.require("viewer")
def sample(name: str) -> Response:
    """A sample image of the embedded model, to try it with."""
    if name not in _samples():
        raise Problem(404, "not-found", "There is no such sample.")
    return send_file(SAMPLES / f"{name}.jpg", mimetype="image/jpeg")


def _samples() -> list[str]:
    """The names of the samples that come with the embedded model; a model of one's own has none."""
    if services().settings.model.path != type(services().settings.model)().path:
        return []
    return sorted(path.stem for path in SAMPLES.glob("*.jpg"))


@blueprint.get("/language/<code>")
@access.public
def language(code: str) -> BaseResponse:
    """Keep the visitor's choice of language and go back to the page."""
    if code not in i18n.LANGUAGES:
        raise Problem(404, "not-found", f"The languages are: {', '.join(i18n.LANGUAGES)}.")
    response = redirect(access.safe_next(request.args.get("next")))
    response.set_cookie(
        i18n.COOKIE,
        code,
        max_age=_YEAR,
        httponly=True,
        samesite="Lax",
        secure=services().settings.server.secure_cookies,
    )
    return response


@blueprint.get("/api/panels")
@access.require("viewer")
def history() -> Response:
    """The history of a page's panels: ``page``, ``start``, ``end`` , ``step`` (ms), ``panel[]``."""
    board = services().hub.board
    page = one_of("page", tuple(sorted(board.pages()))) or "overview"
    period = window(FIRST_RANGE_MS)
    times = Times.fitting(period.start_ms, period.end_ms, whole("step", FIRST_STEP_MS, 1, live.MAX_STEP_MS))
    answer = board.history(page, times, request.args.getlist("panel[]"))
    response = Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(name: str, *, data: Mapping[str, Any] | None = None, **values: Any) -> str:
    """Render a page with the state and the values of this moment; ``data`` goes to its script, ``values`` into it."""
    here, hub, time_ms = services(), services().hub, now_ms()
    state, current_values = hub.first(name, time_ms, FIRST_STEP_MS)
    panels = hub.panels(name)
    identity = current()
    first = {
        "page": name,
        "language": i18n.current_language(),
        "time_ms": time_ms,
        "state": state,
        "values": current_values,
        "panels": [panel.model_dump() for panel in panels],
        "interval_ms": round(here.settings.collectors.interval_seconds * 1000),
        "role": identity.role,
        "may": {role: identity.may(role) for role in ("operator", "admin")},
        **(data or {}),
    }
    return render_template(
        f"{name}.html",
        page=name,
        state=state,
        values=current_values,
        # No tag at all: "<!--<script>" would keep the script from ending, as "</script>" would end it.
        first=orjson.dumps(first).decode().replace("<", "\\u003c"),
        socket_url=url_for("live._serve"),
        **values,
    )
