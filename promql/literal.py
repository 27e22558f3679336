"""What literals mean: numbers, durations and strings, as Go reads them. Errors are ``ValueError`` with a sentence."""

from __future__ import annotations

import math
import re

from promql.error import short

#: What 64 bits of nanoseconds hold: 292 years, as in Prometheus.
MAX_DURATION_SECONDS = (2**63 - 1) / 1e9

_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in ["y", "w", "d", "h", "m(?!s)", "s", "ms"]))
_OCTAL = re.compile("0[0-7]+")
_ESCAPE = re.compile(
    r"""\\(?:(?P<plain>[abfnrtv\\'"])|(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})"""
    r"""|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.?))""",
    re.DOTALL,
)
_PLAIN_ESCAPES = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


def number(text: str) -> float:
    """A number literal: decimal, hexadecimal (``0x1F``), octal (``017``), ``1_000``, ``Inf`` and ``NaN``."""
    digits = text.replace("_", "")
    try:
        if digits[:2] in ("0x", "0X"):
            return float(int(digits, 16))
        if _OCTAL.fullmatch(digits):
            return float(int(digits, 8))
        value = float(digits)
    except OverflowError:
        value = math.inf
    if math.isinf(value) and digits[:1].isdigit():
        raise ValueError(f"error parsing number: {short(text)} is out of range")
    return value


def duration_ms(text: str) -> int:
    """A duration literal (``1h30m``, each unit at most once and from large to small) in milliseconds."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f'not a valid duration string: "{short(text)}"')
    total = 0
    for count, unit in zip(found.groups(), _UNITS.values(), strict=True):
        if count:
            total += int(count) * unit if len(count) < 20 else 1 << 64
    if total > MAX_DURATION_SECONDS * 1000:
        raise ValueError("duration out of range")
    return total


def seconds_to_ms(seconds: float) -> int:
    """A duration written as a plain number of seconds, in milliseconds."""
    if not abs(seconds) <= MAX_DURATION_SECONDS:
        raise ValueError("duration out of range")
    return round(seconds * 1000)


def unquote(literal: str) -> str:
    """The value of a quoted string, with Go's escapes; raw strings in back-ticks have none."""
    body = literal[1:-1]
    if literal[0] == "`" or "\\" not in body:
        return body
    mark = literal[0]

    def unescape(found: re.Match[str]) -> str:
        if plain := found["plain"]:
            if plain in "'\"" and plain != mark:
                raise ValueError(f"unknown escape sequence \\{plain} in a string between {mark}")
            return _PLAIN_ESCAPES[plain]
        if digits := found["octal"] or found["hex"]:
            byte = int(digits, 8 if found["octal"] else 16)
            if byte > 0xFF:
                raise ValueError("escape sequence is an invalid Unicode code point")
            return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)  # a raw byte, joined with its neighbours below
        if digits := found["short"] or found["long"]:
            code = int(digits, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise ValueError("escape sequence is an invalid Unicode code point")
            return chr(code)
        raise ValueError(f"unknown escape sequence {found[0]}")

    try:
        return _ESCAPE.sub(unescape, body).encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise ValueError("the string is not valid UTF-8") from None
