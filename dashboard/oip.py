"""The Open Inference Protocol, version 2, over HTTP, as clients of KServe and Triton speak it (docs/oip.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import structlog
from flask import Blueprint, Response, request

from config import VERSION
from dashboard.access import public, require
from dashboard.body import read_packed
from dashboard.compression import compress
from dashboard.inference import recorded, upload_budget
from dashboard.mark import Marked, headers_of, members_of
from dashboard.parcel import Inference
from dashboard.problem import Problem, retry_after
from dashboard.request_id import current_request_id
from dashboard.services import services
from dashboard.terms import current_terms
from model.errors import NoVersion
from model.signature import Signature, TensorSpec
from model.status import Check, ModelStatus

log = structlog.get_logger(__name__)

blueprint = Blueprint("oip", __name__)
blueprint.after_request(compress)

HEADER_LENGTH = "Inference-Header-Content-Length"
#: What is spoken beyond the protocol's core, as Triton names it.
EXTENSIONS = ("binary_tensor_data", "parameters", "schedule_policy")
#: The protocol wants a name for what runs the model, as ``project_format``.
PLATFORM = "wakeless_python"
#: How the model's states are called in a repository index.
_STATES = {"ready": "READY", "reloading": "READY", "loading": "LOADING", "draining": "UNLOADING"}


@blueprint.get("/v2")
@require("predict")
def server() -> Response:
    """Who answers, and what it speaks."""
    return _json({"name": "wakeless", "version": VERSION, "extensions": EXTENSIONS})


@blueprint.get("/v2/health/live")
@public
def live() -> Response:
    """Should someone kill me?"""
    return _verdict("live", services().model.health().live)


@blueprint.get("/v2/health/ready")
@public
def ready() -> Response:
    """May traffic come?"""
    return _verdict("ready", services().model.health().ready)


@blueprint.get("/v2/models/<model>")
@blueprint.get("/v2/models/<model>/versions/<version>")
@require("predict")
def metadata(model: str, version: str | None = None) -> Response:
    """Which tensors the model takes and gives."""
    found = _signature(version)
    if found is None:
        raise _not_loaded()
    _check_name(found, model)
    return _json(
        {
            "name": found.model,
            "versions": services().model.loaded,
            "platform": PLATFORM,
            "inputs": [_tensor(spec) for spec in found.inputs],
            "outputs": [_tensor(spec) for spec in found.outputs],
        }
    )


@blueprint.get("/v2/models/<model>/ready")
@blueprint.get("/v2/models/<model>/versions/<version>/ready")
@require("predict")
def model_ready(model: str, version: str | None = None) -> Response:
    """May requests for this model come?"""
    found = _signature(version)
    if found is None:
        raise _not_loaded()
    _check_name(found, model)
    return _verdict("ready", services().model.health().ready, name=found.model)


@blueprint.post("/v2/models/<model>/infer")
@blueprint.post("/v2/models/<model>/versions/<version>/infer")
@require("predict")
def infer(model: str, version: str | None = None) -> Response:
    """Run a request's inputs through the model; each row of its tensors is one."""
    settings = services().settings.model
    with recorded() as record:
        terms = current_terms()
        if version is not None:
            terms = replace(terms, version=version)
        with upload_budget().reading() as share:
            body = read_packed(request, share, settings.max_body_bytes)
            record.came(len(body), request.content_type or "", request.headers.get("User-Agent"))
            if (found := _signature(version)) is not None:
                _check_name(found, model)
            inference = Inference(model, body, request.headers.get(HEADER_LENGTH), settings.queue_size)
            del body
            answer = services().model.exchange(inference, current_request_id() or "", terms)
        record(answer, answer.reason)
    packed, header_length = answer.payload.pack(
        answer.model, answer.version, id=inference.id, parameters=_worth(answer)
    )
    if header_length is None:
        return Response(packed, mimetype="application/json", headers=headers_of(answer))
    headers = {HEADER_LENGTH: str(header_length), **headers_of(answer)}
    return Response(packed, mimetype="application/octet-stream", headers=headers)


@blueprint.post("/v2/repository/index")
@require("predict")
def index() -> Response:
    """The models that are here: the one in each version that is loaded, and how it is doing."""
    status = services().model.status()
    if status.state == "disabled" or (_only_ready() and _STATES.get(status.state) != "READY"):
        return _json([])
    beside = services().model.loaded[1:]
    return _json([_entry(status), *(_entry(status) | {"version": one, "reason": ""} for one in beside)])


def _worth(answer: Marked) -> dict[str, Any]:
    """What the answer is worth, as its parameters: clients of the protocol show no headers."""
    return members_of(answer) | ({} if answer.cache is None else {"cache": answer.cache})


def _entry(status: ModelStatus) -> dict[str, Any]:
    return {
        "name": status.model,
        "version": status.version,
        "state": _STATES.get(status.state, "UNAVAILABLE"),
        "reason": status.reason or "",
    }


def _only_ready() -> bool:
    """Whether the body asks to leave out what is not ready; clients send none, or an object."""
    try:
        asked = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError as error:
        raise Problem(400, "bad-request", f"The body is not valid JSON: {error}.") from error
    return isinstance(asked, dict) and asked.get("ready") is True


def _signature(version: str | None) -> Signature | None:
    try:
        return services().model.signature(version)
    except NoVersion as error:
        raise Problem(error.status, error.type, error.detail) from error
    except Exception as error:  # a plug-in may raise anything; it is told, and logged
        log.exception("signature_raised")
        raise Problem(500, "inference-failed", "The model could not say which tensors it takes.") from error


def _check_name(found: Signature, model: str) -> None:
    if model != found.model:
        raise Problem(404, "not-found", f"There is no model of that name here; this server hosts {found.model}.")


def _not_loaded() -> Problem:
    """No model has been loaded yet, so that not even its name is known for sure."""
    seconds = services().settings.health.interval_seconds
    return Problem(503, "not-ready", "No model is loaded.", headers=retry_after(seconds))


def _verdict(word: str, check: Check, **more: str) -> Response:
    response = _json({**more, word: check.ok}, 200 if check.ok else 503)
    if not check.ok:
        response.headers.update(retry_after(services().settings.health.interval_seconds))
    return response


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, mimetype="application/json")
