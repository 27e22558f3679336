"""Describes every call: ``/api/openapi.json`` for programs, ``/api/`` for people. A test holds it to the routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from flask import Blueprint, Response, render_template

from config import VERSION
from dashboard.access import require
from dashboard.alertmanager_call import ALERTMANAGER
from dashboard.alertmanager_call import CALLS as ALERTMANAGER_CALLS
from dashboard.alertmanager_call import SCHEMAS as ALERTMANAGER_SCHEMAS
from dashboard.call import CALLS as BASIC_CALLS
from dashboard.call import JSON, OPEN, OWN, PROMETHEUS, Call
from dashboard.canary_call import CALLS as CANARY_CALLS
from dashboard.canary_call import SCHEMAS as CANARY_SCHEMAS
from dashboard.channel_call import CALLS as CHANNEL_CALLS
from dashboard.channel_call import SCHEMAS as CHANNEL_SCHEMAS
from dashboard.incident_call import CALLS as INCIDENT_CALLS
from dashboard.incident_call import SCHEMAS as INCIDENT_SCHEMAS
from dashboard.ingest_call import CALLS as INGEST_CALLS
from dashboard.log_call import CALLS as LOG_CALLS
from dashboard.log_call import SCHEMAS as LOG_SCHEMAS
from dashboard.notice_call import CALLS as NOTICE_CALLS
from dashboard.notice_call import SCHEMAS as NOTICE_SCHEMAS
from dashboard.oip_call import CALLS as INFERENCE_CALLS
from dashboard.oip_call import INFERENCE
from dashboard.oip_call import SCHEMAS as INFERENCE_SCHEMAS
from dashboard.problem import CONTENT_TYPE
from dashboard.push_call import CALLS as PUSH_CALLS
from dashboard.report_call import CALLS as REPORT_CALLS
from dashboard.report_call import SCHEMAS as REPORT_SCHEMAS
from dashboard.request_call import CALLS as REQUEST_CALLS
from dashboard.request_call import SCHEMAS as REQUEST_SCHEMAS
from dashboard.routing_call import CALLS as ROUTING_CALLS
from dashboard.routing_call import SCHEMAS as ROUTING_SCHEMAS
from dashboard.rulebook_call import CALLS as RULE_CALLS
from dashboard.rulebook_call import SCHEMAS as RULE_SCHEMAS
from dashboard.schema import HEALTH, SCHEMAS, object_of, ref
from dashboard.services import services
from dashboard.silence_call import CALLS as SILENCE_CALLS
from dashboard.silence_call import SCHEMAS as SILENCE_SCHEMAS
from dashboard.target_call import CALLS as TARGET_CALLS
from dashboard.target_call import SCHEMAS as TARGET_SCHEMAS
from model.signature import Schema

log = structlog.get_logger(__name__)

CALLS = (
    *BASIC_CALLS,
    *CANARY_CALLS,
    *CHANNEL_CALLS,
    *INGEST_CALLS,
    *PUSH_CALLS,
    *LOG_CALLS,
    *NOTICE_CALLS,
    *REQUEST_CALLS,
    *REPORT_CALLS,
    *ROUTING_CALLS,
    *RULE_CALLS,
    *SILENCE_CALLS,
    *INCIDENT_CALLS,
    *TARGET_CALLS,
    *INFERENCE_CALLS,
    *ALERTMANAGER_CALLS,
)

#: In the order in which people read of them.
TAGS = (OPEN, INFERENCE, OWN, PROMETHEUS, ALERTMANAGER)

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/api/openapi.json")
@require("viewer")
def document() -> Response:
    """The description as OpenAPI 3.1."""
    return Response(_document(), mimetype=JSON)


@blueprint.get("/api/")
@require("viewer")
def browse() -> str:
    """The description as a page."""
    tags = {tag: [call for call in CALLS if call.tag == tag] for tag in TAGS}
    return render_template("api.html", tags=tags)


def _document() -> bytes:
    """The description, with what the model that serves now says of itself; without, if that cannot be had or sent."""
    try:
        signature = services().model.signature()
        return orjson.dumps(describe(signature.schema if signature else None))
    except Exception:  # a plug-in may raise anything, and return anything; its slip must not take the description away
        log.exception("schema_not_usable")
        return orjson.dumps(describe())


def describe(schema: Schema | None = None) -> dict[str, Any]:
    """The OpenAPI document; ``schema`` says more of ``/predict``."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Wakeless", "version": VERSION, "description": "Serves a GPU model and watches it."},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS
            | CANARY_SCHEMAS
            | CHANNEL_SCHEMAS
            | LOG_SCHEMAS
            | NOTICE_SCHEMAS
            | REQUEST_SCHEMAS
            | REPORT_SCHEMAS
            | ROUTING_SCHEMAS
            | RULE_SCHEMAS
            | SILENCE_SCHEMAS
            | INCIDENT_SCHEMAS
            | TARGET_SCHEMAS
            | INFERENCE_SCHEMAS
            | ALERTMANAGER_SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "session",
                    "description": "A browser's login. Changes need the header X-CSRF-Token as well.",
                },
            },
        },
    }
    if schema is not None:
        _specify(document, schema)
    return document


