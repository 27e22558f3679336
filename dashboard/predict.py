"""``POST /predict``: one input in, one result out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Blueprint, Response, current_app, request

from dashboard.access import require
from dashboard.body import UploadBudget, read_upload
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.request_id import current_request_id
from dashboard.services import services
from model.errors import Refusal
from model.interface import BadInput
from storage.record import RequestEntry

if TYPE_CHECKING:
    from model.request import Answer

blueprint = Blueprint("predict", __name__)

BUDGET = "wakeless.uploads"
#: Digits of the seconds in an answer: microseconds.
DIGITS = 6
#: When to come back if the refusal does not say.
RETRY_SECONDS = 5.0
_OVERLOAD = (429, 503, 504)


@blueprint.post("/predict")
@require("predict")
def predict() -> Response:
    """Run one input through the model. Every ending, good or bad, leaves one entry in the request log."""
    request_id = current_request_id() or ""
    started = time.perf_counter()
    try:
        with _budget().reading() as share:
            body, content_type = read_upload(request, share, services().settings.model.max_body_bytes)
            answer = services().model.infer(body, content_type, request_id)
    except Problem as error:  # the body never reached the model
        outcome = "rejected" if error.status == 429 else "bad_input"
        _count_unread(outcome, started)
        _record(error.status, outcome, started, error.detail)
        raise
    except BadInput as error:
        _record(error.status, "bad_input", started, error.detail)
        raise Problem(error.status, "bad-input", error.detail) from error
    except Refusal as error:
        _record(error.status, error.outcome, started, error.detail)
        raise _problem(error) from error
    _record(200, answer.outcome, started, None, answer)
    return _response(answer, request_id)


def _response(answer: Answer, request_id: str) -> Response:
    document: dict[str, Any] = {
        "request_id": request_id,
        "model": answer.model,
        "version": answer.version,
        "result": orjson.Fragment(answer.json),
        "timings": {
            "queue_seconds": round(answer.queue_seconds, DIGITS),
            "compute_seconds": round(answer.compute_seconds, DIGITS),
            "total_seconds": round(answer.total_seconds, DIGITS),
        },
    }
    return Response(orjson.dumps(document), mimetype="application/json")


def _problem(error: Refusal) -> Problem:
    headers = {}
    if error.status in _OVERLOAD or error.retry_after_seconds is not None:
        headers = retry_after(error.retry_after_seconds if error.retry_after_seconds is not None else RETRY_SECONDS)
    return Problem(
        error.status, error.type, error.detail, headers=headers, reason=error.reason, suggestion=error.suggestion
    )


def _record(status: int, outcome: str, started: float, error: str | None, answer: Answer | None = None) -> None:
    model = services().model.status()
    services().requests.add(
        RequestEntry(
            request_id=current_request_id() or "",
            time_ms=now_ms(),
            status=status,
            outcome=outcome,
            result_class=answer.result_class if answer else None,
            model=answer.model if answer else model.model,
            version=answer.version if answer else model.version,
            total_seconds=time.perf_counter() - started,
            queue_seconds=answer.queue_seconds if answer else None,
            compute_seconds=answer.compute_seconds if answer else None,
            input=answer.input if answer else {},
            error=error,
        )
    )


def _count_unread(outcome: str, started: float) -> None:
    """Count a request that ended before the model's host saw it; the host counts the others itself."""
    model = services().model.status()
    services().meters.finished(
        outcome,
        model=model.model,
        version=model.version,
        total_seconds=time.perf_counter() - started,
        queue_seconds=None,
        compute_seconds=None,
        result_class=None,
    )


def _budget() -> UploadBudget:
    return cast(UploadBudget, current_app.extensions[BUDGET])
