"""What a caller of the Prometheus API asks: parameters of address or form, read and refused as Prometheus does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import unquote_to_bytes

import orjson
from flask import Response, request

from collectors.sample import Matcher
from dashboard.envelope import ApiError
from dashboard.parameter import parse_duration, parse_time
from dashboard.selector import selector_matchers
from promql import QueryError

View = TypeVar("View", bound=Callable[..., Response])

#: Moments that a query may look at, to either side of 1970: beyond them the engine has no times.
MAX_QUERY_MS = 1 << 53
#: What history can hold: where no samples are read, all earlier and later times mean these.
BEGINNING_MS = 0
END_MS = 253_402_300_799_999

#: Selectors in one call, and bytes of a form, which are decoded before anything else is known of them. A query is
#: shorter than either would allow.
MAX_SELECTORS = 64
MAX_FORM_BYTES = 1 << 17

_GO_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_GO_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def readable(view: View) -> View:
    """Refuse parameters that are too long, or not UTF-8: those would be read as other ones, ``%FF`` as a remainder."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        form = request.get_data() if request.mimetype == "application/x-www-form-urlencoded" else b""
        if len(form) > MAX_FORM_BYTES:
            raise ApiError("bad_data", f"the form is {len(form)} bytes long; at most {MAX_FORM_BYTES} are allowed")
        for text in (request.query_string, form):
            try:
                unquote_to_bytes(text).decode()
            except UnicodeDecodeError as error:
                raise ApiError("bad_data", "the parameters are not valid UTF-8") from error
        return view(*args, **kwargs)

    return cast(View, wrapper)


def value(name: str) -> str:
    """A parameter, empty without it; a form's comes first, as in Go."""
    if request.method == "POST" and name in request.form:
        return request.form[name]
    return request.args.get(name, "")


def values(name: str) -> list[str]:
    """All values of a parameter that may be repeated."""
    found = request.args.getlist(name)
    return request.form.getlist(name) + found if request.method == "POST" else found


def moment(name: str) -> int:
    """A time that must be there, in UTC milliseconds."""
    text = value(name)
    try:
        time_ms = parse_time(text)
    except ValueError as error:
        raise invalid(name, _no_time(text)) from error
    return min(max(time_ms, -MAX_QUERY_MS), MAX_QUERY_MS)


def moment_or(name: str, default: int) -> int:
    """A time in UTC milliseconds, ``default`` without it."""
    text = value(name)
    if not text:
        return default
    try:
        time_ms = parse_time(text)
    except ValueError as error:
        raise invalid(name, f"Invalid time value for '{name}': {_no_time(text)}") from error
    return min(max(time_ms, -MAX_QUERY_MS), MAX_QUERY_MS)


def period() -> tuple[int, int]:
    """``start`` and ``end`` of calls that read no samples: all of history without them."""
    start_ms, end_ms = moment_or("start", BEGINNING_MS), moment_or("end", END_MS)
    return max(start_ms, BEGINNING_MS), min(end_ms, END_MS)


def step() -> int:
    """``step`` of a range query in milliseconds, at least 1."""
    step_ms = _duration(value("step"), "step")
    if step_ms <= 0:
        raise invalid("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
    return step_ms


def timeout_seconds() -> float | None:
    """``timeout`` in seconds; None without one."""
    text = value("timeout")
    return _duration(text, "timeout") / 1000 if text else None


def lookback_ms() -> int | None:
    """``lookback_delta`` in milliseconds; None for the server's own, which 0 and less mean as well."""
    text = value("lookback_delta")
    if not text:
        return None
    try:
        return max(_signed_duration(text), 0) or None
    except ValueError as error:
        raise ApiError("bad_data", f"error parsing lookback delta duration: {_no_duration(text)}") from error


def limit() -> int | None:
    """The most results wanted; None for all of them, which 0 means as well."""
    text = value("limit")
    if not text:
        return None
    number = whole(text)
    if number is None:
        raise invalid("limit", f"strconv.Atoi: parsing {_quoted(text)}: invalid syntax")
    if number < 0:
        raise invalid("limit", "limit must be non-negative")
    return number or None


def whole(text: str) -> int | None:
    """A whole number with its sign; None for any other text."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) else None


def flag(name: str) -> bool:
    """A yes or no in any of Go's spellings; no without it."""
    text = value(name)
    if text not in _GO_TRUE | _GO_FALSE | {""}:
        raise invalid(name, f"error converting {name}: strconv.ParseBool: parsing {_quoted(text)}: invalid syntax")
    return text in _GO_TRUE


def matcher_sets(*, named: bool = False) -> list[tuple[Matcher, ...]]:
    """What ``match[]`` means, each of its values by itself. ``named``: an error says which parameter it is about."""
    texts = values("match[]")
    if len(texts) > MAX_SELECTORS:
        raise invalid("match[]", f"there are {len(texts)} of them; at most {MAX_SELECTORS} are allowed")
    try:
        return [selector_matchers(text) for text in texts]
    except QueryError as error:
        raise invalid("match[]", str(error)) if named else ApiError("bad_data", str(error)) from error


def invalid(name: str, message: str) -> ApiError:
    """A parameter that is refused, to be raised."""
    return ApiError("bad_data", f'invalid parameter "{name}": {message}')


def _duration(text: str, name: str) -> int:
    try:
        return _signed_duration(text)
    except ValueError as error:
        raise invalid(name, _no_duration(text)) from error


def _signed_duration(text: str) -> int:
    """Milliseconds; plain seconds may be negative."""
    if re.fullmatch(r"-[0-9.eE+-]+", text, re.ASCII):
        return -parse_duration(text[1:])
    return parse_duration(text)


def _no_time(text: str) -> str:
    return f"cannot parse {_quoted(text)} to a valid timestamp"


def _no_duration(text: str) -> str:
    return f"cannot parse {_quoted(text)} to a valid duration"


def _quoted(text: str) -> str:
    """As Go quotes it."""
    return orjson.dumps(text).decode()
