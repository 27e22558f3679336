"""Reading what a caller sends: times, windows, numbers and JSON bodies. What is wrong is named, with its field."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, NoReturn, TypeVar
from zoneinfo import ZoneInfo

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboard.moment import now_ms
from dashboard.problem import Problem

HOUR_MS = 3_600_000
#: Bare numbers from here on are milliseconds: as seconds they would lie beyond the year 5000.
_MILLISECONDS_FROM = 1e11
_MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999, where RFC 3339 ends
#: Milliseconds that Prometheus counts in, and how its clients write the first and the last moment it knows.
_MAX_INT64 = 2**63 - 1
_EDGES_MS = {
    "-292273086-05-16T16:47:06Z": -9_223_309_901_257_974_000,
    "292277025-08-18T07:12:54.999999999Z": 9_223_309_901_257_974_999,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)

Body = TypeVar("Body", bound=BaseModel)


class Window(NamedTuple):
    """A stretch of time in UTC milliseconds, both ends included."""

    start_ms: int
    end_ms: int


class Reason(BaseModel):
    """A body that may carry a reason."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field("", max_length=500)


class Restart(Reason):
    """A body that asks for a new process, in safe mode perhaps with the last good version."""

    roll_back: bool = False


class GivenReason(BaseModel):
    """A body that must carry a reason."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    reason: str = Field(min_length=1, max_length=500)


def parse_time(text: str) -> int:
    """UTC milliseconds of an RFC 3339 time or of seconds since 1970, as Prometheus takes them. Raises ValueError.

    Seconds are rounded to the millisecond, RFC 3339 is cut off there. All of 64 bits is a time, beyond any calendar.
    """
    seconds = _number(text)
    if seconds is not None:
        fraction, whole_seconds = math.modf(seconds)  # rounded for itself, as in Go
        return _whole(whole_seconds * 1000 + math.copysign(math.floor(abs(fraction) * 1000 + 0.5), seconds), _MAX_INT64)
    if text in _EDGES_MS:
        return _EDGES_MS[text]
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time or seconds since 1970")
    # Digits past the microsecond are more than datetime reads.
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_own_time(text: str) -> int:
    """As :func:`parse_time`, within the calendar, and milliseconds since 1970 as well: our own answers carry those."""
    number = _number(text)
    milliseconds = number if number is not None and number >= _MILLISECONDS_FROM else parse_time(text)
    return _whole(milliseconds, _MAX_TIME_MS)


def parse_duration(text: str) -> int:
    """Milliseconds of seconds (``15``, ``0.5``) or a Prometheus duration (``1m30s``). Raises ValueError."""
    seconds = _number(text)
    if seconds is not None:
        if not 0 <= seconds * 1000 <= _MAX_TIME_MS:
            raise ValueError("must be a duration that is not negative")
        return round(seconds * 1000)
    match = _DURATION.fullmatch(text)
    if not text or match is None or len(text) > 100:
        raise ValueError("must be seconds or a duration such as 30s, 5m or 1h30m")
    parts = zip(match.groups(), _UNITS_MS, strict=True)
    return _whole(sum(int(part) * unit for part, unit in parts if part), _MAX_TIME_MS)


def window(default_ms: int = HOUR_MS) -> Window:
    """The query's ``start`` and ``end``; without them the last ``default_ms``."""
    end_ms = _time("end", now_ms())
    start_ms = _time("start", end_ms - default_ms)
    if start_ms > end_ms:
        invalid("start", "must not be after end")
    return Window(start_ms, end_ms)


def whole(name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query."""
    text = request.args.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        invalid(name, f"is {text!r}, but must be a whole number from {least} to {most}")
    return int(text)


def one_of(name: str, allowed: tuple[str, ...]) -> str | None:
    """A word from the query; None if it is not given."""
    text = request.args.get(name)
    if text and text not in allowed:
        invalid(name, f"is {text!r}, but must be one of: {', '.join(allowed)}")
    return text or None


def zone() -> tzinfo | None:
    """The time zone of the query's ``tz``, e.g. ``Asia/Shanghai``; None is the machine's own."""
    name = request.args.get("tz")
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, a folder, a name that nobody knows
        invalid("tz", f"is {name[:100]!r}, but must be the name of a time zone, such as Asia/Shanghai")


def body(kind: type[Body]) -> Body:
    """The JSON body as ``kind``; an absent body counts as ``{}``."""
    raw = request.get_data(cache=False)
    if raw and not request.is_json:
        raise Problem(415, "unsupported-media-type", "The body must be JSON, with Content-Type: application/json.")
    try:
        return kind.model_validate_json(raw or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "bad-request", "The body is not valid JSON.") from error
        invalid(".".join(str(part) for part in first["loc"]) or "body", first["msg"])


def invalid(field: str, message: str) -> NoReturn:
    """Refuse a parameter or a body's field by name."""
    raise Problem(422, "invalid-parameter", f"{field}: {message}", field=field)


def _time(name: str, default_ms: int) -> int:
    text = request.args.get(name)
    if not text:
        return default_ms
    try:
        return parse_own_time(text)
    except ValueError as error:
        invalid(name, f"is {text!r}, but {error}")


def _number(text: str) -> float | None:
    """A finite number in ASCII, without Python's liberties (underscores, spaces)."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII) or len(text) > 50:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _whole(milliseconds: float, most: int) -> int:
    """The nearest whole number, at most ``most`` on either side of 0; exact for what is whole already."""
    if not -most <= milliseconds <= most:
        raise ValueError("must be a time that a calendar has")
    return milliseconds if isinstance(milliseconds, int) else min(math.floor(milliseconds + 0.5), most)
