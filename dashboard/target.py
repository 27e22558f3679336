"""What is watched beside the model: how it stands, and for people to add, change, pause, try and switch it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from config_target import TargetSettings
from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, body, zone
from dashboard.problem import Problem
from dashboard.services import services
from dashboard.target_uptime import Uptimes, outages_between
from dashboard.target_view import Teller, checked, unreadable
from targets.remedy.ladder import LadderError
from targets.roster import RosterError
from targets.target import Target
from targets.watcher import Watcher

blueprint = Blueprint("target", __name__, url_prefix="/api/targets")

_STATUS = {"not_found": (404, "not-found"), "conflict": (409, "conflict"), "invalid": (422, "invalid-parameter")}
#: Outages and remedies that are told of one target.
MONTHS_MS = 90 * 24 * HOUR_MS
MAX_TOLD = 500


class Defined(BaseModel):
    """What a target is to be made of. ``version`` is of the definition that was changed."""

    model_config = ConfigDict(extra="forbid")
    definition: dict[str, Any]
    version: int | None = None


class Pause(BaseModel):
    """Whether it is to be left alone."""

    model_config = ConfigDict(extra="forbid", strict=True)
    paused: bool


class Standby(BaseModel):
    """Whether its callers go to the standby."""

    model_config = ConfigDict(extra="forbid", strict=True)
    active: bool


class Why(BaseModel):
    """A body that may say why."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field("", max_length=500)


# --- reading ------------------------------------------------------------------------------------------------------


@blueprint.get("")
@require("viewer")
def targets() -> Response:
    """All targets and how they stand; ``tz`` says whose days are told."""
    watcher = watched()
    roster = watcher.roster
    teller = _teller(watcher)
    broken = [unreadable(name, why, paused=roster.is_paused(name)) for name, why in roster.problems().items()]
    return answer({"targets": [*(teller.tell(target) for target in roster.targets()), *broken]})


@blueprint.get("/<name>")
@require("viewer")
def target(name: str) -> Response:
    """One target, its outages and remedies, and for admins what it is made of."""
    return answer(_told(watched(), name))


# --- changing -----------------------------------------------------------------------------------------------------


@blueprint.post("")
@require("admin")
def add() -> Response:
    """Watch one more. Its definition is kept encrypted."""
    asked, watcher = body(Defined), watched()
    with _refusals():
        added = watcher.roster.add(asked.definition, current().actor, now_ms())
    audit("target.add", f"target:{added.name}", _outline(added))
    return answer(_told(watcher, added.name), 201)


@blueprint.put("/<name>")
@require("admin")
def change(name: str) -> Response:
    """Make a target of the page of something else. Secrets that are hidden or left out stay as they are."""
    asked, watcher = body(Defined), watched()
    with _refusals():
        changed = watcher.roster.change(name, asked.definition, asked.version, now_ms())
    audit("target.change", f"target:{name}", _outline(changed))
    return answer(_told(watcher, name))


@blueprint.delete("/<name>")
@require("admin")
def remove(name: str) -> Response:
    """Watch a target of the page no more. Its history stays."""
    with _refusals():
        watched().roster.delete(name)
    audit("target.remove", f"target:{name}", {})
    return answer({"removed": name})


@blueprint.post("/<name>/pause")
@require("operator")
def pause(name: str) -> Response:
    """Leave a target alone for now, or go on with it."""
    asked, watcher = body(Pause), watched()
    with _refusals():
        watcher.roster.pause(name, asked.paused, current().actor, now_ms())
    audit("target.pause" if asked.paused else "target.resume", f"target:{name}", {})
    return answer(_told(watcher, name))


@blueprint.post("/<name>/standby")
@require("operator")
def standby(name: str) -> Response:
    """Send a target's callers to its standby, or back. It stays so until a person says otherwise."""
    asked, watcher = body(Standby), watched()
    settings = _found(watcher, name).settings
    with _refusals():
        watcher.ladder.switch(settings, asked.active, current().actor, now_ms())
    audit("target.standby", f"target:{name}", {"active": asked.active})
    return answer(_told(watcher, name))


@blueprint.post("/<name>/try-again")
@require("operator")
def try_again(name: str) -> Response:
    """Have the remedies tried again, from the first on."""
    asked, watcher = body(Why), watched()
    _found(watcher, name)
    with _refusals():
        watcher.ladder.try_again(name)
    audit("target.try_again", f"target:{name}", {"reason": asked.reason})
    return answer(_told(watcher, name), 202)


# --- looking once -------------------------------------------------------------------------------------------------


@blueprint.post("/check")
@require("admin")
def check_unsaved() -> Response:
    """Look once at what is not kept; with the secrets that it hides, if it is one of the page's."""
    asked, watcher = body(Defined), watched()
    with _refusals():
        settings = watcher.roster.draft(asked.definition)
    return _check(watcher, settings)


@blueprint.post("/<name>/check")
@require("operator")
def check(name: str) -> Response:
    """Look once at a target, now. Its state does not change by that."""
    body(Why)
    watcher = watched()
    return _check(watcher, _found(watcher, name).settings)


def _check(watcher: Watcher, settings: TargetSettings) -> Response:
    results = [checked(one) for one in watcher.prober.check(settings)]
    audit("target.check", f"target:{settings.name}", {one["probe"]: one["success"] for one in results})
    return answer({"results": results})


# --- parts --------------------------------------------------------------------------------------------------------


def watched() -> Watcher:
    """Who watches."""
    return services().targets


def _found(watcher: Watcher, name: str) -> Target:
    found = watcher.roster.find(name)
    if found is None:
        raise Problem(404, "not-found", f"There is no target {name[:100]!r} that can be watched.")
    return found


def _teller(watcher: Watcher, name: str | None = None) -> Teller:
    rooms = services()
    return Teller(watcher, Uptimes(rooms.database, rooms.incidents, now_ms(), zone(), name))


def _told(watcher: Watcher, name: str) -> dict[str, Any]:
    """One target with its history; what it is made of is for those who may change it."""
    roster, now = watcher.roster, now_ms()
    problem = roster.problems().get(name)
    if problem is None:
        target = _found(watcher, name)
        found = _teller(watcher, name).tell(target)
        editable = target.origin == "page" and current().may("admin")
    else:
        found, editable = unreadable(name, problem, paused=roster.is_paused(name)), False
    outages = outages_between(services().database, now - MONTHS_MS, now, name)[-MAX_TOLD:]
    actions = watcher.ladder.of(name, now - MONTHS_MS)[-MAX_TOLD:]
    found["outages"] = [asdict(one) for one in reversed(outages)]
    found["actions"] = [asdict(one) | {"time_ms": one.started_ms} for one in reversed(actions)]
    found["definition"], found["version"] = roster.definition(name) if editable else (None, None)
    return found


def _outline(target: Target) -> dict[str, Any]:
    """What the audit may hold: what is looked at, not where, nor with which secrets."""
    return {"probes": list(target.probes), "scrapes": len(target.settings.scrape)}


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be, as the problem that it is."""
    try:
        yield
    except (RosterError, LadderError) as error:
        status, kind = _STATUS[error.kind]
        raise Problem(status, kind, str(error), field=getattr(error, "field", None)) from error
