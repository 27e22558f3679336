"""Reads a query's tokens one after another, and complains in their place."""

from __future__ import annotations

from typing import NoReturn

from promql.error import QueryError, Span, parse_error, short
from promql.lexer import Token, tokens
from promql.support import AGGREGATIONS, REFUSED_AGGREGATIONS

_KEYWORDS = frozenset(
    ["offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"]
)
_OPERATORS = frozenset(
    ["and", "or", "unless", "atan2", "+", "-", "*", "/", "%", "^", "==", "!=", "<=", "<", ">=", ">", "=~", "!~", "@"]
)


class Reader:
    """A cursor over the tokens of ``text``, and the complaints collected on the way."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0
        self._complaints: list[QueryError] = []
        self._doubts: list[QueryError] = []

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    @property
    def after(self) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    @property
    def end(self) -> int:
        """Where the last token taken ends."""
        return self._tokens[self._at - 1].end if self._at else 0

    def take(self) -> Token:
        """The next token, which is then behind us."""
        token = self.token
        if token.kind == "error":
            self.unexpected()
        self._at += token.kind != "end"
        return token

    def sees(self, *words: str) -> bool:
        """Whether the next token is one of these operators or keywords."""
        return self.token.kind in ("operator", "word") and self.token.keyword in words

    def took(self, word: str) -> bool:
        """Take the next token if it is this operator or keyword; tells whether it was."""
        seen = self.sees(word)
        self._at += seen
        return seen

    def expect(self, word: str, context: str = "", expected: str = "") -> Token:
        """Take the operator ``word``, or complain that ``expected`` was expected in ``context``."""
        if not self.sees(word):
            self.unexpected(context, expected)
        return self.take()

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """Complain about the next token."""
        if self.token.kind == "error":
            self.fail(self.token.span, self.token.text)
        inside = f" in {context}" if context else ""
        wanted = f", expected {expected}" if expected else ""
        self.fail(self.token.span, f"unexpected {describe(self.token, context)}{inside}{wanted}")

    def fail(self, span: Span, message: str) -> NoReturn:
        """Complain about a stretch of the text where nobody could read on; earlier complaints come first."""
        self.complain(span, message)
        raise self._complaints[0]

    def complain(self, span: Span, message: str) -> None:
        """Complain about a stretch of the text, and read on."""
        self._complaints.append(parse_error(self.text, span, message))

    def doubt(self, span: Span, message: str) -> None:
        """Complain about the meaning of a stretch of the text, unless there is anything wrong with its form."""
        self._doubts.append(parse_error(self.text, span, message))

    def refuse(self, span: Span, message: str) -> None:
        """Refuse something by name, and read on."""
        self._complaints.append(QueryError(message, "unsupported", span))

    def reject(self, span: Span, message: str) -> NoReturn:
        """Refuse something by name where nobody could read on."""
        self.refuse(span, message)
        raise self._complaints[0]

    def finish(self) -> None:
        """Make sure that nothing is left, and raise the first complaint or doubt, if there is any."""
        if self.token.kind != "end":
            self.unexpected()
        if self._complaints or self._doubts:
            raise (self._complaints or self._doubts)[0]


def describe(token: Token, context: str = "") -> str:
    """A token as something to read: ``<op:+>``, ``identifier "x"``, ``end of input``."""
    if token.kind == "end":
        return "end of input"
    word = token.keyword
    if token.kind == "word" and context == "label matching":  # inside braces no word is special
        return f'identifier "{short(token.text)}"'
    if word in _KEYWORDS:
        return f"<{word}>"
    if word in _OPERATORS:
        return f"<op:{word}>"
    if token.kind == "operator":
        return f'"{word}"'
    if token.kind == "word" and (word in AGGREGATIONS or word in REFUSED_AGGREGATIONS):
        return f"<aggr:{word}>"
    shown = short(token.text)
    if token.kind == "string":
        return f"string {shown}"
    kind = token.kind
    if kind == "word":
        kind_name = "number" if word in ("inf", "nan") else "metric identifier" if ":" in word else "identifier"
        return f'{kind_name} "{shown}"'
    return f'{kind} "{shown}"'
