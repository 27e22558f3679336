"""The functions that templates may call: Go's own, and those that Prometheus adds."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import orjson
import re2

from alerts.duration import parse_duration
from alerts.humanize import humanize, humanize_1024, humanize_duration, humanize_percentage, humanize_timestamp
from alerts.printf import printf
from alerts.quantity import Element, TemplateError, Value, as_number, is_true, show

__all__ = ["FUNCTIONS", "Arity", "TemplateError", "Value", "is_true", "show"]

#: Characters of a pattern that a template may bring.
MAX_PATTERN = 1000


class Arity(NamedTuple):
    """How many arguments a function takes; ``most`` None: any number."""

    least: int
    most: int | None

    def takes(self, count: int) -> bool:
        return count >= self.least and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least} arguments"
        return f"{self.least} argument{'' if self.least == 1 else 's'}"


def _of_number(function: Callable[[float], str]) -> Callable[[Value], str]:
    return lambda value: function(as_number(value))


def _of_text(function: Callable[[str], Value]) -> Callable[[Value], Value]:
    return lambda value: function(_text(value))


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"{show(value)!r} is not text")
    return value


def _title(text: str) -> str:
    # str.title() would also raise the letter after an apostrophe.
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), text)


# --- Go's own ----------------------------------------------------------------------------------------------------


def _index(collection: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(collection, Mapping) and isinstance(key, str):
            collection = collection.get(key, "")
        elif isinstance(collection, Sequence) and not isinstance(key, bool) and isinstance(key, int):
            if not 0 <= key < len(collection):
                raise TemplateError(f"index {key} is out of range")
            collection = ord(collection[key]) if isinstance(collection, str) else collection[key]
        else:
            raise TemplateError("index needs a label set and a label's name, or a list and a number")
    return collection


def _slice(collection: Value, *bounds: Value) -> Value:
    if not isinstance(collection, str | list) or not all(isinstance(bound, int) for bound in bounds):
        raise TemplateError("slice needs a text or a list, and whole numbers")
    low, high = (*bounds, 0)[0], bounds[1] if len(bounds) > 1 else len(collection)
    if not 0 <= low <= high <= len(collection):
        raise TemplateError("slice is out of range")
    return collection[low:high]


def _length(collection: Value) -> int:
    if isinstance(collection, str):
        return len(collection.encode())
    if isinstance(collection, Mapping | list):
        return len(collection)
    raise TemplateError("len needs a text, a list or a label set")


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def call(left: Value, right: Value) -> bool:
        both_text = isinstance(left, str) and isinstance(right, str)
        both_numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not (both_text or both_numbers):
            raise TemplateError(f"cannot compare {show(left)!r} with {show(right)!r}")
        return test(left, right)

    return call


def _equals(left: Value, *others: Value) -> bool:
    same = _compare(lambda one, other: bool(one == other))
    found = [same(left, other) for other in others]  # all of them: one that cannot be compared is a mistake
    return any(found)


def _print(*values: Value) -> str:
    """Go's Sprint: a space between two values of which neither is text."""
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(show(value))
    return "".join(parts)


def _call(*values: Value) -> Value:
    raise TemplateError("there is nothing that 'call' could call")


def _joined(escape: Callable[[str], str]) -> Callable[..., str]:
    return lambda *values: escape(_print(*values))


# --- Prometheus' -------------------------------------------------------------------------------------------------


def _first(found: Value) -> Element:
    if not isinstance(found, list):
        raise TemplateError("first needs what a query found")
    if not found:
        raise TemplateError("first() called on vector with no elements")
    return _element(found[0])


def _element(value: Value) -> Element:
    if not isinstance(value, Element):
        raise TemplateError(f"{show(value)!r} is not an element of a query's result")
    return value


def _sort_by_label(label: Value, found: Value) -> list[Value]:
    if not isinstance(found, list):
        raise TemplateError("sortByLabel needs what a query found")
    return sorted(found, key=lambda one: _element(one).labels.get(_text(label), ""))


def _pattern(text: Value) -> Any:
    if len(_text(text)) > MAX_PATTERN:
        raise TemplateError(f"a pattern is longer than {MAX_PATTERN} characters")
    try:
        return re2.compile(text)
    except re2.error as error:
        raise TemplateError(f"{text!r} is not a regular expression: {error}") from error


_GROUP = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


