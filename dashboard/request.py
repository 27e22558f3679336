"""``/api/requests``: the request log searched, its errors by kind, what failing inputs share, and its sums."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from itertools import chain
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
import structlog
from flask import Blueprint, Response, request

from collectors.requests import OUTCOMES
from dashboard.access import require
from dashboard.api import DAY_MS, answer
from dashboard.compression import compress
from dashboard.moment import iso, now_ms
from dashboard.parameter import Window, invalid, one_of, whole, window
from dashboard.sending import leave_the_deaf
from dashboard.services import services
from storage.error import StorageError
from storage.record import RequestEntry
from storage.request_sample import RequestSample
from storage.request_search import FAILED, Place, RequestSearch, Wanted

log = structlog.get_logger(__name__)
blueprint = Blueprint("request", __name__, url_prefix="/api")
blueprint.after_request(compress)
blueprint.after_request(leave_the_deaf)

#: Inputs of each side that are compared.
_MOST_FAILING, _MOST_GOOD = 4000, 8000
_BUSIEST = 3
#: Columns of the file, and requests that are in memory at once for it.
_CELLS = (
    *("time", "request_id", "route", "status", "outcome", "result_class", "model", "version"),
    *("total_seconds", "queue_seconds", "compute_seconds", "error", "input"),
)
_PAGE = 1000
_LONGEST = 500


@blueprint.get("/requests")
@require("viewer")
def requests() -> Response:
    """Requests that match, newest first, a page at a time; facts only."""
    wanted = _wanted()
    page = RequestSearch(services().database).page(wanted, whole("limit", 100, 1, 1000), _before())
    return answer(
        {
            "requests": [asdict(one) for one in page.entries],
            "more": page.next is not None,
            "next": None if page.next is None else str(page.next),
            "complete": page.complete,
        }
    )


@blueprint.get("/requests.csv")
@require("viewer")
def sheet() -> Response:
    """The same as a file, all pages of it."""
    wanted, search = _wanted(), RequestSearch(services().database)
    pages = search.pages(wanted, _PAGE)
    first = next(pages)  # what fails at once becomes a problem document, not half a file
    response = Response(_csv(chain((first,), pages)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="wakeless_requests.csv"'
    return response


@blueprint.get("/requests/errors")
@require("viewer")
def errors() -> Response:
    """Errors of a window (a day without one) by kind, the most frequent first."""
    groups = RequestSearch(services().database).errors(*window(DAY_MS), limit=whole("limit", 100, 1, 1000))
    return answer({"groups": [asdict(group) for group in groups]})


@blueprint.get("/requests/common")
@require("viewer")
def common() -> Response:
    """What inputs that failed in a window (a day without one) have in common beside those that went well."""
    from reports.common import compare, flat

    period, fingerprint = window(DAY_MS), _word("fingerprint")
    sample = RequestSample(services().database)
    failing = sample.inputs(*period, FAILED, _MOST_FAILING, fingerprint)
    good = sample.inputs(*period, ("ok",), _MOST_GOOD)
    return answer(asdict(compare([flat(one) for one in failing], [flat(one) for one in good])))


@blueprint.get("/requests/summary")
@require("viewer")
def summary() -> Response:
    """A window (a day without one) in numbers; ``tz`` says whose hours are told."""
    period = window(DAY_MS)
    found = RequestSample(services().database).sum(*period, shift_ms=_shift_ms(period))
    well = sum(found.outcomes.get(outcome, 0) for outcome in ("ok", "cached"))
    counted = sum(found.outcomes.values())
    busiest = sorted(found.hours, key=lambda hour: (-hour.count, hour.start_ms))[:_BUSIEST]
    return answer(
        {
            "start_ms": period.start_ms,
            "end_ms": period.end_ms,
            "count": found.count,
            "sampled": found.every,
            "ok_share": well / counted if counted else None,
            "mean": found.mean,
            "p95": found.p95,
            "max": found.max,
            "classes": found.classes,
            "outcomes": found.outcomes,
            "busiest_hours": [asdict(hour) for hour in busiest],
            "hours": [asdict(hour) for hour in found.hours],
            "slowest": found.slowest,
        }
    )


def _wanted() -> Wanted:
    period = window() if request.args.get("start") else window(now_ms())
    return Wanted(
        *period,
        request_id=_word("request_id") or _word("id"),
        route=_word("route"),
        result_class=_word("class"),
        outcome=one_of("outcome", OUTCOMES),
        fingerprint=_word("fingerprint"),
        text=_word("q"),
        min_seconds=_seconds("min_seconds"),
    )


def _csv(pages: Iterator[list[RequestEntry]]) -> Iterator[bytes]:
    """The file in pieces. Its status has been sent, so a failure can only end the connection and be logged."""
    yield ",".join(_CELLS).encode() + b"\r\n"
    try:
        for entries in pages:
            sheet = StringIO()
            csv.writer(sheet).writerows([_cell(one, name) for name in _CELLS] for one in entries)
            yield sheet.getvalue().encode()
    except StorageError as error:
        log.error("sheet_failed", exc_info=error)
        raise


def _cell(entry: RequestEntry, name: str) -> object:
    if name == "time":
        return iso(entry.time_ms)
    value = orjson.dumps(entry.input).decode() if name == "input" else getattr(entry, name)
    # What a spreadsheet would take for a formula is text.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _word(name: str) -> str | None:
    text = request.args.get(name)
    if text is not None and len(text) > _LONGEST:
        invalid(name, f"must not be longer than {_LONGEST} characters")
    return text or None


def _seconds(name: str) -> float | None:
    text = request.args.get(name)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}", text, re.ASCII) or not math.isfinite(float(text)):
        invalid(name, f"is {text!r}, but must be a number of seconds")
    return float(text)


def _before() -> Place | None:
    text = request.args.get("before")
    if not text:
        return None
    try:
        return Place.parse(text)
    except ValueError as error:
        invalid("before", f"is {text!r}, but {error}")


def _shift_ms(period: Window) -> int:
    """How far the zone of ``tz`` is from UTC at the end of the window."""
    name = request.args.get("tz")
    moment = datetime.fromtimestamp(period.end_ms / 1000, UTC)
    if not name:
        zone = moment.astimezone().utcoffset()
    else:
        try:
            zone = moment.astimezone(ZoneInfo(name)).utcoffset()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            invalid("tz", f"is {name!r}, but must be a zone such as Asia/Shanghai")
    return 0 if zone is None else round(zone.total_seconds() * 1000)
