"""The versions of the model: which there are, and how to put another one into service."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.parameter import body
from dashboard.problem import Problem
from dashboard.services import services
from model.release import NoSwitch

blueprint = Blueprint("version", __name__, url_prefix="/api/model")

#: A caller that waits holds a thread.
MAX_WAIT_SECONDS = 60.0


class Wanted(BaseModel):
    """Which version, and how sure somebody is of it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, strict=True)
    version: str = Field(min_length=1, max_length=200)
    force: bool = False
    reason: str = Field("", max_length=500)
    wait_seconds: float = Field(10.0, ge=0, le=MAX_WAIT_SECONDS)


@blueprint.get("/versions")
@require("viewer")
def versions() -> Response:
    """What is in the model's folder, what serves, what served before, and what is known of each."""
    return answer(asdict(services().model.versions()))


@blueprint.post("/version")
@require("operator")
def switch() -> Response:
    """Load a version, check it, and switch to it between two batches; 202 if that takes longer than is waited for."""
    wanted, host = body(Wanted), services().model
    detail = {"version": wanted.version, "force": wanted.force, "reason": wanted.reason}
    try:
        begun = host.switch(wanted.version, force=wanted.force)
    except NoSwitch as error:
        status, kind = (404, "not-found") if error.kind == "unknown" else (409, "conflict")
        raise Problem(status, kind, error.detail) from error
    audit("model.switch", host.status().model, detail | {"before": begun.before})
    # Who does not wait hears that it has begun, also when it has failed within this very moment.
    found = (host.switched(wanted.wait_seconds) if wanted.wait_seconds else None) or begun
    if found.state == "failed":
        raise Problem(
            409,
            "conflict",
            f"Version {found.version} was not put into service; what served before serves on.",
            reason=found.reason,
            suggestion=found.suggestion,
            differs=list(found.differs) or None,
        )
    return answer({"switch": asdict(found)}, 202 if found.state == "loading" else 200)
