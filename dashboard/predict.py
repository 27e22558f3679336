"""``POST /predict``: one input in, one result out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response, request

from dashboard.access import require
from dashboard.body import read_upload
from dashboard.inference import recorded, upload_budget
from dashboard.request_id import current_request_id
from dashboard.services import services

if TYPE_CHECKING:
    from model.request import Answer

blueprint = Blueprint("predict", __name__)

#: Digits of the seconds in an answer: microseconds.
DIGITS = 6


@blueprint.post("/predict")
@require("predict")
def predict() -> Response:
    """Run one input through the model. Every ending, good or bad, leaves one entry in the request log."""
    request_id = current_request_id() or ""
    with recorded() as record:
        with upload_budget().reading() as share:
            body, content_type = read_upload(request, share, services().settings.model.max_body_bytes)
            answer = services().model.infer(body, content_type, request_id)
        record(answer)
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
