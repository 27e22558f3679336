"""Which lines belong together: a traceback, a stack trace, whatever is indented under the line that it explains."""

from __future__ import annotations

import re
from typing import Protocol

import re2

#: Lines that go on with what stands before them, although they are not indented: tracebacks of Python and of Java.
_GOES_ON = re.compile(
    rb"Traceback \(most recent call last\)|During handling of the above exception|"
    rb"The above exception was the direct cause|Caused by: |Suppressed: "
)
_GOES_ON_BEGINNINGS = b"TDCS"
#: What ends a traceback of Python: ``torch.cuda.OutOfMemoryError: CUDA out of memory``, right below an indented line.
_EXCEPTION = re.compile(rb"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:: |:?\r?$)")
_INDENTED = b" \t"


class Rule(Protocol):
    """How lines are told that continue an entry."""

    def __call__(self, line: bytes, previous: bytes) -> bool:
        """Whether ``line`` continues the entry that ``previous`` is a line of."""
        ...


def goes_on(line: bytes, previous: bytes) -> bool:
    """The automatic rule: indented and empty lines, and those that tracebacks have."""
    first = line[:1]
    if first in _INDENTED or line == b"\r":  # an empty line as well
        return True
    if first in _GOES_ON_BEGINNINGS and _GOES_ON.match(line):
        return True
    return previous[:1] in _INDENTED and bool(previous.strip()) and _EXCEPTION.match(line) is not None


class Begins:
    """An entry begins with a line in which an expression is found; whatever follows continues it."""

    def __init__(self, expression: str) -> None:
        """Raises ``re2.error`` when it is none."""
        options = re2.Options()
        options.log_errors = False
        self._begins = re2.compile(expression, options)

    def __call__(self, line: bytes, previous: bytes) -> bool:
        return self._begins.search(line.decode("utf-8", "replace")) is None


def rule(expression: str | None) -> Rule:
    """The rule for a setting."""
    return goes_on if expression is None else Begins(expression)
