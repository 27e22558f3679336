"""Reads a query's tokens before the parser sees them: counts what could crash it, and keeps strings out of its hands.

``promql_parser`` ends the process on thousands of chained operators, takes ever longer per nested bracket, panics on
times it cannot represent, un-escapes raw strings, cuts fractions off offsets and compiles regular expressions with
another engine than ours. So the text is measured here first, and every string literal is replaced by a placeholder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from promql.error import QueryError

MAX_LENGTH = 16 * 1024
MAX_OPERATORS = 500
MAX_NESTING = 100
#: Seconds; about 3000 years, far beyond any history and safely inside what the parser can represent.
MAX_DURATION_SECONDS = 1e11

#: Starts a placeholder: a private-use character, which no identifier can hold.
_MARK = "\ue000"
_PLACEHOLDER = re.compile(_MARK + r"(\d+)\.")

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    | (?P<quote>["'`])
    | (?P<number>\.?[0-9](?:[eE][+-]?[0-9]|[0-9A-Za-z_.])*)
    | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^<>=])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_ZERO_DURATION = re.compile(r"0+(?:\.0*)?(?:ms|[smhdwy])?")
_PLAIN_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

_ESCAPE = re.compile(
    r"""\\(?:(?P<plain>[abfnrtv\\'"])|(?P<octal>[0-3][0-7]{2})|x(?P<hex>[0-9a-fA-F]{2})"""
    r"""|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.?))""",
    re.DOTALL,
)
_PLAIN_ESCAPES = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


@dataclass(frozen=True, slots=True)
class Guarded:
    """A measured query: ``text`` is safe to parse, ``strings`` holds what its placeholders stand for."""

    text: str
    strings: tuple[str, ...]
    words: frozenset[str]

    def restore(self, text: str) -> str:
        """Put the string literals back into ``text``: a matcher's value, a label's name or the parser's complaint."""
        if _MARK not in text:
            return text
        return _PLACEHOLDER.sub(lambda found: self.strings[int(found[1])], text)


def guard(text: str) -> Guarded:
    """Measure ``text`` and make it safe to parse; raises :class:`QueryError` (``bad_data``) for what is too much."""
    _check_length(text)
    pieces: list[str] = []
    strings: list[str] = []
    words: set[str] = set()
    operators = nesting = offset_at = 0
    square = False
    before = sign = ""  # the last token of weight before this one; the sign between an `offset` and its number
    for found in _TOKEN.finditer(text):
        kind, token = found.lastgroup, found[0]
        if kind in ("space", "comment"):
            pieces.append(" ")
            continue
        if kind == "string":
            pieces.append(f'"{_MARK}{len(strings)}."')
            strings.append(unquote(token))
        elif kind == "quote":
            raise QueryError(f"unterminated string at character {found.start() + 1}")
        elif kind == "number" and before == "offset":
            _append_offset(pieces, offset_at, token)
        else:
            if square:
                _check_duration(token.lstrip(":"))  # a subquery's step comes with its colon
            pieces.append(token)
        if kind == "word":
            words.add(token)
            offset_at = len(pieces) - 1
        if token in "[]":
            square = token == "["
        if kind == "open":
            nesting += 1
        elif kind == "close":
            nesting -= 1
        if kind in ("open", "close", "operator") or token.lower() in _WORD_OPERATORS:
            operators += 1
        if operators > MAX_OPERATORS:
            raise QueryError(f"the query has more than {MAX_OPERATORS} operators and brackets")
        if nesting > MAX_NESTING:
            raise QueryError(f"the query nests brackets more than {MAX_NESTING} deep")
        if before == "@" and token == "-":
            raise QueryError("a time after @ must not be negative")
        if token in "+-" and before == "offset" and not sign:
            sign = token
        else:
            before, sign = token.lower(), ""
    return Guarded("".join(pieces), tuple(strings), frozenset(words))


def unquote(literal: str) -> str:
    """The value of a quoted string, with Go's escapes; raw strings in back-ticks have none."""
    body = literal[1:-1]
    if literal[0] == "`" or "\\" not in body:
        return body
    try:
        return _ESCAPE.sub(_unescape, body).encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise QueryError("a string in the query is not valid UTF-8") from None


def _unescape(found: re.Match[str]) -> str:
    if plain := found["plain"]:
        return _PLAIN_ESCAPES[plain]
    if digits := found["octal"] or found["hex"]:
        byte = int(digits, 8 if found["octal"] else 16)
        return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)  # a raw byte, joined with its neighbours by `unquote`
    if digits := found["short"] or found["long"]:
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise QueryError(f"\\u{digits} in a string is not a character")
        return chr(code)
    raise QueryError(f"unknown escape sequence {found[0]!r} in a string")


def _check_length(text: str) -> None:
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise QueryError("the query is not valid UTF-8") from None
    if length > MAX_LENGTH:
        raise QueryError(f"the query is {length} bytes long; at most {MAX_LENGTH} are allowed")
    if _MARK in text:
        raise QueryError("the query holds a private-use character (U+E000)")


def _check_duration(token: str) -> None:
    """Refuse a range or step in plain seconds that would make the parser panic."""
    if _PLAIN_NUMBER.fullmatch(token) and float(token) > MAX_DURATION_SECONDS:
        raise QueryError(f"the duration {token[:30]} is out of range")


def _append_offset(pieces: list[str], offset_at: int, token: str) -> None:
    """Write an offset in plain seconds as a duration, which keeps its fraction; leave one of zero out altogether."""
    if _ZERO_DURATION.fullmatch(token):
        del pieces[offset_at:]
        return
    if _PLAIN_NUMBER.fullmatch(token):
        seconds = float(token)
        if seconds > MAX_DURATION_SECONDS:
            raise QueryError(f"the offset {token[:30]} is out of range")
        token = f"{round(seconds * 1000)}ms"
    pieces.append(token)
