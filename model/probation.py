"""Compares a version that has just been switched in with the one before: failures, and how long batches take."""

from __future__ import annotations

import threading
from collections.abc import Callable

from model.logbook import Baseline
from model.track import Track


class Probation:
    """One at a time. ``latency_ratio`` 0: latency does not count. Any thread may call; time comes from ``clock``."""

    def __init__(self, seconds: float, latency_ratio: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._ratio = latency_ratio
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._before, self._now = Track(), Track()

    def begin(self, known: Baseline | None = None) -> Baseline:
        """Another version serves from now on; returns what it is measured by.

        That is what was seen so far, or in a new process, which has seen nothing, what the last one has ``known``.
        """
        with self._lock:
            self._before, self._now = Track(known) if known else self._now, Track()
            self._began = self._clock()
            return self._before.baseline()

    def end(self) -> None:
        """It is over, well or not; the version that serves now is measured from here on."""
        with self._lock:
            self._began = None
            self._before = Track()

    def restart(self) -> None:
        """A version serves that needs no probation."""
        with self._lock:
            self._began = None
            self._before, self._now = Track(), Track()

    @property
    def left_seconds(self) -> float | None:
        """How long it still goes, not below 0; ``None`` while there is none."""
        began = self._began
        return None if began is None else max(0.0, began + self._seconds - self._clock())

    @property
    def running(self) -> bool:
        """Whether a version is on probation."""
        left = self.left_seconds
        return left is not None and left > 0

    @property
    def over(self) -> bool:
        """Whether the time has passed without a reason to end it."""
        return self.left_seconds == 0

    def request(self, *, failed: bool) -> None:
        """The model answered a request of the version that serves now, or failed on it."""
        with self._lock:
            self._now.failed.append(failed)

    def batch(self, size: int, seconds: float) -> None:
        """A batch of ``size`` inputs took ``seconds``. Batches are compared with others of like size."""
        with self._lock:
            self._now.batch(size, seconds)

    def figures(self) -> tuple[int, int]:
        """Requests of the version that serves now, and how many of them failed; the last 1000 at most."""
        with self._lock:
            return len(self._now.failed), sum(self._now.failed)

    def verdict(self) -> str | None:
        """Why the version should go, e.g. ``failures: 40% of 20 requests failed, 0% before``; ``None``: it may stay."""
        with self._lock:
            return None if self._began is None else self._now.worse(self._before, self._ratio, "before")
