"""``GET /api/export.csv``: history as CSV, streamed; ``GET /api/export/estimate``: how large it would be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

import orjson
import structlog
from flask import Blueprint, Response, request

from collectors.sample import Matcher
from dashboard.access import require
from dashboard.compression import compress
from dashboard.estimate import estimate
from dashboard.parameter import Window, invalid, one_of, parse_duration, window
from dashboard.problem import Problem
from dashboard.selector import EVERY_SERIES, selector_matchers
from dashboard.sending import leave_the_deaf
from dashboard.services import services
from promql import QueryError
from storage.error import StorageError
from storage.export import csv_long, csv_wide

log = structlog.get_logger(__name__)
blueprint = Blueprint("export", __name__)
blueprint.after_request(compress)
blueprint.after_request(leave_the_deaf)

MAX_SELECTORS = 100


class Wanted(NamedTuple):
    """What a caller wants to have, whether as a file or as a number."""

    selectors: list[tuple[Matcher, ...]]
    period: Window
    step_ms: int | None
    wide: bool


@blueprint.get("/api/export.csv")
@require("viewer")
def export() -> Response:
    """``match[]`` (all series without one), ``start``, ``end`` (the last hour without), ``step``, ``format``."""
    wanted = _wanted()
    write = csv_wide if wanted.wide else csv_long
    pieces = write(services().store, wanted.selectors, *wanted.period, wanted.step_ms)
    first = next(pieces, b"")  # what fails at once becomes a problem document, not half a file
    response = Response(chain((first,), _logged(pieces)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(wanted.period)}"'
    return response


@blueprint.get("/api/export/estimate")
@require("viewer")
def size() -> Response:
    """Series, rows and bytes that ``export.csv`` would have for the same parameters, about."""
    wanted = _wanted()
    found = estimate(services().store, wanted.selectors, *wanted.period, wanted.step_ms, wide=wanted.wide)
    return Response(orjson.dumps(found._asdict()), mimetype="application/json")


def _wanted() -> Wanted:
    texts = request.args.getlist("match[]")
    if len(texts) > MAX_SELECTORS:
        invalid("match[]", f"is given {len(texts)} times, but may be {MAX_SELECTORS} times at most")
    selectors = [_selector(text) for text in texts] or [EVERY_SERIES]
    return Wanted(selectors, window(), _step(), one_of("format", ("wide", "long")) != "long")


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
