"""``GET /api/logs/tail``: our own log, newest lines last, by level, text and request; paths and secrets masked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from dashboard.access import require
from dashboard.api import answer
from dashboard.identity import current
from dashboard.parameter import invalid, one_of, whole
from dashboard.services import services
from mask import mask, mask_secrets
from reports.clean import clean
from reports.own_log import LEVELS, Line, OwnLog, Place, at_least

blueprint = Blueprint("logtail", __name__, url_prefix="/api/logs")

#: Fields whose values are our own words.
_PLAIN = frozenset({"route", "method", "status", "logger", "duration_ms"})
_LONGEST = 200
#: Characters of a line's text that are told.
_MOST_TEXT = 8000


@blueprint.get("/tail")
@require("viewer")
def tail() -> Response:
    """The newest lines that match, in the order in which they were written. A viewer sees no paths and addresses."""
    level, wanted, text = one_of("level", LEVELS), _text("request_id"), _text("q")
    levels = at_least(level) if level else None
    how = mask_secrets if current().may("operator") else mask
    told: dict[Place, dict[str, Any]] = {}

    def matches(line: Line) -> bool:
        if levels is not None and (line.level or "info") not in levels:
            return False
        if wanted is not None and line.request_id != wanted and not _mentions(line, wanted):
            return False
        shown = _shown(line, how)
        # In what is shown, or else one could ask for what is masked.
        if text is not None and text.lower() not in _words(shown):
            return False
        told[line.place] = shown
        return True

    found = OwnLog(services().settings.data_dir).newest(
        whole("limit", 200, 1, 1000),
        matches,
        holds=wanted or _literal(text),
        before=_place("before"),
        after=_place("after"),
    )
    return answer(
        {
            "lines": [told[line.place] for line in found.lines],
            "more": found.more,
            "next": None if found.next is None else str(found.next),
        }
    )


def _shown(line: Line, how: Callable[[str], str]) -> dict[str, Any]:
    return {
        "cursor": str(line.place),
        "time_ms": line.time_ms,
        "level": line.level,
        "event": None if line.event is None else how(line.event[:_MOST_TEXT]),
        "text": how(line.text[:_MOST_TEXT]),
        "request_id": line.request_id,
        "fields": {name: value if name in _PLAIN else clean(name, value, how) for name, value in line.fields.items()},
    }


def _words(shown: dict[str, Any]) -> str:
    return f"{shown['text']} {shown['request_id']} {shown['fields']}".lower()


def _mentions(line: Line, request_id: str) -> bool:
    """Whether a line is about several requests, this among them: a batch."""
    return any(isinstance(value, list) and request_id in value for value in line.fields.values())


def _literal(text: str | None) -> str | None:
    """Text that stands in a line's JSON as it is."""
    return text if text and text.isascii() and text.replace(" ", "").isalnum() else None


def _text(name: str) -> str | None:
    text = request.args.get(name)
    if text is not None and len(text) > _LONGEST:
        invalid(name, f"must not be longer than {_LONGEST} characters")
    return text or None


def _place(name: str) -> Place | None:
    text = request.args.get(name)
    try:
        return Place.parse(text) if text else None
    except ValueError as error:
        invalid(name, f"is {text!r}, but {error}")
