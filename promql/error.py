"""The room's one error."""

from __future__ import annotations

from typing import Literal

ErrorKind = Literal["bad_data", "execution", "timeout", "unsupported"]


class QueryError(Exception):
    """A query that has no answer; the message is written for the person who typed it.

    ``kind`` says whose fault it is: ``bad_data`` (the text or the times), ``execution`` (the data do not fit the query,
    or a limit was reached), ``timeout``, ``unsupported`` (valid PromQL that is refused by name).
    ``permanent`` is false where the same query may succeed later.
    """

    def __init__(self, message: str, kind: ErrorKind = "bad_data") -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.permanent = kind != "timeout"
