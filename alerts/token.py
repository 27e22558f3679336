"""Cuts a template into tokens, exactly where Go's text/template cuts it: spaces matter, and a word must end cleanly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from alerts.quantity import TemplateError

Kind = Literal[
    "text", "open", "close", "space", "declare", "assign", "pipe", "string", "raw", "char", "number", "variable",
    "field", "dot", "word", "keyword", "mark", "end",
]  # fmt: skip

_KEYWORDS = frozenset(["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"])
_SPACE = " \t\r\n"
_STRING = re.compile(r'"(?:\\[^\n]|[^"\\\n])*"')
_RAW = re.compile(r"`[^`]*`")
_CHAR = re.compile(r"'(?:\\[^\n]|[^'\\\n])*'")
_DECIMAL = r"[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?"
_HEX = r"0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
_REAL = rf"[+-]?(?:{_HEX}|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|{_DECIMAL})i?"
_NUMBER = re.compile(rf"{_REAL}(?:[+-]{_REAL})?")
_SIMPLE: dict[str, Kind] = {"=": "assign", "|": "pipe", "(": "mark", ")": "mark"}


class Token(NamedTuple):
    """A piece of a template. A variable's, field's and keyword's ``text`` is as written, a string's with its quotes."""

    kind: Kind
    text: str


def tokens(template: str) -> Iterator[Token]:
    """The tokens, the last of which is ``end``. Raises :class:`TemplateError`."""
    return _Lexer(template).all()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def all(self) -> Iterator[Token]:
        trims = False
        while True:
            opens = self._text.find("{{", self._at)
            literal = self._text[self._at : opens if opens >= 0 else len(self._text)]
            literal = literal.lstrip(_SPACE) if trims else literal
            if opens < 0:
                if literal:
                    yield Token("text", literal)
                yield Token("end", "")
                return
            self._at = opens + 2
            if self._text.startswith("-", self._at) and self._peek(1) in _SPACE and self._peek(1):
                literal = literal.rstrip(_SPACE)
                self._at += 2
            if literal:
                yield Token("text", literal)
            if self._text.startswith("/*", self._at):
                trims = self._comment()
            else:
                yield Token("open", "{{")
                yield from self._action()
                trims = self._trimmed
                yield Token("close", "}}")

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _comment(self) -> bool:
        end = self._text.find("*/", self._at)
        if end < 0:
            raise TemplateError("a comment is never closed")
        self._at = end + 2
        if not self._closes():
            raise TemplateError("a comment ends before its closing '}}'")
        return self._trimmed

    def _closes(self) -> bool:
        """Whether the action ends here; if so, step over its end and note whether it trims what follows."""
        if self._text.startswith("}}", self._at):
            self._trimmed, self._at = False, self._at + 2
            return True
        if self._peek() and self._peek() in _SPACE and self._text.startswith("-}}", self._at + 1):
            self._trimmed, self._at = True, self._at + 4
            return True
        return False

    def _action(self) -> Iterator[Token]:
        depth = 0
        while True:
            if self._text.startswith("}}", self._at) or self._ends_trimmed():
                if depth:
                    raise TemplateError("'(' is never closed")
                self._closes()
                return
            token = self._token()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if depth < 0:
                raise TemplateError("unexpected ')'")
            yield token

    def _ends_trimmed(self) -> bool:
        return bool(self._peek()) and self._peek() in _SPACE and self._text.startswith("-}}", self._at + 1)

    def _token(self) -> Token:
        first = self._peek()
        if not first:
            raise TemplateError("'{{' is never closed by '}}'")
        if first in _SPACE:
            start = self._at
            while self._peek() and self._peek() in _SPACE and not (self._ends_trimmed() and self._at > start):
                self._at += 1
            return Token("space", " ")
        if first in _SIMPLE:
            self._at += 1
            return Token(_SIMPLE[first], first)
        if first == ":":
            if self._peek(1) != "=":
                raise TemplateError("':' must be followed by '='")
            self._at += 2
            return Token("declare", ":=")
        if first in "\"`'":
            return self._quoted(first)
        if first == "$":
            return self._named("variable")
        if first == "." and not ("0" <= (self._peek(1) or "x") <= "9"):
            return self._named("field")
        if first in "+-." or "0" <= first <= "9":
            return self._number()
        if _is_word(first):
            return self._word()
        if first.isascii() and first.isprintable():
            self._at += 1
            return Token("mark", first)
        raise TemplateError(f"unexpected {first!r}")

    def _quoted(self, quote: str) -> Token:
        pattern, kind = {'"': (_STRING, "string"), "`": (_RAW, "raw"), "'": (_CHAR, "char")}[quote]
        found = pattern.match(self._text, self._at)
        if found is None:
            raise TemplateError(f"{quote} is never closed")
        self._at = found.end()
        return Token(kind, found[0])  # type: ignore[arg-type]

    def _number(self) -> Token:
        found = _NUMBER.match(self._text, self._at)
        end = self._at if found is None else found.end()
        if end == self._at or _is_word(self._text[end : end + 1]):
            raise TemplateError(f"{self._text[self._at : end + 1]!r} is not a number")
        text = self._text[self._at : end]
        self._at = end
        return Token("number", text)

    def _run(self) -> str:
        start = self._at
        while _is_word(self._peek()):
            self._at += 1
        return self._text[start : self._at]

    def _named(self, kind: Kind) -> Token:
        """A ``$variable`` or a ``.field``; alone, the sign is the variable ``$`` or the dot."""
        sign = self._peek()
        self._at += 1
        if self._at_end_of_word():
            return Token("variable" if sign == "$" else "dot", sign)
        name = self._run()
        self._check_end()
        return Token(kind, sign + name)

    def _word(self) -> Token:
        word = self._run()
        self._check_end()
        return Token("keyword" if word in _KEYWORDS else "word", word)

    def _at_end_of_word(self) -> bool:
        following = self._peek()
        return not following or following in _SPACE + ".,|:()" or self._text.startswith("}}", self._at)

    def _check_end(self) -> None:
        if not self._at_end_of_word():
            raise TemplateError(f"unexpected {self._peek()!r}")

    _trimmed = False


def _is_word(character: str) -> bool:
    return bool(character) and (character == "_" or character.isalpha() or character.isdecimal())
