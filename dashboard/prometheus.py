"""The Prometheus HTTP API over our own history, so that Grafana, promtool and scripts work unchanged."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, Response, request

from collectors.catalogue import METRICS
from collectors.sample import Labels, Matcher
from config import VERSION
from dashboard import ruling
from dashboard.access import require
from dashboard.envelope import ApiError, failure, of_query_error, of_result, success
from dashboard.moment import now_ms
from dashboard.parameter import parse_duration, parse_time
from dashboard.selector import EVERY_SERIES, selector_matchers
from dashboard.services import services
from promql import QueryError

blueprint = Blueprint("prometheus", __name__, url_prefix="/api/v1")
blueprint.register_error_handler(ApiError, failure)
blueprint.register_error_handler(QueryError, lambda error: failure(of_query_error(error)))

View = TypeVar("View", bound=Callable[..., Response])

MAX_POINTS = 11_000
#: What a missing ``start`` and ``end`` mean where samples are not read.
BEGINNING_MS = 0
END_MS = 253_402_300_799_999
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TRUNCATED = "results truncated due to limit"


def _call(path: str, *, post: bool = False) -> Callable[[View], View]:
    """A call of this API: for viewers, by GET and where Prometheus has it by form POST."""
    methods = ["GET", "POST"] if post else ["GET"]

    def register(view: View) -> View:
        return blueprint.route(path, methods=methods)(require("viewer")(view))

    return register


@_call("/query", post=True)
def query() -> Response:
    """Evaluate at one moment."""
    time_ms = _time("time", now_ms())
    _timeout()
    result = of_result(_asked(lambda text: services().query.instant(text, time_ms)), time_ms)
    return _limited(result)


@_call("/query_range", post=True)
def query_range() -> Response:
    """Evaluate at steps over a range."""
    start_ms, end_ms = _time("start"), _time("end")
    if end_ms < start_ms:
        raise ApiError("bad_data", 'invalid parameter "end": end timestamp must not be before start time')
    step_ms = _duration("step")
    if step_ms <= 0:
        raise ApiError(
            "bad_data",
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer",
        )
    if (end_ms - start_ms) // step_ms > MAX_POINTS:
        raise ApiError(
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
        )
    _timeout()
    return _limited(of_result(_asked(lambda text: services().query.range(text, start_ms, end_ms, step_ms)), end_ms))


@_call("/series", post=True)
def series() -> Response:
    """The label sets that selectors mean."""
    if not _values("match[]"):
        raise ApiError("bad_data", "no match[] parameter provided")
    return _truncated([dict(labels) for labels in sorted(_found())])


@_call("/labels", post=True)
def labels() -> Response:
    """All label names."""
    return _truncated(sorted({name for found in _found() for name, _ in found}))


@_call("/label/<name>/values")
def label_values(name: str) -> Response:
    """All values of a label."""
    if not _LABEL_NAME.fullmatch(name):
        raise ApiError("bad_data", f'invalid label name: "{name}"')
    return _truncated(sorted({value for found in _found() for other, value in found if other == name}))


@_call("/metadata")
def metadata() -> Response:
    """Type, unit and meaning of each metric."""
    wanted, limit, per_metric = _value("metric"), _limit(), _limit("limit_per_metric")
    found = [metric for metric in METRICS.values() if wanted in ("", metric.name)][:limit]
    entries = {one.name: [{"type": one.type, "help": one.help, "unit": one.unit}] for one in found}
    return success({name: entry[:per_metric] for name, entry in entries.items()})


@_call("/rules")
def rules() -> Response:
    """Every rule and how it is doing."""
    kind = _value("type")
    if kind not in ("", "alert", "record"):
        raise ApiError("bad_data", f'invalid parameter "type": not supported value "{kind}"')
    chosen = ruling.Choice(
        kind=kind,
        rules=frozenset(_values("rule_name[]")),
        groups=frozenset(_values("rule_group[]")),
        files=frozenset(_values("file[]")),
        alerts=_value("exclude_alerts").lower() not in ("true", "1", "t"),
    )
    return success({"groups": ruling.groups(services().alerts.rules(), chosen)})


@_call("/alerts")
def alerts() -> Response:
    """Pending and firing alerts."""
    return success({"alerts": [ruling.alert(one) for one in services().alerts.current()]})


@_call("/status/buildinfo")
def buildinfo() -> Response:
    """What answers here. ``application`` tells clients that it is not Prometheus itself."""
    return success(
        {
            "application": "Wakeless",
            "version": VERSION,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": f"python{platform.python_version()}",
        }
    )


def _asked(evaluate: Callable[[str], Any]) -> Any:
    """Evaluate the parameter ``query``; what is wrong with its text is said as Prometheus does."""
    try:
        return evaluate(_value("query"))
    except QueryError as error:
        found = of_query_error(error)
        if found.type == "bad_data":
            raise ApiError("bad_data", f'invalid parameter "query": {found}') from error
        raise found from error


def _found() -> list[Labels]:
    """The label sets that ``match[]`` means between ``start`` and ``end``; all without one."""
    start_ms, end_ms = _time("start", BEGINNING_MS), _time("end", END_MS)
    if end_ms < start_ms:
        raise ApiError("bad_data", 'invalid parameter "end": end timestamp must not be before start time')
    selectors = [_selector(text) for text in _values("match[]")] or [EVERY_SERIES]
    found = {labels for matchers in selectors for labels in services().store.labels(matchers, start_ms, end_ms)}
    return list(found)


def _selector(text: str) -> tuple[Matcher, ...]:
    try:
        return selector_matchers(text)
    except QueryError as error:
        raise ApiError("bad_data", f'invalid parameter "match[]": {error}') from error


def _limited(result: dict[str, Any]) -> Response:
    """The result, cut after ``limit`` series."""
    limit = _limit()
    if limit is None or result["resultType"] not in ("vector", "matrix") or len(result["result"]) <= limit:
        return success(result)
    return success(result | {"result": result["result"][:limit]}, [_TRUNCATED])


def _truncated(found: list[Any]) -> Response:
    limit = _limit()
    return success(found) if limit is None or len(found) <= limit else success(found[:limit], [_TRUNCATED])


def _value(name: str) -> str:
    """A parameter from the form or the query; the form comes first, as in Go."""
    return request.form.get(name) or request.args.get(name) or ""


def _values(name: str) -> list[str]:
    return request.form.getlist(name) + request.args.getlist(name)


def _time(name: str, default: int | None = None) -> int:
    text = _value(name)
    if not text and default is not None:
        return default
    try:
        return parse_time(text)
    except ValueError as error:
        raise ApiError("bad_data", f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from error


def _duration(name: str) -> int:
    text = _value(name)
    try:
        return parse_duration(text)
    except ValueError as error:
        if text.startswith("-"):
            return -1
        raise ApiError("bad_data", f'invalid parameter "{name}": cannot parse "{text}" to a valid duration') from error


def _timeout() -> None:
    """Check ``timeout``; queries have limits of their own, which no caller can raise."""
    if _value("timeout"):
        _duration("timeout")


def _limit(name: str = "limit") -> int | None:
    """The limit asked for; None for none, which 0 means as well. A negative one is refused."""
    text = _value(name)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ApiError("bad_data", f'invalid parameter "{name}": limit must be a number that is not negative')
    return int(text) or None
