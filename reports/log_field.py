"""Which field of a log's lines is the time, the duration, the outcome: by the names that people give them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, tzinfo
from typing import Any


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: By what they are called, the most telling first.
NAMES: dict[str, tuple[str, ...]] = {
    "time": _names("timestamp @timestamp time ts time_ms datetime asctime date created start_time t"),
    "duration": _names(
        "duration_ms duration_seconds duration_s total_seconds total_ms latency_ms latency_seconds elapsed_ms"
        " elapsed_seconds response_time_ms processing_time_ms inference_time_ms took_ms cost_ms duration latency"
        " elapsed response_time processing_time inference_time request_time took time_taken cost seconds"
    ),
    "outcome": _names("outcome success ok status status_code http_status code state level levelname"),
    "klass": _names("class result_class card_type label category predicted_class prediction type"),
    "error": _names("error_type exception_type error exception exc_info err reason detail"),
    "event": _names("event message msg name"),
}
_WELL = frozenset(_names("ok success succeeded successful done completed complete pass passed true cached hit"))
_LEVELS = {
    **dict.fromkeys(("trace", "debug", "info", "notice", "warning", "warn"), True),
    **dict.fromkeys(("error", "err", "critical", "fatal", "alert", "emergency"), False),
}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "seconds": 1.0, "m": 60.0}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(ns|us|µs|ms|s|m)?\s*")
_NGINX = "%d/%b/%Y:%H:%M:%S %z"


@dataclass(frozen=True, slots=True)
class Names:
    """The field that is taken for each; None where there is none. ``unit`` is that of the duration's bare numbers."""

    time: str | None = None
    duration: str | None = None
    outcome: str | None = None
    klass: str | None = None
    error: str | None = None
    event: str | None = None
    unit: str = "s"


def choose(lines: Iterable[Mapping[str, Any]], given: Mapping[str, str | None], unit: str | None = None) -> Names:
    """The names that lines at the beginning of a log bear out; what is ``given`` is taken as it is."""
    seen = [*lines]
    chosen = dict(given)
    if not chosen.get("duration"):
        chosen["duration"] = _first("duration", seen, lambda value: seconds_of(value, 1.0) is not None)
    duration = chosen["duration"]
    # What results are told by stands in the lines of results; others may say something else by the same name.
    results = [line for line in seen if duration and look(line, duration) is not None] or seen
    usable = {
        "time": lambda value: moment_of(value, None) is not None,
        "outcome": lambda value: well(value) is not None,
        "klass": lambda value: isinstance(value, (str, int)) and not isinstance(value, bool),
        "error": lambda value: value not in (None, "", False),
        "event": lambda value: isinstance(value, str),
    }
    for kind, test in usable.items():
        if not chosen.get(kind):
            chosen[kind] = _first(kind, seen if kind in ("error", "event") else results, test)
    taken = {one.name: chosen.get(one.name) for one in fields(Names) if one.name != "unit"}
    return Names(**taken, unit=unit or _unit(duration))


def look(line: Mapping[str, Any], name: str) -> Any:
    """The value of a field, ``a.b`` also inside of ``a``; None where there is none."""
    if name in line:
        return line[name]
    head, dot, rest = name.partition(".")
    inner = line.get(head) if dot else None
    return look(inner, rest) if isinstance(inner, Mapping) else None


def seconds_of(value: Any, scale: float) -> float | None:
    """Seconds of a duration: a number times ``scale``, or text that may name its unit; None if it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        found = float(value) * scale
        return found if math.isfinite(found) and found >= 0 else None
    match = _LENGTH.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
    return float(match[1]) * (_UNITS[match[2]] if match[2] else scale) if match else None


def moment_of(value: Any, zone: tzinfo | None) -> datetime | None:
    """A moment: ISO 8601, nginx' form, or seconds, milli-, micro- or nanoseconds since 1970. ``zone`` is for those
    without one (None: this machine's).
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and not re.fullmatch(r"\d{9,19}(\.\d+)?", value):
        return _written(value, zone)
    number = float(value) if isinstance(value, (int, float, str)) else math.nan
    if not number < 1e20:
        return None
    while number >= 1e11:  # as seconds beyond the year 5000
        number /= 1000
    try:
        return datetime.fromtimestamp(number, zone).astimezone(zone) if number >= 1e8 else None
    except (ValueError, OverflowError, OSError):
        return None


def well(value: Any) -> bool | None:
    """Whether an outcome is a good one: true, an HTTP status below 400, a level below error, a word such as ok. None if
    it says nothing.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value < 400 if 100 <= value <= 599 else None  # 0 and 1 are good or bad as everybody likes
    if not isinstance(value, str) or not value.strip():
        return None
    word = value.strip().lower()
    if word.isdigit():
        return well(int(word))
    return _LEVELS.get(word, word in _WELL)


def scale_of(unit: str) -> float:
    """Seconds in a unit."""
    return _UNITS[unit]


def _written(text: str, zone: tzinfo | None) -> datetime | None:
    if len(text) > 40:
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(",", "."))
    except ValueError:
        try:
            found = datetime.strptime(text.strip(" []"), _NGINX)  # noqa: DTZ007  # the form has a zone
        except ValueError:
            return None
    try:
        return found.replace(tzinfo=zone).astimezone(zone) if found.tzinfo is None else found.astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return None


def _first(kind: str, lines: list[Mapping[str, Any]], usable: Any) -> str | None:
    """The first of the names that some lines have with a value that can be used; at the top, or one level below."""
    needed = max(1, len(lines) // 100)
    for name in NAMES[kind]:
        hits: dict[str, int] = {}
        for line in lines:
            places = (name, *(f"{outer}.{name}" for outer, inner in line.items() if isinstance(inner, Mapping)))
            for place in places:
                value = look(line, place)
                if value is not None and usable(value):
                    hits[place] = hits.get(place, 0) + 1
                    break
        best = max(hits, key=lambda place: hits[place], default=None)
        if best is not None and hits[best] >= (1 if kind == "error" else needed):
            return best
    return None


def _unit(name: str | None) -> str:
    """The unit that a field's name ends in; seconds where it says nothing."""
    found = re.search(r"_(ns|us|ms|s|seconds)$", name or "")
    return found[1] if found else "s"
