"""The functions that annotation templates may call, and how a value is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from alerts.humanize import (
    general,
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    shortest,
    special,
)

#: What a template computes with: text, numbers, truth, label sets, nothing, and the context that ``.`` begins as.
Value: TypeAlias = Any

#: The widest field printf makes; it keeps a slip like ``%999999999d`` from taking all memory.
MAX_WIDTH = 200


class TemplateError(Exception):
    """A template that cannot be read or expanded; the message says what is wrong with it."""


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


def is_true(value: Value) -> bool:
    """Go's truth: the zero of every kind is false; NaN is not zero."""
    return bool(value)


def show(value: Value) -> str:
    """A value as a template writes it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{value[name]}' for name in sorted(value))}]"
    if isinstance(value, str | int):
        return str(value)
    raise TemplateError("'.' has no text; name one of its fields")


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TemplateError(f"{show(value)!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise TemplateError(f"{value!r} is not a number") from error


def _of_number(function: Callable[[float], str]) -> Callable[[Value], str]:
    return lambda value: function(_number(value))


def _of_text(function: Callable[[str], str]) -> Callable[[Value], str]:
    def call(value: Value) -> str:
        if not isinstance(value, str):
            raise TemplateError(f"{show(value)!r} is not text")
        return function(value)

    return call


def _title(text: str) -> str:
    # str.title() would also raise the letter after an apostrophe.
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), text)


def _index(mapping: Value, key: Value) -> Value:
    if not isinstance(mapping, Mapping) or not isinstance(key, str):
        raise TemplateError("index needs a label set and a label's name")
    return mapping.get(key, "")


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def call(left: Value, right: Value) -> bool:
        both_text = isinstance(left, str) and isinstance(right, str)
        both_numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not (both_text or both_numbers):
            raise TemplateError(f"cannot compare {show(left)!r} with {show(right)!r}")
        return test(left, right)

    return call


def _any(*values: Value) -> Value:
    return next((value for value in values if is_true(value)), values[-1])


def _all(*values: Value) -> Value:
    return next((value for value in values if not is_true(value)), values[-1])


_VERB = re.compile(r"%([-+# 0]*)(\d{1,6})?(?:\.(\d{1,6})?)?([a-zA-Z%])?")


def printf(template: Value, *arguments: Value) -> str:
    """Go's Sprintf for the verbs v, s, q, d, f, F, e, g, t, x and ``%%``."""
    if not isinstance(template, str):
        raise TemplateError("printf's first argument must be text")
    rest = list(arguments)

    def replace(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if verb is None or verb not in _VERBS:
            raise TemplateError(f"printf does not know {match[0]!r}")
        if not rest:
            raise TemplateError(f"printf lacks a value for {match[0]!r}")
        digits = None if "." not in match[0] else int(precision or 0)
        if max(int(width or 0), digits or 0) > MAX_WIDTH:
            raise TemplateError(f"printf's {match[0]!r} is wider than {MAX_WIDTH}")
        text = _VERBS[verb](rest.pop(0), digits)
        if "+" in flags and verb in "dfFeg" and not text.startswith(("-", "+")):
            text = f"+{text}"
        return _pad(text, int(width or 0), flags)

    text = _VERB.sub(replace, template)
    if rest:
        raise TemplateError(f"printf has {len(rest)} value{'' if len(rest) == 1 else 's'} too many")
    return text


def _pad(text: str, width: int, flags: str) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and re.match(r"[-+]?\d", text):
        return text.zfill(width)
    return text.rjust(width)


def _quote(value: Value) -> str:
    text = show(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'


def _whole(value: Value, digits: int | None) -> str:
    number = _number(value)
    # Go would write %!d(float64=…) for a float; a person who wrote %d wants the number.
    return special(number) or str(math.trunc(number))


def _fixed(value: Value, digits: int | None) -> str:
    number = _number(value)
    return special(number) or f"{number:.{6 if digits is None else digits}f}"


def _exponent(value: Value, digits: int | None) -> str:
    number = _number(value)
    return special(number) or f"{number:.{6 if digits is None else digits}e}"


def _general(value: Value, digits: int | None) -> str:
    number = _number(value)
    return shortest(number) if digits is None else general(number, max(digits, 1))


def _text(value: Value, digits: int | None) -> str:
    text = show(value)
    return text if digits is None else text[:digits]


_VERBS: Mapping[str, Callable[[Value, int | None], str]] = {
    "v": lambda value, digits: _general(value, digits) if isinstance(value, float) else show(value),
    "s": _text,
    "q": lambda value, digits: _quote(value),
    "d": _whole,
    "f": _fixed,
    "F": _fixed,
    "e": _exponent,
    "g": _general,
    "t": lambda value, digits: show(is_true(value)),
    "x": lambda value, digits: f"{math.trunc(_finite(value)):x}",
}


def _finite(value: Value) -> float:
    number = _number(value)
    if not math.isfinite(number):
        raise TemplateError(f"{special(number)} is not a whole number")
    return number


FUNCTIONS: Mapping[str, tuple[Callable[..., Value], Arity]] = {
    "humanize": (_of_number(humanize), Arity(1, 1)),
    "humanize1024": (_of_number(humanize_1024), Arity(1, 1)),
    "humanizeDuration": (_of_number(humanize_duration), Arity(1, 1)),
    "humanizePercentage": (_of_number(humanize_percentage), Arity(1, 1)),
    "humanizeTimestamp": (_of_number(humanize_timestamp), Arity(1, 1)),
    "printf": (printf, Arity(1, None)),
    "title": (_of_text(_title), Arity(1, 1)),
    "toUpper": (_of_text(str.upper), Arity(1, 1)),
    "toLower": (_of_text(str.lower), Arity(1, 1)),
    "index": (_index, Arity(2, 2)),
    "eq": (_compare(lambda left, right: bool(left == right)), Arity(2, 2)),
    "ne": (_compare(lambda left, right: bool(left != right)), Arity(2, 2)),
    "lt": (_compare(lambda left, right: bool(left < right)), Arity(2, 2)),
    "le": (_compare(lambda left, right: bool(left <= right)), Arity(2, 2)),
    "gt": (_compare(lambda left, right: bool(left > right)), Arity(2, 2)),
    "ge": (_compare(lambda left, right: bool(left >= right)), Arity(2, 2)),
    "and": (_all, Arity(1, None)),
    "or": (_any, Arity(1, None)),
    "not": (lambda value: not is_true(value), Arity(1, 1)),
}