def _replace_all(pattern: Value, replacement: Value, text: Value) -> str:
    wanted = _text(replacement)

    def expand(match: Any) -> str:
        def group(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if not name:
                return "$"
            try:
                return match.group(int(name) if name.isdecimal() else name) or ""
            except (IndexError, KeyError):
                return ""

        return _GROUP.sub(group, wanted)

    return str(_pattern(pattern).sub(expand, _text(text)))


def _strip_port(text: str) -> str:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        return host if bracket and port.startswith(":") else text
    host, _, port = text.partition(":")
    return host if port and ":" not in port else text


def _strip_domain(text: str) -> str:
    host = _strip_port(text)
    if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]+", host) and ("." in host or ":" in host):
        return text  # an address has no domain
    return host.split(".")[0] + text.removeprefix(host)


def _to_time(value: Value) -> datetime | str:
    seconds = as_number(value)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        return show(seconds)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise TemplateError(str(error)) from error


def _explore(tab: int) -> Callable[[str], str]:
    return lambda expr: f"/graph?g0.expr={quote(expr, safe='')}&g0.tab={tab}"


class Server(NamedTuple):
    """A function that needs to know of this server: its name is looked up in the context when it is called."""

    name: str


_ONE, _ANY = Arity(1, 1), Arity(1, None)
FUNCTIONS: Mapping[str, tuple[Callable[..., Value] | Server, Arity]] = {
    # Go
    "and": (lambda *values: next((value for value in values if not is_true(value)), values[-1]), _ANY),
    "or": (lambda *values: next((value for value in values if is_true(value)), values[-1]), _ANY),
    "not": (lambda value: not is_true(value), _ONE),
    "eq": (_equals, Arity(2, None)),
    "ne": (_compare(lambda left, right: bool(left != right)), Arity(2, 2)),
    "lt": (_compare(lambda left, right: bool(left < right)), Arity(2, 2)),
    "le": (_compare(lambda left, right: bool(left <= right)), Arity(2, 2)),
    "gt": (_compare(lambda left, right: bool(left > right)), Arity(2, 2)),
    "ge": (_compare(lambda left, right: bool(left >= right)), Arity(2, 2)),
    "index": (_index, _ANY),
    "slice": (_slice, Arity(1, 3)),
    "len": (_length, _ONE),
    "print": (_print, Arity(0, None)),
    "println": (lambda *values: " ".join(map(show, values)) + "\n", Arity(0, None)),
    "printf": (printf, _ANY),
    "call": (_call, _ANY),
    "html": (_joined(lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")), _ANY),
    "js": (_joined(lambda text: orjson.dumps(text).decode()[1:-1].replace("'", "\\'")), _ANY),
    "urlquery": (_joined(quote_plus), _ANY),
    # Prometheus
    "query": (Server("query"), _ONE),
    "externalURL": (Server("external_url"), Arity(0, 0)),
    "pathPrefix": (Server("path_prefix"), Arity(0, 0)),
    "first": (_first, _ONE),
    "label": (lambda label, element: _element(element).labels.get(_text(label), ""), Arity(2, 2)),
    "value": (lambda element: _element(element).value, _ONE),
    "strvalue": (lambda element: _element(element).labels.get("__value__", ""), _ONE),
    "sortByLabel": (_sort_by_label, Arity(2, 2)),
    "args": (lambda *values: {f"arg{number}": value for number, value in enumerate(values)}, Arity(0, None)),
    "match": (lambda pattern, text: bool(_pattern(pattern).search(_text(text))), Arity(2, 2)),
    "reReplaceAll": (_replace_all, Arity(3, 3)),
    "safeHtml": (_of_text(str), _ONE),
    "title": (_of_text(_title), _ONE),
    "toUpper": (_of_text(str.upper), _ONE),
    "toLower": (_of_text(str.lower), _ONE),
    "stripPort": (_of_text(_strip_port), _ONE),
    "stripDomain": (_of_text(_strip_domain), _ONE),
    "graphLink": (_of_text(_explore(0)), _ONE),
    "tableLink": (_of_text(_explore(1)), _ONE),
    "humanize": (_of_number(humanize), _ONE),
    "humanize1024": (_of_number(humanize_1024), _ONE),
    "humanizeDuration": (_of_number(humanize_duration), _ONE),
    "humanizePercentage": (_of_number(humanize_percentage), _ONE),
    "humanizeTimestamp": (_of_number(humanize_timestamp), _ONE),
    "toTime": (_to_time, _ONE),
    "parseDuration": (_of_text(_duration), _ONE),
}
