"""The calls of the rulebook, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import INTEGER, MAYBE_INTEGER, MAYBE_NUMBER, NUMBER, STRING, Schema, array, object_of, ref

_BOOLEAN: Schema = {"type": "boolean"}
_LABELS: Schema = {"type": "object", "additionalProperties": STRING}
_COMMENT: Schema = {"type": "string", "maxLength": 500}
_TEXT: Schema = {"type": "string", "maxLength": 200_000}
_BASE: Schema = {"type": "integer", "minimum": 0, "description": "The version that the change was made from."}
_FACTS = {"version": INTEGER, "time_ms": INTEGER, "author": STRING, "comment": STRING}

SCHEMAS: dict[str, Schema] = {
    "RuleFile": object_of(
        "path",
        "rules",
        "editable",
        "problems",
        path=STRING,
        rules=INTEGER,
        editable=_BOOLEAN,
        loaded_ms=INTEGER,
        problems=array(STRING),
    ),
    "Rulebook": object_of("text", *_FACTS, "files", text=STRING, **_FACTS, files=array(ref("RuleFile"))),
    "RuleProblem": object_of(
        "level",
        "where",
        "message",
        level={"enum": ["error", "warning"]},
        where=STRING,
        message=STRING,
        line=MAYBE_INTEGER,
    ),
    "RulePreview": object_of(
        "fired",
        "firing_seconds",
        "spans",
        "series",
        start_ms=INTEGER,
        end_ms=INTEGER,
        step_seconds=NUMBER,
        fired=INTEGER,
        firing_seconds=NUMBER,
        spans=array(object_of(start_ms=INTEGER, end_ms=INTEGER, labels=_LABELS, is_open=_BOOLEAN)),
        series=array(object_of(labels=_LABELS, points=array(array(MAYBE_NUMBER)))),
        series_count=INTEGER,
        threshold={"anyOf": [{"type": "null"}, object_of(op=STRING, value=NUMBER)]},
        warnings=array(STRING),
    ),
}
_BOOK = (200, JSON, ref("Rulebook"))
_VERSION = {"name": "version", "in": "path", "required": True, "schema": INTEGER}
_REFUSALS = (400, 415, 422)


def _body(*required: str, **properties: Schema) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": object_of(*required, **properties)}}}


def _query(name: str, text: str, kind: Schema = STRING, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": required, "schema": kind}


CALLS: tuple[Call, ...] = (
    Call("get", "/api/rules", "The rules of the page, and every rule file.", "viewer", answer=_BOOK),
    Call(
        "put",
        "/api/rules",
        "Put a text in force as the newest version, if all of it can be used.",
        "admin",
        body=_body("text", "version", text=_TEXT, comment=_COMMENT, version=_BASE),
        answer=_BOOK,
        errors=(*_REFUSALS, 409),
    ),
    Call(
        "post",
        "/api/rules/check",
        "What is wrong with a text, and what is doubtful.",
        "viewer",
        body=_body("text", text=_TEXT),
        answer=(200, JSON, object_of("problems", "rules", problems=array(ref("RuleProblem")), rules=INTEGER)),
        errors=_REFUSALS,
    ),
    Call(
        "post",
        "/api/rules/preview",
        "When a rule would have fired in the last hours, and what it looks at.",
        "viewer",
        body=_body(
            "expr",
            expr={"type": "string", "minLength": 1},
            **{"for": {"type": "string", "default": "0s"}},
            keep_firing_for={"type": "string", "default": "0s"},
            hours={"type": "number", "exclusiveMinimum": 0, "maximum": 336, "default": 24},
        ),
        answer=(200, JSON, ref("RulePreview")),
        errors=_REFUSALS,
    ),
    Call(
        "post",
        "/api/rules/reload",
        "Read the rule files now; one that cannot be used keeps what it said before.",
        "admin",
        answer=(200, JSON, object_of("changed", "files", changed=_BOOLEAN, files=array(ref("RuleFile")))),
    ),
    Call(
        "get",
        "/api/rules/source",
        "One rule as it is written, in a rule file of its own.",
        "viewer",
        parameters=(
            _query("name", "The rule.", required=True),
            _query("group", "Its group.", required=True),
            _query("file", "Its file, where several have such a group; see /api/v1/rules."),
        ),
        answer=(200, JSON, object_of("text", "file", text=STRING, file=STRING)),
        errors=(404,),
    ),
    Call(
        "get",
        "/api/rules/versions",
        "Who saved the rules of the page, when and why; the newest first.",
        "viewer",
        parameters=(_query("limit", "Most versions.", {"type": "integer", "minimum": 1, "maximum": 1000}),),
        answer=(200, JSON, object_of("versions", versions=array(object_of(**_FACTS)))),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/rules/versions/{version}",
        "One version with its text.",
        "viewer",
        parameters=(_VERSION,),
        answer=(200, JSON, object_of("text", *_FACTS, text=STRING, **_FACTS)),
        errors=(404,),
    ),
    Call(
        "post",
        "/api/rules/versions/{version}/restore",
        "Put what an earlier version said in force again, as a new version.",
        "admin",
        parameters=(_VERSION,),
        body=_body("version", comment=_COMMENT, version=_BASE),
        answer=_BOOK,
        errors=(*_REFUSALS, 404, 409),
    ),
)
