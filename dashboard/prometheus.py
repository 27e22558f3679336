"""The Prometheus HTTP API over our own history, so that Grafana, promtool and scripts work unchanged."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from flask import Blueprint, Response

from collectors.sample import Labels
from dashboard import instance, question, ruling, sending
from dashboard.access import require
from dashboard.compression import compress
from dashboard.envelope import ApiError, answer, failure, of_query_error, size, success
from dashboard.moment import now_ms
from dashboard.problem import retry_after
from dashboard.selector import EVERY_SERIES
from dashboard.services import services
from promql import Engine, Matrix, QueryError, RawMatrix, Result, Vector, parse
from storage.error import StorageError

log = structlog.get_logger(__name__)
blueprint = Blueprint("prometheus", __name__, url_prefix="/api/v1")
blueprint.register_error_handler(ApiError, failure)
blueprint.register_error_handler(QueryError, lambda error: failure(of_query_error(error)))
blueprint.after_request(compress)
blueprint.after_request(sending.leave_the_deaf)

View = TypeVar("View", bound=Callable[..., Response])

MAX_POINTS = 11_000
#: Queries that are computed at once: each may take a core and 160 MB. The others wait for their turn, but not for ever.
#: Rules and the live page do not come this way.
MOST_AT_ONCE = 4
TURN_SECONDS = 10.0
_TURNS = threading.BoundedSemaphore(MOST_AT_ONCE)
#: What stands before a label's name in an address where it is not one that an address can hold.
_ESCAPED = "U__"
_ESCAPE = re.compile(r"__|_([0-9a-fA-F]{1,6})_|([^_])")
_TRUNCATED = "results truncated due to limit"


def _call(path: str, *, post: bool = False) -> Callable[[View], View]:
    """A call of this API: for viewers, by GET and where Prometheus has it by form POST."""
    methods = ["GET", "POST"] if post else ["GET"]

    def register(view: View) -> View:
        return blueprint.route(path, methods=methods)(require("viewer")(question.readable(view)))

    return register


@_call("/query", post=True)
def query() -> Response:
    """Evaluate at one moment."""
    limit, time_ms = question.limit(), question.moment_or("time", now_ms())
    return _evaluated(lambda engine, text: engine.instant(text, time_ms), time_ms, limit)


@_call("/query_range", post=True)
def query_range() -> Response:
    """Evaluate at steps over a range."""
    limit, start_ms, end_ms = question.limit(), question.moment("start"), question.moment("end")
    if end_ms < start_ms:
        raise question.invalid("end", "end timestamp must not be before start time")
    step_ms = question.step()
    if (end_ms - start_ms) // step_ms > MAX_POINTS:
        raise ApiError(
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    return _evaluated(lambda engine, text: engine.range(text, start_ms, end_ms, step_ms), end_ms, limit)


@_call("/query_exemplars", post=True)
def query_exemplars() -> Response:
    """The traces behind samples: there are none here, yet a query that is wrong is told so."""
    start_ms, end_ms = question.moment_or("start", question.BEGINNING_MS), question.moment_or("end", question.END_MS)
    if end_ms < start_ms:
        raise ApiError("bad_data", "end timestamp must not be before start timestamp")
    parse(question.value("query"))
    return success([])


@_call("/series", post=True)
def series() -> Response:
    """The label sets that selectors mean."""
    if not question.values("match[]"):
        raise ApiError("bad_data", "no match[] parameter provided")
    limit, found = question.limit(), _found(named=True)
    return _truncated([dict(labels) for labels in sorted(found)], limit)


@_call("/labels", post=True)
def labels() -> Response:
    """All label names."""
    limit, found = question.limit(), _found()
    return _truncated(sorted({name for one in found for name, _ in one}), limit)


@_call("/label/<name>/values")
def label_values(name: str) -> Response:
    """All values of a label."""
    name = _unescaped(name)
    limit, found = question.limit(), _found()
    return _truncated(sorted({value for one in found for other, value in one if other == name}), limit)


@_call("/metadata")
def metadata() -> Response:
    """Type, unit and meaning of the metrics that there are."""
    limit, per_metric = _count("limit"), _count("limit_per_metric")
    found = instance.metadata(services().store, question.value("metric"))
    chosen = list(found.items())[: limit if limit is not None and limit >= 0 else None]
    return success({name: entries[: per_metric if per_metric and per_metric > 0 else None] for name, entries in chosen})


@_call("/rules")
def rules() -> Response:
    """Every rule and how it is doing."""
    kind = question.value("type").lower()
    if kind not in ("", "alert", "record"):
        raise question.invalid("type", f'not supported value "{kind}"')
    chosen = ruling.Choice(
        kind=kind,
        rules=frozenset(question.values("rule_name[]")),
        groups=frozenset(question.values("rule_group[]")),
        files=frozenset(question.values("file[]")),
        matchers=tuple(question.matcher_sets(named=True)),
        alerts=not question.flag("exclude_alerts"),
    )
    size = _count("group_limit")
    if size is not None and size <= 0:
        raise question.invalid("group_limit", "needs to be in range (0,n)")
    token = question.value("group_next_token")
    if token and size is None:
        raise question.invalid("group_limit", "group_limit needs to be set in order to paginate over the groups")
    try:
        return success(ruling.page(services().alerts.rules(), chosen, size, token))
    except LookupError as error:
        raise question.invalid("group_next_token", str(error)) from error


@_call("/alerts")
def alerts() -> Response:
    """Pending and firing alerts."""
    return success({"alerts": [ruling.alert(one) for one in services().alerts.current()]})


@_call("/status/buildinfo")
def buildinfo() -> Response:
    """What answers here, and which Prometheus it speaks like."""
    return success(instance.build())


@_call("/status/runtimeinfo")
def runtimeinfo() -> Response:
    """How this process is doing."""
    return success(instance.runtime(services().settings, services().started_ms))


@_call("/status/flags")
def flags() -> Response:
    """The settings that Prometheus has as flags."""
    return success(instance.flags(services().settings))


@_call("/status/config")
def config() -> Response:
    """The settings that Prometheus has in its file."""
    return success({"yaml": instance.configuration(services().settings)})


@_call("/status/tsdb")
def tsdb() -> Response:
    """How many series there are, and of what."""
    most = _count("limit")
    if most is not None and most < 1:
        raise ApiError("bad_data", "limit must be a positive number")
    return success(instance.cardinality(services().store, 10 if most is None else most))


@_call("/targets")
def targets() -> Response:
    """What is scraped over HTTP: nothing, the sources are in this process."""
    return success({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}})


@_call("/alertmanagers")
def alertmanagers() -> Response:
    """Where alerts are sent on to: nowhere, the notices are made in this process."""
    return success({"activeAlertmanagers": [], "droppedAlertmanagers": []})


@blueprint.errorhandler(StorageError)
def _storage_failure(error: StorageError) -> Response:
    """History cannot be read: said in this API's form, without the path that the error names."""
    log.error("storage_error", exc_info=error)
    response = failure(ApiError("unavailable", "what was asked for could not be read from the database"))
    if not error.permanent:
        response.headers.update(retry_after(5))
    return response


