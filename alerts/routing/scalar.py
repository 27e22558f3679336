"""The values of a routing file's fields, each read as Go's YAML reader and Alertmanager read it."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

from alerts.duration import parse_duration
from alerts.routing.calendar import TimeInterval
from alerts.routing.text import Quoted
from alerts.silencing.matching import LabelMatcher, is_label_name, parse_matchers

_TRUTHS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_GO_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
#: What stands for an address that Alertmanager itself has printed.
_REDACTED = "<secret>"


class Section(BaseModel):
    """A mapping of a routing file: no field but those known; a field that is null is not given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, entry: Any) -> Any:
        if not isinstance(entry, dict):
            raise ValueError("must be a mapping")
        return {name: value for name, value in entry.items() if value is not None}


def _truth(entry: Any) -> bool:
    if isinstance(entry, Quoted) or not isinstance(entry, str) or entry not in _TRUTHS:
        raise ValueError("must be true or false")
    return _TRUTHS[entry]


def _whole(entry: Any) -> int:
    if isinstance(entry, Quoted) or not isinstance(entry, str) or not re.fullmatch(r"[+-]?[0-9]{1,18}", entry):
        raise ValueError("must be a whole number")
    return int(entry)


def _count(entry: Any) -> int:
    number = _whole(entry)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _milliseconds(entry: Any) -> int:
    if not isinstance(entry, str):
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    return round(parse_duration(entry) * 1000)


def _span(entry: Any) -> int:
    milliseconds = _milliseconds(entry)
    if milliseconds == 0:
        raise ValueError("cannot be zero")
    return milliseconds


def _go_duration(entry: Any) -> str:
    if not isinstance(entry, str) or not _GO_DURATION.fullmatch(entry):
        raise ValueError("must be a duration such as 30s, 5m or 1.5h")
    return entry


def _label_name(entry: str) -> str:
    if not is_label_name(entry):
        raise ValueError(f"{entry!r} is not a valid label name")
    return entry


def _web_address(entry: SecretStr) -> SecretStr:
    """An http address with a host; the message never quotes it, for it may hold a key."""
    text = entry.get_secret_value()
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not an address that can be read") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if not parts.netloc:
        raise ValueError("has no host")
    if not parts.hostname or re.search(r"[\s<>\"{}|\\^`]", parts.netloc) or re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("has a host or a path that cannot be")
    return entry


def _secret_address(entry: SecretStr) -> SecretStr:
    return entry if entry.get_secret_value() == _REDACTED else _web_address(entry)


def _host_port(entry: str) -> str:
    if not entry:
        return entry
    match = re.fullmatch(r"(?:\[[^\[\]]*\]|[^:\[\]]*):([^:\[\]]*)", entry)
    if match is None:
        raise ValueError("must be HOST:PORT")
    if not match[1]:
        raise ValueError("the port cannot be empty")
    return entry


def _matchers(entry: Any) -> tuple[LabelMatcher, ...]:
    if not isinstance(entry, list) or not all(item is None or isinstance(item, str) for item in entry):
        raise ValueError("must be a list of matchers such as 'severity=\"critical\"'")
    found = [matcher for item in entry for matcher in parse_matchers(item or "")]
    return tuple(found)


def _equalities(entry: Any) -> tuple[LabelMatcher, ...]:
    return tuple(LabelMatcher(name, value or "") for name, value in _pairs(entry).items())


def _regexes(entry: Any) -> tuple[LabelMatcher, ...]:
    pairs = _pairs(entry)
    for name, value in pairs.items():
        if value is None:
            raise ValueError(f"invalid regexp value for {name!r}")
    # Written as Alertmanager holds them, for they are part of the name of a group.
    return tuple(LabelMatcher(name, f"^(?:{value})$", is_regex=True) for name, value in pairs.items())


def _pairs(entry: Any) -> dict[str, str | None]:
    if not isinstance(entry, dict):
        raise ValueError("must be a mapping of labels to values")
    for name, value in entry.items():
        _label_name(str(name))
        if value is not None and not isinstance(value, str):
            raise ValueError(f"the value of {name!r} must be text")
    return {str(name): value for name, value in entry.items()}


def _intervals(entry: Any) -> tuple[TimeInterval, ...]:
    if not isinstance(entry, list):
        raise ValueError("must be a list")
    return tuple(TimeInterval.parse({} if item is None else item) for item in entry)


Truth = Annotated[bool, BeforeValidator(_truth)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_count)]
#: A duration as Prometheus writes it, in milliseconds; a Span is not zero.
Milliseconds = Annotated[int, BeforeValidator(_milliseconds)]
Span = Annotated[int, BeforeValidator(_span)]
GoDuration = Annotated[str, BeforeValidator(_go_duration)]
LabelName = Annotated[str, AfterValidator(_label_name)]
#: An address of the web. All are held as secrets: a hook's address is its key.
WebAddress = Annotated[SecretStr, AfterValidator(_web_address)]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
HostPort = Annotated[str, AfterValidator(_host_port)]
Matchers = Annotated[tuple[LabelMatcher, ...], BeforeValidator(_matchers)]
Equalities = Annotated[tuple[LabelMatcher, ...], BeforeValidator(_equalities)]
Regexes = Annotated[tuple[LabelMatcher, ...], BeforeValidator(_regexes)]
Intervals = Annotated[tuple[TimeInterval, ...], BeforeValidator(_intervals)]
