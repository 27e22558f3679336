"""What was found in the logs of targets, how their reading goes, and patterns tried on pasted lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config_target import LogTarget
from dashboard.access import require
from dashboard.api import answer
from dashboard.parameter import HOUR_MS, body, invalid, whole, window
from dashboard.services import services

blueprint = Blueprint("log_event", __name__, url_prefix="/api/logs")

WEEK_MS = 7 * 24 * HOUR_MS
MAX_LINES_CHARS = 256 * 1024


class Attempt(BaseModel):
    """What is to be tried: as in a target's ``log``, without where the lines come from."""

    model_config = ConfigDict(extra="forbid")
    lines: str = Field(max_length=MAX_LINES_CHARS)
    profile: str | None = None
    multiline: str | None = None
    patterns: list[dict[str, Any]] = Field([], max_length=50)


@blueprint.get("/events")
@require("viewer")
def events() -> Response:
    """Lines that patterns have found, those with the newest first; of the last week without a window."""
    from targets.logfile.record import Wanted, search

    found = search(
        services().database,
        Wanted(
            *window(WEEK_MS),
            target=request.args.get("target") or None,
            pattern=request.args.get("pattern") or None,
            level=whole("level", 0, 1, 3) or None,
            text=request.args.get("q") or None,
            limit=whole("limit", 200, 1, 1000),
        ),
    )
    return answer({"events": found.events, "more": found.more})


@blueprint.get("/sources")
@require("viewer")
def sources() -> Response:
    """How the reading of each log goes."""
    return answer({"sources": [asdict(state) for state in services().targets.logs.states()]})


@blueprint.post("/try")
@require("operator")
def attempt() -> Response:
    """What patterns would find in these lines, and the metrics that would come of it. Nothing is kept."""
    from targets.logfile.trial import TrialError, try_out

    asked = body(Attempt)
    try:
        settings = LogTarget.model_validate({"path": "trial", **asked.model_dump(exclude={"lines"})})
    except ValidationError as error:
        first = error.errors()[0]
        invalid(".".join(str(part) for part in first["loc"]) or "body", first["msg"])
    try:
        trial = try_out(settings, asked.lines)
    except TrialError as error:
        invalid("patterns", str(error))
    return answer(asdict(trial))
