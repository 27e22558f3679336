"""What a script expects of an evaluation, and how its result differs from that."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from collectors.sample import Labels
from promql import Matrix, RawMatrix, Result, Scalar, String, Vector

#: How far a value may be from the expected one, as a share of it: what Prometheus' own runner allows.
TOLERANCE = 1e-6


class Expected(NamedTuple):
    """One line of an expected result."""

    labels: Labels
    values: list[float | None]


class Message(NamedTuple):
    """What an error or annotation must say: a ``text``, or a regular expression."""

    text: str
    is_regex: bool

    def fits(self, given: str) -> bool:
        """Whether ``given`` says it."""
        return bool(re.search(self.text, given)) if self.is_regex else self.text in given


@dataclass
class Case:
    """One ``eval`` with what is expected of it."""

    line: int
    query: str
    at: int | None
    span: tuple[int, int, int] | None
    flags: set[str] = field(default_factory=set)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)
    scalar: float | None = None
    string: str | None = None
    window: tuple[int, int, int] | None = None
    is_native: bool = False


def difference(case: Case, result: Result) -> str:
    match result:
        case Scalar(value):
            wanted = case.scalar
            return "" if wanted is not None and _close(wanted, value) else f"expected the scalar {wanted}"
        case String(text):
            return "" if text == case.string else f"expected the string {case.string!r}"
        case Vector(labels, values):
            pairs = [(one, [float(value)]) for one, value in zip(labels, values, strict=True)]
            rows: list[tuple[Labels, list[float | None]]] = list(pairs)  # type: ignore[arg-type]
        case Matrix():
            rows = [
                (one, [float(v) if there else None for v, there in zip(values, present, strict=True)])
                for one, values, present in zip(result.labels, result.values, result.present, strict=True)
            ]
        case RawMatrix(series):
            if case.window is None:
                return "a range vector, and none was expected"
            start, end, step = case.window
            rows = []
            for one in series:
                points = dict(zip(one.times.tolist(), one.values.tolist(), strict=True))
                if not set(points) <= set(range(start, end + 1, step)):
                    return f"samples between the expected steps: {points}"
                rows.append((one.labels, [points.get(moment) for moment in range(start, end + 1, step)]))
    return _difference_of_rows(case, rows)


def _difference_of_rows(case: Case, rows: list[tuple[Labels, list[float | None]]]) -> str:
    given = dict(rows)
    if len(given) != len(rows):
        return "two series with the same labels"
    wanted = {one.labels: one.values for one in case.expected}
    if "ordered" in case.flags and list(wanted) != list(given):
        return f"expected the order {list(wanted)}"
    if set(wanted) != set(given):
        return f"expected the series {sorted(wanted)}"
    for labels, values in wanted.items():
        padded = values + [None] * (len(given[labels]) - len(values))
        if len(padded) != len(given[labels]) or not all(map(_close, padded, given[labels])):
            return f"expected {values} for {labels}"
    return ""


def _close(wanted: float | None, value: float | None) -> bool:
    if wanted is None or value is None:
        return wanted is value
    if math.isnan(wanted) or math.isnan(value):
        return math.isnan(wanted) and math.isnan(value)
    difference = abs(wanted - value)
    return wanted == value or difference <= TOLERANCE * (abs(wanted) + abs(value)) / 2 or difference < 1e-300
