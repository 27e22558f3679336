"""Metrics that others send: Prometheus' remote write (version 1), and OTLP over HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, request

from dashboard.access import require
from dashboard.body import Share, read_packed, read_raw
from dashboard.inference import upload_budget
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.services import services

if TYPE_CHECKING:
    from targets.scrape.inbox import Inbox, Point, Receipt

log = structlog.get_logger(__name__)

blueprint = Blueprint("ingest", __name__)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MiB = 1024 * 1024
#: OTLP is read as a whole: of JSON so much takes about a second, of protobuf forty times as much memory.
MAX_OTLP_BYTES = 4 * MiB
#: One body is read at a time, since one may take many times its size; others wait for so long.
_TURN_SECONDS = 5.0
_turn = threading.Lock()

_WORDS = {
    "out_of_order": "are not newer than the last of their series",
    "too_old": "are too old",
    "too_new": "are of the future",
    "too_many_series": "are of new series, of which there are as many as ingest.max_series allows",
}


@blueprint.post("/api/v1/write")
@require("operator")
def write() -> Response:
    """Remote write 1.0. 204 when all is kept; 400 says what is not, and that it is no use to send it again."""
    from targets.scrape import remote_write

    inbox = _inbox()
    max_bytes = services().settings.ingest.max_bytes
    if request.headers.get("Content-Encoding", "snappy").strip().lower() != "snappy":
        raise Problem(415, "unsupported-media-type", "Remote write is compressed with snappy.")
    if not request.headers.get("X-Prometheus-Remote-Write-Version", remote_write.VERSION).startswith("0."):
        raise Problem(415, "unsupported-media-type", "Remote write is understood in version 0.1.0 only.")
    if "io.prometheus.write.v2" in (request.content_type or ""):
        raise Problem(415, "unsupported-media-type", "Send prometheus.WriteRequest: version 2 is not understood.")
    with upload_budget().reading() as share:
        body = read_raw(request, share, max_bytes)
        with _Turn():
            try:
                message = _unpacked(body, share, max_bytes)
                points, histograms = remote_write.read(message)
            except remote_write.TooLarge as error:
                raise Problem(413, "too-large", f"{error}.", max_bytes=max_bytes) from error
            except remote_write.WriteError as error:
                raise Problem(400, "bad-request", f"{error}.") from error
            receipt = _take(inbox, points, "remote_write")
    reasons = _reasons(receipt)
    if histograms:
        reasons.append(f"{histograms} native histograms, which are not supported, were left out")
    if reasons:
        log.warning("ingest_refused", kind="remote_write", refused=receipt.refused, reasons=reasons)
        raise Problem(400, "bad-request", f"{'; '.join(reasons)}. The other {receipt.taken} samples are kept.")
    return Response(status=204)


@blueprint.post("/v1/metrics")
@require("operator")
def otlp_metrics() -> Response:
    """OTLP over HTTP, as protobuf or JSON. What cannot be kept is told by ``partial_success``."""
    kind = request.mimetype
    if kind not in (PROTOBUF, JSON):
        raise Problem(415, "unsupported-media-type", f"Send {PROTOBUF} or {JSON}.")
    from targets.scrape import otlp

    inbox = _inbox()
    json = kind == JSON
    max_bytes = services().settings.ingest.max_bytes
    with upload_budget().reading() as share:
        body = read_packed(request, share, min(max_bytes, MAX_OTLP_BYTES))
        with _Turn():
            try:
                export = otlp.read(body, now_ms(), json=json)
            except otlp.TooLarge as error:
                raise Problem(413, "too-large", f"{error}. Send fewer at once.") from error
            except otlp.OtlpError as error:
                raise Problem(400, "bad-request", f"{error}.") from error
            receipt = _take(inbox, export.points, "otlp")
    reasons = [*export.rejected, *_reasons(receipt)]
    rejected = min(export.data_points, export.rejected.total() + receipt.refused)
    if reasons:
        log.warning("ingest_refused", kind="otlp", refused=rejected, reasons=reasons[:10])
    return Response(otlp.answer(rejected, "; ".join(reasons[:10]), json=json), content_type=kind)


class _Turn:
    """Wait for one's turn. Raises :class:`Problem` 503, to be tried again."""

    def __enter__(self) -> None:
        if not _turn.acquire(timeout=_TURN_SECONDS):
            raise Problem(503, "uploads-full", "Too much is being sent at once.", headers=retry_after(5))

    def __exit__(self, *exc: object) -> None:
        _turn.release()


def _inbox() -> Inbox:
    if not services().settings.ingest.enabled:
        raise Problem(404, "not-found", "Metrics of others are not taken: ingest.enabled is off.")
    return services().targets.inbox


def _unpacked(body: bytes, share: Share, max_bytes: int) -> bytes:
    from targets.scrape import remote_write

    message = remote_write.unpack(body, max_bytes)
    share.take(len(message))
    return message


def _take(inbox: Inbox, points: list[Point], kind: str) -> Receipt:
    from targets.scrape.inbox import InboxFull

    try:
        return inbox.take(points, now_ms(), kind)
    except InboxFull as error:
        detail = "More metrics are being sent than can be written. Try again shortly."
        raise Problem(503, "uploads-full", detail, headers=retry_after(5)) from error


def _reasons(receipt: Receipt) -> list[str]:
    """What was refused and why, with an example."""
    reasons = [f"{count} samples {_WORDS[result]}" for result, count in receipt.counts.items() if result in _WORDS]
    if receipt.example and reasons:
        _, labels, time_ms = receipt.example
        series = ",".join(f'{name}="{value}"' for name, value in labels)
        reasons[-1] += f", such as {{{series[:200]}}} at {time_ms}"
    return reasons
