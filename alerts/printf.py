"""Go's Sprintf, as far as templates use it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from alerts.humanize import general, shortest, special
from alerts.quantity import TemplateError, Value, as_number, is_true, show

#: The widest field printf makes; it keeps a slip like ``%999999999d`` from taking all memory.
MAX_WIDTH = 200

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
    number = as_number(value)
    # Go would write %!d(float64=…) for a float; a person who wrote %d wants the number.
    return special(number) or str(math.trunc(number))


def _fixed(value: Value, digits: int | None) -> str:
    number = as_number(value)
    return special(number) or f"{number:.{6 if digits is None else digits}f}"


def _exponent(value: Value, digits: int | None) -> str:
    number = as_number(value)
    return special(number) or f"{number:.{6 if digits is None else digits}e}"


def _general(value: Value, digits: int | None) -> str:
    number = as_number(value)
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
    number = as_number(value)
    if not math.isfinite(number):
        raise TemplateError(f"{special(number)} is not a whole number")
    return number
