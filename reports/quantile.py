"""Quantiles of a stream in bounded memory: exact for a million numbers, beyond that to a thousandth."""

from __future__ import annotations

import math
from array import array
from collections import Counter

#: Numbers that are kept as they are (8 bytes each), and by how much those of one bucket differ beyond that.
EXACT = 1_000_000
_ERROR = 0.001
_STEP = math.log1p(2 * _ERROR)
#: Smaller than this counts as this.
_LEAST = 1e-9


class Quantiles:
    """Takes numbers of 0 and more, one at a time."""

    def __init__(self, exact: int = EXACT) -> None:
        self._most = exact
        self._numbers = array("d")
        self._buckets: Counter[int] = Counter()
        self.count = 0

    def add(self, number: float) -> None:
        """One more."""
        self.count += 1
        if self._buckets:
            self._buckets[_bucket(number)] += 1
            return
        self._numbers.append(number)
        if len(self._numbers) > self._most:
            self._buckets.update(_bucket(one) for one in self._numbers)
            self._numbers = array("d")

    @property
    def exact(self) -> bool:
        """Whether what :meth:`at` gives is one of the numbers."""
        return not self._buckets

    def at(self, share: float) -> float | None:
        """The smallest number that ``share`` of all do not exceed (nearest rank); None without any."""
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count - 1e-9))
        if not self._buckets:
            return sorted(self._numbers)[rank - 1]
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return _LEAST * math.exp((bucket - 0.5) * _STEP) if bucket else 0.0
        return None


def _bucket(number: float) -> int:
    return 0 if number < _LEAST else 1 + int(math.log(number / _LEAST) / _STEP)
