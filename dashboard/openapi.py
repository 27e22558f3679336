"""Describes every call: ``/api/openapi.json`` for programs, ``/api/`` for people. A test holds it to the routes."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, render_template

from config import VERSION
from dashboard.access import require
from dashboard.call import CALLS, JSON, OPEN, OWN, PROMETHEUS, Call
from dashboard.problem import CONTENT_TYPE
from dashboard.schema import HEALTH, SCHEMAS, object_of, ref

__all__ = ["CALLS", "blueprint", "describe"]

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/api/openapi.json")
@require("viewer")
def document() -> Response:
    """The description as OpenAPI 3.1."""
    return Response(orjson.dumps(describe()), mimetype=JSON)


@blueprint.get("/api/")
@require("viewer")
def browse() -> str:
    """The description as a page."""
    tags = {tag: [call for call in CALLS if call.tag == tag] for tag in (OPEN, OWN, PROMETHEUS)}
    return render_template("api.html", tags=tags)


def describe() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Wakeless", "version": VERSION, "description": "Serves a GPU model and watches it."},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
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


def _operation(call: Call) -> dict[str, Any]:
    status, kind, found = call.answer
    answers: dict[str, Any] = {str(status): {"description": "Done.", "content": {kind: {"schema": found}}}}
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
    if call.path.startswith("/health"):
        return {"description": "Not well.", "content": {JSON: {"schema": HEALTH}}}
    if call.tag == PROMETHEUS and code not in (401, 403):
        return {"description": "An error of the query.", "content": {JSON: {"schema": ref("PrometheusError")}}}
    return {"description": "A problem.", "content": {CONTENT_TYPE: {"schema": ref("Problem")}}}
