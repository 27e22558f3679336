"""Silences and maintenance for our own page: what a silence would hide, and windows that recur.

Silences themselves are made, changed and ended through :mod:`dashboard.alertmanager`, by people and amtool alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from alerts.silencing.maintenance import MAX_INTERVALS, MAX_NAME, Window
from alerts.silencing.matching import LabelMatcher, MatcherError, parse_matcher
from alerts.silencing.preview import DAYS, MAX_ALERTS, preview
from alerts.silencing.silence import MAX_COMMENT, MAX_MATCHERS, SilenceError, check_matchers
from dashboard.access import require
from dashboard.api import DAY_MS, answer, audit
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import body, invalid, parse_own_time
from dashboard.problem import Problem
from dashboard.services import services
from dashboard.situation import alert_json

blueprint = Blueprint("silence", __name__, url_prefix="/api")


class Matcher(BaseModel):
    """One matcher as Alertmanager's API has it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    value: str
    isRegex: bool = False  # noqa: N815 - Alertmanager's word
    isEqual: bool = True  # noqa: N815

    def read(self) -> LabelMatcher:
        """The matcher itself."""
        return LabelMatcher(self.name, self.value, self.isRegex, self.isEqual)


class Draft(BaseModel):
    """A silence that somebody thinks of making."""

    model_config = ConfigDict(extra="forbid")
    matchers: list[Matcher | str] = Field(min_length=1, max_length=MAX_MATCHERS)
    startsAt: str | None = None  # noqa: N815
    endsAt: str | None = None  # noqa: N815


class WindowBody(BaseModel):
    """A maintenance window; ``intervals`` are checked by the calendar, which names what is wrong."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    name: str = Field(min_length=1, max_length=MAX_NAME)
    matchers: list[Matcher | str] = Field([], max_length=MAX_MATCHERS)
    intervals: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_INTERVALS)
    comment: str = Field("", max_length=MAX_COMMENT)
    disabled: bool = False

    def window(self, window_id: int) -> Window:
        """The window as the caller wants it."""
        return Window(
            id=window_id,
            name=self.name,
            matchers=_read(self.matchers),
            intervals=tuple(self.intervals),
            created_by=current().actor,
            created_ms=now_ms(),
            comment=self.comment,
            disabled=self.disabled,
        )


@blueprint.post("/silences/preview")
@require("viewer")
def preview_silence() -> Response:
    """What a silence would hide now, and how often it would have hidden each rule in the last 7 days."""
    draft, time_ms = body(Draft), now_ms()
    starts_ms, ends_ms = (_time(name, getattr(draft, name)) for name in ("startsAt", "endsAt"))
    if ends_ms is not None and ends_ms <= max(time_ms, starts_ms or time_ms):
        invalid("endsAt", "must lie in the future, and after the start")
    matchers = _read(draft.matchers)
    try:
        check_matchers(matchers)
    except SilenceError as error:
        invalid("matchers", str(error).removeprefix("silence invalid: "))
    engine = services().alerts
    past = engine.history(time_ms - DAYS * DAY_MS, time_ms, MAX_ALERTS)
    found = preview(matchers, [alert for alert in engine.current() if alert.is_firing], past)
    return answer(
        {
            "alerts": [alert_json(alert) | services().quieting.reasons(alert.labels, time_ms) for alert in found.now],
            "recent": [{"rule": rule, "count": count} for rule, count in found.recent],
            "total": found.total,
            "complete": found.complete,
        }
    )


@blueprint.get("/maintenance")
@require("viewer")
def maintenance() -> Response:
    """Every maintenance window, and when it is open next."""
    return answer({"maintenance": [_shown(window) for window in services().quieting.maintenance.all()]})


@blueprint.post("/maintenance")
@require("operator")
def add_window() -> Response:
    """Make a maintenance window."""
    wanted = body(WindowBody).window(0)
    try:
        window = services().quieting.maintenance.add(wanted)
    except SilenceError as error:
        raise _problem(error) from error
    audit("maintenance.create", f"maintenance:{window.id}", _detail(window))
    return answer(_shown(window), 201)


@blueprint.put("/maintenance/<int:window_id>")
@require("operator")
def change_window(window_id: int) -> Response:
    """Change a maintenance window, or switch it on or off."""
    wanted = body(WindowBody).window(window_id)
    try:
        window = services().quieting.maintenance.change(wanted)
    except SilenceError as error:
        raise _problem(error) from error
    audit("maintenance.change", f"maintenance:{window.id}", _detail(window))
    return answer(_shown(window))


@blueprint.delete("/maintenance/<int:window_id>")
@require("operator")
def remove_window(window_id: int) -> Response:
    """Delete a maintenance window."""
    try:
        window = services().quieting.maintenance.remove(window_id)
    except SilenceError as error:
        raise _problem(error) from error
    audit("maintenance.delete", f"maintenance:{window.id}", _detail(window))
    return answer(_shown(replace(window, disabled=True)))


def _shown(window: Window) -> dict[str, Any]:
    """A window for the page; ``active`` until ``until_ms``, or else open from ``next_ms`` to ``until_ms``."""
    time_ms = now_ms()
    found = services().quieting.maintenance.next(window.id, time_ms)
    active = found is not None and found.start_ms <= time_ms
    return {
        "id": window.id,
        "name": window.name,
        "matchers": [matcher.as_dict() for matcher in window.matchers],
        "intervals": [dict(interval) for interval in window.intervals],
        "comment": window.comment,
        "disabled": window.disabled,
        "created_by": window.created_by,
        "created_ms": window.created_ms,
        "active": active,
        "next_ms": None if active or found is None else found.start_ms,
        "until_ms": None if found is None else found.end_ms,
    }


def _detail(window: Window) -> dict[str, Any]:
    matchers = [str(matcher) for matcher in window.matchers]
    return {"name": window.name, "matchers": matchers, "disabled": window.disabled, "reason": window.comment}


def _read(given: list[Matcher | str]) -> tuple[LabelMatcher, ...]:
    """Matchers as objects, or as text in Alertmanager's syntax."""
    try:
        return tuple(parse_matcher(one) if isinstance(one, str) else one.read() for one in given)
    except MatcherError as error:
        invalid("matchers", str(error))


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_own_time(text)
    except ValueError as error:
        invalid(name, f"is {text[:50]!r}, but {error}")


def _problem(error: SilenceError) -> Problem:
    text = str(error).removeprefix("silence invalid: ")
    detail = f"{text[:1].upper()}{text[1:]}."
    match error.kind:
        case "not_found":
            return Problem(404, "not-found", detail)
        case "full":
            return Problem(409, "conflict", detail)
        case _:
            return Problem(422, "invalid-parameter", text, field=text.partition(":")[0])
