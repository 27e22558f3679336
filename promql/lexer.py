"""Cuts a query into tokens, within limits. What cannot be a token becomes one of kind ``error``, so that the parser
complains about whatever stands first in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from promql.error import QueryError, Span, short

#: Bytes of UTF-8.
MAX_LENGTH = 16 * 1024
#: Operators and brackets, signs included.
MAX_OPERATORS = 500
#: Brackets of any kind inside each other.
MAX_NESTING = 100

Kind = Literal["word", "number", "duration", "string", "operator", "error", "end"]

_DIGITS = r"[0-9]+(?:_[0-9]+)*"


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
          (?P<space>[ \t\n\r]+|\#[^\n\r]*)
        | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
        | (?P<number>(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})
            (?:[eE][+-]?{_DIGITS})?)(?![0-9A-Za-z_.]))
        | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![0-9A-Za-z_.]))
        | (?P<malformed>\.?[0-9][0-9A-Za-z_.]*)
        | (?P<word>{word})
        | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^<>=,@:()\[\]{{}}])
        """,
        re.VERBOSE,
    )


_OUTSIDE = _pattern("[A-Za-z_:][A-Za-z0-9_:]*")
#: Inside square brackets a colon separates a range from its step; inside braces it has no business.
_INSIDE = _pattern("[A-Za-z_][A-Za-z0-9_]*")
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_NAMES = {"(": "left parenthesis", "[": "left bracket", ")": "right parenthesis", "]": "right bracket"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the query: its ``text`` as written (of an ``error``, the complaint) and where it stands."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        """Its place in the query."""
        return self.start, self.end

    @property
    def keyword(self) -> str:
        """A word in lower case, since keywords may be written in any; otherwise the text."""
        return self.text.lower() if self.kind == "word" else self.text


def tokens(text: str) -> list[Token]:
    """The tokens of ``text``; the last one is an ``error`` or the ``end``.

    Raises :class:`QueryError` (``bad_data``) for a text that is too long, too deep or no text at all.
    """
    _check_length(text)
    found: list[Token] = []
    operators = 0
    for token in _scan(text):
        found.append(token)
        if token.kind == "operator" or token.keyword in _WORD_OPERATORS:
            operators += token.text not in (",", ":")
        if operators > MAX_OPERATORS:
            raise QueryError(f"the query has more than {MAX_OPERATORS} operators and brackets", position=token.span)
    return found


def _scan(text: str) -> Iterator[Token]:
    at = 0
    brackets: list[str] = []
    while at < len(text):
        pattern = _INSIDE if brackets and brackets[-1] != "(" else _OUTSIDE
        match = pattern.match(text, at)
        if match is None:
            yield Token("error", _complaint(text, at, brackets), at, at + 1)
            return
        kind, token, start, at = match.lastgroup, match[0], at, match.end()
        if kind == "space":
            continue
        if kind == "malformed":
            yield Token("error", f'bad number or duration syntax: "{short(token)}"', start, at)
            return
        if kind == "operator" and (problem := _bracket(token, brackets)):
            yield Token("error", problem, start, at)
            return
        if len(brackets) > MAX_NESTING:
            raise QueryError(f"the query nests brackets more than {MAX_NESTING} deep", position=(start, at))
        yield Token(kind, token, start, at)  # type: ignore[arg-type]
    yield _end(len(text), brackets)


def _bracket(token: str, brackets: list[str]) -> str:
    """Follow an operator's effect on the open ``brackets``; gives the complaint, if there is one."""
    if "{" in brackets and token in ("{", "(", ")", "[", "]", "+", "-", "*", "/", "%", "^", "<", ">", "@", ":"):
        return "unexpected left brace '{'" if token == "{" else f"unexpected character inside braces: {quote(token)}"
    if token == "[" and "[" in brackets:
        return "unexpected left bracket '['"
    if token in ("=~", "!~") and "{" not in brackets:
        return f"unexpected character after {quote(token[0])}: {quote(token[1])}"
    if token in _CLOSES:
        brackets.append(token)
    elif token in _CLOSES.values():
        if not brackets or _CLOSES[brackets[-1]] != token:
            return f"unexpected {_NAMES[token]} {quote(token)}" if token != "}" else "unexpected character: '}'"
        brackets.pop()
    return ""


def _end(length: int, brackets: list[str]) -> Token:
    if not brackets:
        return Token("end", "", length, length)
    if brackets[-1] == "{":
        return Token("error", "unexpected end of input inside braces", length, length)
    return Token("error", f"unclosed {_NAMES[brackets[-1]]}", length, length)


def _complaint(text: str, at: int, brackets: list[str]) -> str:
    character = text[at]
    inside = " inside braces" if brackets and brackets[-1] == "{" else ""
    if character in "\"'":
        return "unterminated quoted string"
    if character == "`":
        return "unterminated raw string"
    if character == "!":
        after = quote(text[at + 1]) if at + 1 < len(text) else "end of input"
        return f"unexpected character after '!'{inside}: {after}"
    return f"unexpected character{inside}: {quote(character)}"


def quote(character: str) -> str:
    """A character between quotes, as something to read."""
    return f"'{character}'" if character.isprintable() else ascii(character)


def _check_length(text: str) -> None:
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryError("the query is not valid UTF-8", position=(error.start, error.end)) from None
    if length > MAX_LENGTH:
        raise QueryError(f"the query is {length} bytes long; at most {MAX_LENGTH} are allowed")
