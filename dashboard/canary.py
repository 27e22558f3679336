"""The canary: another version beside the one that serves, its share of the requests, and how the two compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.parameter import Reason, body
from dashboard.problem import Problem
from dashboard.services import services
from dashboard.version import MAX_WAIT_SECONDS
from model.canary import CanaryView
from model.release import NoSwitch
from model.switch import Switch

blueprint = Blueprint("canary", __name__, url_prefix="/api/model")


class Wanted(BaseModel):
    """Which version takes how many of 100 requests. With 0 it gets those that ask for it, and no other."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)
    version: str = Field(min_length=1, max_length=200)
    percent: float = Field(10.0, ge=0, le=100, allow_inf_nan=False)
    force: bool = False
    reason: str = Field("", max_length=500)
    wait_seconds: float = Field(10.0, ge=0, le=MAX_WAIT_SECONDS)


class Promotion(BaseModel):
    """Why, and how long the caller waits for it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)
    reason: str = Field("", max_length=500)
    wait_seconds: float = Field(10.0, ge=0, le=MAX_WAIT_SECONDS)


@blueprint.get("/comparison")
@require("viewer")
def view() -> Response:
    """The canary under way or the last one, and both sides' numbers."""
    return _said(services().model.canary.view())


@blueprint.post("/canary")
@require("operator")
def begin() -> Response:
    """Load a version beside the one that serves, or set the share of the one that runs; 202 while it still loads."""
    wanted, host = body(Wanted), services().model
    with _refusals():
        begun = host.canary.begin(wanted.version, wanted.percent, force=wanted.force)
    detail = {"version": wanted.version, "percent": wanted.percent, "reason": wanted.reason}
    if begun.state == "running":
        audit("model.canary_share", host.status().model, detail)
        return _said(host.canary.view())
    audit("model.canary", host.status().model, detail | {"force": wanted.force, "before": begun.before})
    found = host.canary.wait(wanted.wait_seconds)
    if found is not None and found.state == "failed":
        raise _failed(found)
    return _said(found, 202 if found is not None and found.state == "loading" else 200)


@blueprint.post("/canary/promote")
@require("operator")
def promote() -> Response:
    """Have the canary serve all requests, as it is loaded already."""
    asked, host = body(Promotion), services().model
    with _refusals():
        begun = host.promote()
    audit(
        "model.promote", host.status().model, {"version": begun.version, "before": begun.before, "reason": asked.reason}
    )
    found = host.switched(asked.wait_seconds) or begun
    if found.state == "failed":
        raise _failed(found)
    return answer({"switch": asdict(found)}, 202 if found.state == "loading" else 200)


@blueprint.post("/canary/end")
@require("operator")
def end() -> Response:
    """Have the version that serves answer all requests again, and let go of the canary."""
    asked, host = body(Reason), services().model
    with _refusals():
        ended = host.canary.end()
    audit("model.canary_end", host.status().model, {"version": ended.version, "reason": asked.reason})
    return _said(ended)


def _said(found: CanaryView | None, status: int = 200) -> Response:
    return answer({"canary": None if found is None else asdict(found)}, status)


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be, as the problem that it is."""
    try:
        yield
    except NoSwitch as error:
        status, kind = (404, "not-found") if error.kind == "unknown" else (409, "conflict")
        raise Problem(status, kind, error.detail) from error


def _failed(found: CanaryView | Switch) -> Problem:
    return Problem(
        409,
        "conflict",
        f"Version {found.version} was not put into service; what served before serves on.",
        reason=found.reason,
        suggestion=found.suggestion,
        differs=list(found.differs) or None,
    )
