"""``POST /predict``: one input in, one result out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response, request

from dashboard.access import require
from dashboard.body import read_upload
from dashboard.event_stream import CONTENT_TYPE, EventStream, event_response, first_event
from dashboard.inference import recorded, upload_budget
from dashboard.mark import headers_of, members_of
from dashboard.request_id import current_request_id
from dashboard.services import services
from dashboard.terms import current_terms

if TYPE_CHECKING:
    from model.answer import Answer

blueprint = Blueprint("predict", __name__)

#: Digits of the seconds in an answer: microseconds.
DIGITS = 6


@blueprint.post("/predict")
@require("predict")
def predict() -> Response:
    """Run one input through the model. Every ending, good or bad, leaves one entry in the request log."""
    request_id = current_request_id() or ""
    if CONTENT_TYPE in request.headers.get("Accept", "") and _wants_events():
        return _stream(request_id)
    with recorded() as record:
        terms = current_terms()
        with upload_budget().reading() as share:
            body, content_type = read_upload(request, share, services().settings.model.max_body_bytes)
            record.came(len(body), content_type, request.headers.get("User-Agent"))
            answer = services().model.infer(body, content_type, request_id, terms)
        record(answer, answer.reason)
    return _response(answer, request_id)


def _stream(request_id: str) -> Response:
    """The same, with the answer in steps; it is recorded when the last one is out."""
    with recorded() as record, ExitStack() as stack:
        terms = current_terms()
        with upload_budget().reading() as share:
            body, content_type = read_upload(request, share, services().settings.model.max_body_bytes)
            record.came(len(body), content_type, request.headers.get("User-Agent"))
            subscription = services().model.stream(body, content_type, request_id, terms)
        stack.callback(subscription.close)
        first = first_event(subscription)
        stack.pop_all()
    return event_response(
        EventStream(
            subscription,
            first,
            request_id,
            lambda status, outcome, error: record.note(status, outcome, error, subscription),
        )
    )


def _wants_events() -> bool:
    """Whether the caller likes events better than one document."""
    return request.accept_mimetypes.best_match(["application/json", CONTENT_TYPE]) == CONTENT_TYPE


def _response(answer: Answer[bytes], request_id: str) -> Response:
    response = Response(document(answer, request_id), mimetype="application/json")
    response.headers.update(headers_of(answer))
    return response


def document(answer: Answer[bytes], request_id: str) -> bytes:
    """The answer as the caller gets it."""
    found: dict[str, Any] = {
        "request_id": request_id,
        "model": answer.model,
        "version": answer.version,
        "result": orjson.Fragment(answer.json),
        "timings": {
            "queue_seconds": round(answer.queue_seconds, DIGITS),
            "compute_seconds": round(answer.compute_seconds, DIGITS),
            "total_seconds": round(answer.total_seconds, DIGITS),
        },
        **members_of(answer),
    }
    return orjson.dumps(found)
