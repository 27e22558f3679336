"""Notices memory that every stretch of work leaves behind: the sign of a leak across requests."""

from __future__ import annotations

from dataclasses import dataclass

#: The lowest value of so many seconds is taken: what is in use only for the moment is not in it.
SEGMENT_SECONDS = 60.0
#: So many segments in which it grew are needed …
SEGMENTS = 6
#: … and a fall of this share of the growth so far ends the row.
_SLACK = 0.1


@dataclass(frozen=True, slots=True)
class Leak:
    """Memory that grew by ``bytes`` within ``seconds`` of work, and the level (bytes) that it has now."""

    bytes: int
    seconds: float
    level: int
    batches: int


class LeakDetector:
    """Fed with the memory in use and the number of batches so far; at least ``limit_bytes`` of steady growth is a leak.

    Growth while no batch runs is not the model's and does not count. One thread at a time may call.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.low: int | None = None  # of the last complete segment
        self.restart()

    def restart(self) -> None:
        """Forget the row so far: the model is a new one."""
        self._began: float | None = None
        self._lowest = 0
        self._batches = 0
        self._base: int | None = None
        self._grown = 0
        self._segments = 0
        self._worked = 0
        self.low = None

    def observe(self, now: float, memory: int, batches: int) -> Leak | None:
        """Note a value (bytes) at a moment (seconds); returns the leak when one has become plain, once."""
        if self._began is None:
            self._began, self._lowest, self._batches = now, memory, batches
            return None
        self._lowest = min(self._lowest, memory)
        if now - self._began < SEGMENT_SECONDS:
            return None
        low, work = self._lowest, batches - self._batches
        self._began, self._lowest, self._batches = now, memory, batches
        return self._judge(low, work)

    def _judge(self, low: int, work: int) -> Leak | None:
        before, self.low = self.low, low
        if before is None or work == 0:
            return None
        change = low - before
        if change < -_SLACK * self._grown:
            self._grown = self._segments = self._worked = 0
            return None
        self._grown += change
        self._segments += change > 0
        self._worked += work
        if self._segments < SEGMENTS or self._grown < self._limit:
            return None
        leak = Leak(self._grown, self._segments * SEGMENT_SECONDS, low, self._worked)
        self._grown = self._segments = self._worked = 0
        return leak
