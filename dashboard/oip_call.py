"""The calls of the Open Inference Protocol, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import INTEGER, NUMBER, STRING, Schema, array, object_of, ref

INFERENCE = "Open Inference Protocol"

_ACCESS = "any login; open on this machine"
_MODEL = {"name": "model", "in": "path", "required": True, "schema": STRING}
_VERSION = {"name": "version", "in": "path", "required": True, "schema": STRING}
_HEADER_LENGTH = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "required": False,
    "description": "Bytes of the JSON document where binary tensors follow it.",
    "schema": INTEGER,
}
_PARAMETERS: Schema = {"type": ["object", "null"]}

SCHEMAS: dict[str, Schema] = {
    "InferenceError": object_of("error", error=STRING),
    "Tensor": object_of(
        "name",
        "datatype",
        "shape",
        name=STRING,
        datatype=STRING,
        shape=array(INTEGER),
        parameters=_PARAMETERS,
        data={"type": ["array", "null"]},
    ),
    "InferenceRequest": object_of(
        "inputs",
        id={"type": ["string", "null"]},
        parameters=_PARAMETERS,
        inputs=array(ref("Tensor")),
        outputs={
            "type": ["array", "null"],
            "items": object_of("name", name=STRING, parameters=_PARAMETERS),
        },
    ),
    "AnswerParameters": object_of(
        degraded={"enum": ["fallback", "stale", "default"]},
        reason=STRING,
        brownout=NUMBER,
        cache={"enum": ["hit", "miss"]},
    ),
    "InferenceResponse": object_of(
        "model_name",
        "model_version",
        "outputs",
        model_name=STRING,
        model_version=STRING,
        id=STRING,
        parameters=ref("AnswerParameters"),
        outputs=array(ref("Tensor")),
    ),
    "ModelMetadata": object_of(
        "name",
        "versions",
        "platform",
        "inputs",
        "outputs",
        name=STRING,
        versions=array(STRING),
        platform=STRING,
        inputs=array(ref("Tensor")),
        outputs=array(ref("Tensor")),
    ),
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {"schema": ref("InferenceRequest")},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


def _get(path: str, summary: str, answer: Schema, *parameters: dict[str, Any], errors: tuple[int, ...] = ()) -> Call:
    return Call("get", path, summary, _ACCESS, INFERENCE, parameters, None, (200, JSON, answer), errors)


def _health(word: str, summary: str) -> Call:
    answer = (200, JSON, object_of(word, **{word: {"type": "boolean"}}))
    return Call("get", f"/v2/health/{word}", summary, "open", INFERENCE, answer=answer, errors=(503,))


def _of_model(suffix: str, *more: dict[str, Any]) -> tuple[Call, ...]:
    """The calls on a model, or on one version of it."""
    base, path_parameters = f"/v2/models/{{model}}{suffix}", (_MODEL, *more)
    ready = object_of("name", "ready", name=STRING, ready={"type": "boolean"})
    return (
        _get(base, "Which tensors it takes and gives.", ref("ModelMetadata"), *path_parameters, errors=(404, 503)),
        _get(f"{base}/ready", "May requests for it come?", ready, *path_parameters, errors=(404, 503)),
        Call(
            "post",
            f"{base}/infer",
            "Tensors in, tensors out, as JSON or as bytes behind it.",
            _ACCESS,
            INFERENCE,
            (*path_parameters, _HEADER_LENGTH),
            _BODY,
            (200, JSON, ref("InferenceResponse")),
            (400, 404, 413, 415, 422, 429, 500, 503, 504),
        ),
    )


CALLS: tuple[Call, ...] = (
    _get(
        "/v2",
        "Who answers, and what it speaks.",
        object_of("name", "version", "extensions", name=STRING, version=STRING, extensions=array(STRING)),
    ),
    _health("live", "Should someone kill me?"),
    _health("ready", "May traffic come?"),
    *_of_model(""),
    *_of_model("/versions/{version}", _VERSION),
    Call(
        "post",
        "/v2/repository/index",
        "The models that are here.",
        _ACCESS,
        INFERENCE,
        body={"required": False, "content": {JSON: {"schema": object_of(ready={"type": "boolean"})}}},
        answer=(200, JSON, array(object_of("name", name=STRING, version=STRING, state=STRING, reason=STRING))),
        errors=(400,),
    ),
)
