"""Channels: which there are, and for admins to add, change, remove and try them. Where they lead is never shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from alerts.delivery.spec import ChannelSpec
from alerts.delivery.store import ChannelError
from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import body
from dashboard.problem import Problem
from dashboard.services import services

blueprint = Blueprint("channel", __name__, url_prefix="/api/channels")

_ERRORS = {"not_found": (404, "not-found"), "conflict": (409, "conflict"), "invalid": (422, "invalid-parameter")}
_HEADERS = 20


class Options(BaseModel):
    """How a channel is spoken to; what is left out has its usual value, or stays as it is."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    kind: Literal["apprise", "webhook"] = "apprise"
    language: Literal["en", "zh"] | None = None
    least_level: int = Field(2, ge=1, le=3)
    per_minute: float = Field(0.0, ge=0, le=10_000, allow_inf_nan=False)
    picture: bool = True
    send_resolved: bool = True
    max_alerts: int = Field(0, ge=0, le=10_000)
    headers: dict[str, SecretStr] = Field({}, max_length=_HEADERS)


class Trying(Options):
    """A channel that is not kept."""

    url: SecretStr = Field(min_length=1, max_length=4000)


class Added(Trying):
    """A channel to keep."""

    name: str = Field(min_length=1, max_length=40)


class Changed(Options):
    """Another spec for a channel; without ``url`` it leads where it led."""

    url: SecretStr | None = Field(None, min_length=1, max_length=4000)


class Nothing(BaseModel):
    """No fields."""

    model_config = ConfigDict(extra="forbid")


@blueprint.get("")
@require("viewer")
def channels() -> Response:
    """All channels: those of the settings, of the routing file, and of the page."""
    return answer({"channels": [asdict(one) for one in services().channels.list()]})


@blueprint.post("")
@require("admin")
def add() -> Response:
    """Keep a new channel, its URL encrypted."""
    asked = body(Added)
    with _refusals():
        services().channels.add(_spec(asked.name, asked, asked.url), current().actor, now_ms())
    audit("channel.add", asked.name, _told(asked))
    return answer({"channel": _listed(asked.name)}, 201)


@blueprint.put("/<name>")
@require("admin")
def change(name: str) -> Response:
    """Change a channel that was added in the page."""
    asked = body(Changed)
    given = asked.model_dump(exclude_unset=True, exclude={"url", "headers"})
    with _refusals():
        before = services().channels.stored(name).spec
        headers = asked.headers if "headers" in asked.model_fields_set else dict(before.headers)
        # Address and headers are one secret: who gives one of them keeps the other.
        kept = before.url if "headers" in asked.model_fields_set else SecretStr("")
        wanted = Options(**{**_options(before), **given}, headers=headers)
        services().channels.change(_spec(name, wanted, asked.url or kept))
    audit("channel.change", name, {**given, "url": "changed" if asked.url else "kept"})
    return answer({"channel": _listed(name)})


@blueprint.delete("/<name>")
@require("admin")
def remove(name: str) -> Response:
    """Remove a channel that was added in the page."""
    with _refusals():
        services().channels.remove(name)
    audit("channel.remove", name, {})
    return answer({"removed": name})


@blueprint.post("/<name>/test")
@require("admin")
def test(name: str) -> Response:
    """Send a test through a channel, now, and tell what its service answered."""
    body(Nothing)
    with _refusals():
        trial = services().channels.test(name, now_ms())
    audit("channel.test", name, {"ok": trial.ok, "answer": trial.answer})
    return answer(asdict(trial))


@blueprint.post("/test")
@require("admin")
def test_unsaved() -> Response:
    """Send a test through a channel that is not kept."""
    asked = body(Trying)
    spec = _spec("test", asked, asked.url)
    with _refusals():
        trial = services().channels.test_spec(spec, now_ms())
    audit("channel.test", "not saved", {"ok": trial.ok, "answer": trial.answer})
    return answer(asdict(trial))


def _spec(name: str, asked: Options, url: SecretStr) -> ChannelSpec:
    options = asked.model_dump(include=set(Options.model_fields) - {"headers"})
    return ChannelSpec(name=name, url=url, headers=tuple(asked.headers.items()), origin="page", **options)


def _options(spec: ChannelSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in Options.model_fields if name != "headers"}


def _listed(name: str) -> dict[str, Any]:
    return next(asdict(one) for one in services().channels.list() if one.name == name)


def _told(asked: Options) -> dict[str, Any]:
    """What the audit may hold: no URL, and of headers only the names."""
    return asked.model_dump(exclude={"url", "name", "headers"}) | {"headers": sorted(asked.headers)}


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be, as the problem that it is."""
    try:
        yield
    except ChannelError as error:
        status, kind = _ERRORS[error.kind]
        raise Problem(status, kind, str(error)) from error
