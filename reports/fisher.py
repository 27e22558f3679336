"""Whether a share among some differs from the share among others by more than chance: exact, without tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: What is as likely as what was seen, up to rounding, counts as such (as in R and scipy).
_SLACK = 1e-7


def fisher_exact(hits: int, count: int, other_hits: int, other_count: int) -> float:
    """Two-sided p-value of Fisher's exact test for ``hits`` of ``count`` against ``other_hits`` of ``other_count``."""
    total, drawn = count + other_count, hits + other_hits
    least, most = max(0, drawn - other_count), min(drawn, count)
    if least == most:
        return 1.0
    logs = _log_factorials(total)
    numbers = np.arange(least, most + 1)
    rest = drawn - numbers
    ways = -logs[numbers] - logs[count - numbers] - logs[rest] - logs[other_count - rest]
    ways -= ways.max()
    chances = np.exp(ways)
    seen = ways[hits - least]
    return float(min(1.0, chances[ways <= seen + _SLACK].sum() / chances.sum()))


def benjamini_hochberg(values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of many p-values mean something, so that of those that are said to at most ``rate`` are chance."""
    if not values:
        return []
    order = np.argsort(values, kind="stable")
    ranked = np.asarray(values, dtype=float)[order]
    passed = np.flatnonzero(ranked <= rate * np.arange(1, len(values) + 1) / len(values))
    found = np.zeros(len(values), dtype=bool)
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return [bool(one) for one in found]


@lru_cache(maxsize=4)
def _log_factorials(most: int) -> NDArray[np.float64]:
    """Logarithms of 0! to ``most``!."""
    logs = np.zeros(most + 1)
    if most > 1:
        logs[2:] = np.cumsum(np.log(np.arange(2, most + 1, dtype=float)))
    return logs