def _evaluated(evaluate: Callable[[Engine, str], Result], time_ms: int, limit: int | None) -> Response:
    """What a query gives, cut after ``limit`` series; what is wrong with its text is said as Prometheus does."""
    engine = _engine()
    if not _TURNS.acquire(timeout=TURN_SECONDS):
        raise ApiError("unavailable", "too many queries are being answered; try again in a moment")
    started = time.perf_counter()
    try:
        result = evaluate(engine, question.value("query"))
        seconds = time.perf_counter() - started
        result = result if limit is None else _first(result, limit)
        sent = sending.reserve(size(result))
    except QueryError as error:
        found = of_query_error(error)
        raise question.invalid("query", str(found)) if found.type == "bad_data" else found from error
    finally:
        _TURNS.release()
    try:
        response = answer(result, time_ms, _stats(seconds) if question.value("stats") else None)
    except BaseException:
        sent()
        raise
    response.call_on_close(sent)
    return response


def _engine() -> Engine:
    """The engine, with the lookback and the time limit that the caller asks for; the server's own stays the longest."""
    seconds, lookback_ms = question.timeout_seconds(), question.lookback_ms()
    return services().query.adjusted(lookback_ms=lookback_ms, timeout_seconds=seconds)


def _first(result: Result, limit: int) -> Result:
    """The first series of a result, with a warning if there are more."""
    warnings = (*result.warnings, _TRUNCATED)
    match result:
        case Vector(labels, values) if len(labels) > limit:
            return replace(result, labels=labels[:limit], values=values[:limit], warnings=warnings)
        case Matrix(_, labels, values, present) if len(labels) > limit:
            cut = replace(result, labels=labels[:limit], values=values[:limit], present=present[:limit])
            return replace(cut, warnings=warnings)
        case RawMatrix(series) if len(series) > limit:
            return replace(result, series=series[:limit], warnings=warnings)
    return result


def _stats(seconds: float) -> dict[str, Any]:
    return {"timings": {"evalTotalTime": seconds, "execTotalTime": seconds}}


def _found(*, named: bool = False) -> list[Labels]:
    """The label sets that ``match[]`` means between ``start`` and ``end``; all without one."""
    start_ms, end_ms = question.period()
    selectors = question.matcher_sets(named=named) or [EVERY_SERIES]
    if end_ms < start_ms:
        return []
    return list({labels for matchers in selectors for labels in services().store.labels(matchers, start_ms, end_ms)})


def _unescaped(name: str) -> str:
    """A label's name from an address: ``U__a_2e_b`` is ``a.b``. What is not escaped rightly is a name as it stands."""
    if not name.startswith(_ESCAPED):
        return name
    plain, at = "", len(_ESCAPED)
    while at < len(name):
        found = _ESCAPE.match(name, at)
        code = int(found[1], 16) if found and found[1] else 0
        if found is None or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            return name
        plain += chr(code) if found[1] else found[2] or "_"
        at = found.end()
    return plain


def _truncated(found: list[Any], limit: int | None) -> Response:
    return success(found) if limit is None or len(found) <= limit else success(found[:limit], [_TRUNCATED])


def _count(name: str) -> int | None:
    """A whole number of any sign; None without one."""
    text = question.value(name)
    if not text:
        return None
    number = question.whole(text)
    if number is None:
        raise ApiError("bad_data", f"{name} must be a number")
    return number
