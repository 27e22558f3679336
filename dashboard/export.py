"""``GET /api/export.csv``: history as CSV, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

import structlog
from flask import Blueprint, Response, request

from collectors.sample import Matcher
from dashboard.access import require
from dashboard.parameter import Window, invalid, one_of, parse_duration, window
from dashboard.problem import Problem
from dashboard.selector import EVERY_SERIES, selector_matchers
from dashboard.services import services
from promql import QueryError
from storage.error import StorageError
from storage.export import csv_long, csv_wide

log = structlog.get_logger(__name__)
blueprint = Blueprint("export", __name__)

MAX_SELECTORS = 100


@blueprint.get("/api/export.csv")
@require("viewer")
def export() -> Response:
    """``match[]`` (all series without one), ``start``, ``end`` (the last hour without), ``step``, ``format``."""
    selectors = [_selector(text) for text in request.args.getlist("match[]")[:MAX_SELECTORS]] or [EVERY_SERIES]
    period, step_ms = window(), _step()
    write = csv_long if one_of("format", ("wide", "long")) == "long" else csv_wide
    pieces = write(services().store, selectors, period.start_ms, period.end_ms, step_ms)
    first = next(pieces, b"")  # what fails at once becomes a problem document, not half a file
    response = Response(chain((first,), _logged(pieces)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(period)}"'
    return response


def _selector(text: str) -> tuple[Matcher, ...]:
    try:
        return selector_matchers(text)
    except QueryError as error:
        raise Problem(400, "bad-request", f"match[]: {error}", field="match[]") from error


def _step() -> int | None:
    text = request.args.get("step")
    if not text:
        return None
    try:
        step_ms = parse_duration(text)
    except ValueError as error:
        invalid("step", f"is {text!r}, but {error}")
    if step_ms < 1:
        invalid("step", f"is {text!r}, but must be at least 1 ms")
    return step_ms


def _logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The rest of a file. Its status has been sent, so a failure can only end the connection and be logged."""
    try:
        yield from pieces
    except StorageError as error:
        log.error("export_failed", exc_info=error)
        raise


def _file_name(period: Window) -> str:
    times = (datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H%M%SZ") for time_ms in period)
    return f"wakeless_{'_'.join(times)}.csv"
