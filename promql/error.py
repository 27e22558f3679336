"""The room's one error, and how a place in a query is written."""

from __future__ import annotations

from typing import Literal, TypeAlias

ErrorKind = Literal["bad_data", "execution", "timeout", "unsupported"]
#: Where something stands in a query's text: its first character, and the one after its last.
Span: TypeAlias = tuple[int, int]
#: Characters of a query that a message repeats.
_SHOWN = 60


class QueryError(Exception):
    """A query that has no answer; the message is written for the person who typed it.

    ``kind`` says whose fault it is: ``bad_data`` (the text or the times), ``execution`` (the data do not fit the query,
    or a limit was reached), ``timeout``, ``unsupported`` (valid PromQL that is refused by name).
    ``permanent`` is false where the same query may succeed later. ``position`` is where in the text the trouble lies,
    in characters; None where it lies nowhere in particular.
    """

    def __init__(self, message: str, kind: ErrorKind = "bad_data", position: Span | None = None) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.permanent = kind != "timeout"
        self.position = position


def place(text: str, offset: int) -> str:
    """``line:column`` of a character, both counted from one."""
    return f"{text.count(chr(10), 0, offset) + 1}:{offset - text.rfind(chr(10), 0, offset)}"


def short(text: str) -> str:
    """The beginning of a text that somebody wrote, for a message."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def parse_error(text: str, span: Span, message: str) -> QueryError:
    """An error in the query's text, worded as Prometheus does: ``1:5: parse error: …``."""
    start = min(span[0], len(text))
    return QueryError(
        f"{place(text, start)}: parse error: {message}", position=(start, max(start, min(span[1], len(text))))
    )
