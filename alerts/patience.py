"""What a rule says beyond Prometheus about when its alerts fire and end.

It says so in annotations, so that promtool takes the file. They are constant text, change no alert's labels, and are
not shown to people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from promql import Query, QueryError, parse

#: Annotations whose names begin so are meant for Wakeless and appear in no notice.
HIDDEN_PREFIX = "wakeless_"

HOLD = "wakeless_hold"
IN_A_ROW = "wakeless_in_a_row"
NO_DATA = "wakeless_no_data"

NoData = Literal["resolve", "keep", "alert"]
_NO_DATA: tuple[NoData, ...] = ("resolve", "keep", "alert")
_MOST_IN_A_ROW = 1000


class PatienceError(ValueError):
    """An annotation with a value that it does not take."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A rule's own ways.

    ``hold``: once an alert fires, it keeps firing while this yields its labels: a threshold of its own for recovery.
    ``in_a_row``: evaluations in a row that must hold before an alert fires, beside ``for``.
    ``no_data``: what happens where the rule's selectors find no sample at all: its alerts *resolve*, as in Prometheus;
    firing ones are *kept*; or that is an *alert* by itself.
    """

    hold: Query | None = None
    in_a_row: int = 1
    no_data: NoData = "resolve"

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Patience:
        """What a rule's annotations say. Raises :class:`PatienceError`, which names the annotation."""
        for name in annotations:
            if name.startswith(HIDDEN_PREFIX) and name not in (HOLD, IN_A_ROW, NO_DATA):
                raise PatienceError(f"annotation {name!r} is not known; there are: {HOLD}, {IN_A_ROW}, {NO_DATA}")
        return cls(
            hold=_query(annotations[HOLD]) if HOLD in annotations else None,
            in_a_row=_count(annotations[IN_A_ROW]) if IN_A_ROW in annotations else 1,
            no_data=_policy(annotations[NO_DATA]) if NO_DATA in annotations else "resolve",
        )


def _query(text: str) -> Query:
    try:
        return parse(text)
    except QueryError as error:
        raise PatienceError(f"annotation {HOLD!r}: expression: {error}") from None


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST_IN_A_ROW and len(text) < 9:
        return int(text)
    raise PatienceError(f"annotation {IN_A_ROW!r} must be a whole number from 1 to {_MOST_IN_A_ROW}, not {text!r}")


def _policy(text: str) -> NoData:
    for policy in _NO_DATA:
        if policy == text:
            return policy
    raise PatienceError(f"annotation {NO_DATA!r} must be one of {', '.join(_NO_DATA)}, not {text!r}")