def _specify(document: dict[str, Any], schema: Schema) -> None:
    """Put a model's own schemas into the description of ``/predict``."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    operation = document["paths"]["/predict"]["post"]
    form = {"multipart/form-data": operation["requestBody"]["content"]["multipart/form-data"]}
    given = {kind: {"schema": _hoisted(one, f"Input.{kind}", schemas)} for kind, one in schema.request.items()}
    operation["requestBody"] = operation["requestBody"] | {"content": form | given}
    prediction = schemas["Prediction"]
    result = _hoisted(schema.result, "Result", schemas)
    schemas["Prediction"] = prediction | {"properties": prediction["properties"] | {"result": result}}


def _hoisted(schema: Mapping[str, Any], prefix: str, schemas: dict[str, Any]) -> Any:
    """``schema``, its ``$defs`` moved to where the document's own are: a reference means a place in the document."""
    names = {name: re.sub(r"[^\w.-]", "_", f"{prefix}.{name}", flags=re.A) for name in schema.get("$defs", {})}

    def moved(node: Any) -> Any:
        if isinstance(node, list | tuple):
            return [moved(one) for one in node]
        if not isinstance(node, Mapping):
            return node
        found = {name: moved(one) for name, one in node.items() if name != "$defs"}
        target = found.get("$ref")
        if isinstance(target, str) and target.removeprefix("#/$defs/") in names:
            found["$ref"] = ref(names[target.removeprefix("#/$defs/")])["$ref"]
        return found

    schemas.update({names[name]: moved(one) for name, one in schema.get("$defs", {}).items()})
    return moved(schema)


def _operation(call: Call) -> dict[str, Any]:
    status, kind, found = call.answer
    content = {name: {"schema": one} for name, one in ((kind, found), *call.other)}
    answers: dict[str, Any] = {str(status): {"description": "Done.", "content": content}}
    errors = call.errors if call.access == "open" else (*call.errors, 401, 403)
    for code in sorted(errors):
        answers[str(code)] = _error(call, code)
    name = call.path.strip("/").replace("{", "").replace("}", "").replace("/", "_").replace(".", "_")
    operation: dict[str, Any] = {
        "operationId": f"{call.method}_{name or 'root'}",
        "summary": call.summary,
        "description": f"Access: {call.access}.",
        "tags": [call.tag],
        "responses": answers,
    }
    if call.access == "open":
        operation["security"] = []
    if call.parameters:
        operation["parameters"] = list(call.parameters)
    if call.tag == PROMETHEUS and call.method == "post":
        operation.pop("parameters", None)
        operation["parameters"] = [one for one in call.parameters if one["in"] == "path"]
        form = {one["name"]: one["schema"] for one in call.parameters if one["in"] == "query"}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": object_of(**form)}}}
    if call.body is not None:
        operation["requestBody"] = call.body
    return operation


def _error(call: Call, code: int) -> dict[str, Any]:
    if call.tag == INFERENCE:
        return {"description": "An error.", "content": {JSON: {"schema": _inference_error(call)}}}
    if call.path.startswith("/health"):
        return {"description": "Not well.", "content": {JSON: {"schema": HEALTH}}}
    if call.tag == PROMETHEUS and code not in (401, 403):
        return {"description": "An error of the query.", "content": {JSON: {"schema": ref("PrometheusError")}}}
    if call.tag == ALERTMANAGER and code not in (401, 403):
        return {"description": "An error.", "content": {JSON: {"schema": ref("AlertmanagerError")}}}
    return {"description": "A problem.", "content": {CONTENT_TYPE: {"schema": ref("Problem")}}}


def _inference_error(call: Call) -> dict[str, Any]:
    return call.answer[2] if call.access == "open" else ref("InferenceError")
