"""Two answers of ``query_range`` side by side: the same series, the same moments, the same values?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

#: Relative: both add in another order.
TOLERANCE = 1e-9

Points = dict[float, float]


@dataclass
class Difference:
    """What was found. ``worst`` is the largest relative difference of two values at the same moment."""

    series: int = 0
    points: int = 0
    alone_ours: int = 0  #: points that only the first answer has
    alone_theirs: int = 0
    other: int = 0  #: points whose values differ by more than TOLERANCE
    worst: float = 0.0
    example: str = ""

    @property
    def same(self) -> bool:
        return not (self.alone_ours or self.alone_theirs or self.other)

    def __str__(self) -> str:
        size = f"{self.series} series, {self.points} points"
        if self.same:
            return f"{size}: the same, to {self.worst:.0e}"
        return (
            f"{size}: {self.other} differ (by up to {self.worst:.1e}), {self.alone_ours} only ours,"
            f" {self.alone_theirs} only theirs, e.g. {self.example}"
        )


def compare(ours: bytes, theirs: bytes) -> Difference:
    """Compare two bodies, point by point. Raises ``ValueError`` for what is no matrix."""
    left, right = _matrix(ours), _matrix(theirs)
    found = Difference(series=len(left.keys() | right.keys()))
    for labels in sorted(left.keys() | right.keys()):
        _compare_points(found, labels, left.get(labels, {}), right.get(labels, {}))
    return found


def _compare_points(found: Difference, labels: str, left: Points, right: Points) -> None:
    for moment in sorted(left.keys() | right.keys()):
        found.points += 1
        mine, other = left.get(moment), right.get(moment)
        if mine is None or other is None:
            found.alone_ours += mine is not None
            found.alone_theirs += other is not None
        else:
            apart = relative(mine, other)
            found.worst = max(found.worst, apart)
            if apart <= TOLERANCE:
                continue
            found.other += 1
        found.example = found.example or f"{labels} at {moment:.3f}: {mine} and {other}"


def relative(left: float, right: float) -> float:
    """How far apart, as a share of the larger; 0 for two NaN or the same infinity."""
    if left == right or (math.isnan(left) and math.isnan(right)):
        return 0.0
    if not (math.isfinite(left) and math.isfinite(right)):
        return math.inf
    return abs(left - right) / max(abs(left), abs(right))


def _matrix(body: bytes) -> dict[str, Points]:
    """Points by moment of each series by its labels."""
    said: dict[str, Any] = orjson.loads(body)
    if said.get("status") != "success" or said["data"]["resultType"] != "matrix":
        raise ValueError(f"no matrix: {body[:200]!r}")
    return {
        orjson.dumps(one["metric"], option=orjson.OPT_SORT_KEYS).decode(): {
            round(float(moment), 3): float(value) for moment, value in one["values"]
        }
        for one in said["data"]["result"]
    }
