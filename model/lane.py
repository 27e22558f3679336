"""What waits for the device, in the order in which it is to be served: by priority, age and bucket. Not thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence

from model.terms import PRIORITIES
from model.work import Work

# Ordered, and O(1) to remove from the middle: a request that gives up must not leave its place taken. A plain dict
# would grow slow at its front, where everything is taken from.
_Line = OrderedDict[Work, None]


class Lanes:
    """First in, first out within a priority; a lower one goes first only after it has waited for long.

    Every ``aging_seconds`` in here count as one priority more. Inputs of different buckets can be told apart, so that
    a batch holds those of one only. Everything here is O(1) in the number of works and of buckets.
    """

    def __init__(self, aging_seconds: float) -> None:
        self._aging = aging_seconds
        self._all: Sequence[_Line] = [OrderedDict() for _ in PRIORITIES]
        self._buckets: dict[Hashable, Sequence[_Line]] = {}

    def __len__(self) -> int:
        high, normal, low = self._all
        return len(high) + len(normal) + len(low)

    def __iter__(self) -> Iterator[Work]:
        return (work for line in self._all for work in line)

    def add(self, work: Work) -> int:
        """Put ``work`` at the end of its line; return how many of its bucket wait now."""
        lines = self._buckets.get(work.bucket)
        if lines is None:
            lines = self._buckets[work.bucket] = [OrderedDict() for _ in PRIORITIES]
        self._all[work.rank][work] = lines[work.rank][work] = None
        return self._size(lines)

    def discard(self, work: Work) -> None:
        """Take ``work`` out, wherever it stands; nothing happens if it is not here."""
        if work not in self._all[work.rank]:
            return
        del self._all[work.rank][work]
        lines = self._buckets[work.bucket]
        del lines[work.rank][work]
        if not self._size(lines):
            del self._buckets[work.bucket]

    def clear(self) -> list[Work]:
        """Empty all lanes; return what was in them."""
        found = list(self)
        for line in self._all:
            line.clear()
        self._buckets.clear()
        return found

    def lead(self, now: float) -> Work | None:
        """Whose turn it is."""
        return self._first(self._all, now)

    def lead_of(self, bucket: Hashable, now: float) -> Work | None:
        """Whose turn it is among those of one bucket."""
        lines = self._buckets.get(bucket)
        return None if lines is None else self._first(lines, now)

    def filled(self, size: int) -> Work | None:
        """The first of a bucket in which ``size`` wait, whose turn it may not be; O(buckets)."""
        for lines in self._buckets.values():
            if self._size(lines) >= size:
                return next(work for line in lines for work in line)
        return None

    def oldest(self) -> float | None:
        """When the longest waiting one came."""
        return min((next(iter(line)).enqueued for line in self._all if line), default=None)

    def ahead(self, rank: int) -> int:
        """How many would be served before a newcomer of this rank, leaving age aside."""
        return sum(len(line) for line in self._all[: rank + 1])

    def _first(self, lines: Sequence[_Line], now: float) -> Work | None:
        best, best_key = None, (0, 0.0)
        for rank, line in enumerate(lines):
            if line:
                work = next(iter(line))  # the oldest of its line, so none behind it has risen further
                key = (max(0, rank - int((now - work.enqueued) / self._aging)), work.enqueued)
                if best is None or key < best_key:
                    best, best_key = work, key
        return best

    @staticmethod
    def _size(lines: Sequence[_Line]) -> int:
        high, normal, low = lines
        return len(high) + len(normal) + len(low)
