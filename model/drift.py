"""Compares how long batches take with the best that this model has shown: a slow death has no error to notice it by."""

from __future__ import annotations

import statistics
import threading

#: The median of so many batches of like size makes one observation.
BLOCK = 32


class LatencyDrift:
    """Fed with every successful batch. Batches are compared with others of like size, by powers of two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._block: dict[int, list[float]] = {}
        self._best: dict[int, float] = {}
        self._now: dict[int, float] = {}

    def restart(self, *, keep_best: bool) -> None:
        """Something new serves: a fresh instance of the same version is measured against what the old one could do."""
        with self._lock:
            self._block.clear()
            self._now.clear()
            if not keep_best:
                self._best.clear()

    def observe(self, size: int, seconds: float) -> None:
        """One batch of ``size`` inputs took ``seconds``."""
        kind = size.bit_length()
        with self._lock:
            block = self._block.setdefault(kind, [])
            block.append(seconds)
            if len(block) < BLOCK:
                return
            median = statistics.median(block)
            block.clear()
            self._now[kind] = median
            self._best[kind] = min(median, self._best.get(kind, median))

    def ratio(self) -> float | None:
        """The latest medians over the best ones, 1 at best; the mean over sizes. ``None`` until there is a block."""
        with self._lock:
            ratios = [now / self._best[kind] for kind, now in self._now.items() if self._best[kind] > 0]
        return sum(ratios) / len(ratios) if ratios else None
