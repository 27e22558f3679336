"""Compares a version that has just been switched in with the one before: failures, and how long batches take."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict, deque
from collections.abc import Callable

#: Requests and batches (of like size) that are remembered of each version.
_REQUESTS = 1000
_BATCHES = 64
#: So many failures, and so large a share of the requests, are too many if the version before had less than half of it.
MIN_FAILURES = 5
MIN_SHARE = 0.1
#: So many batches of like size are needed of both, and so many seconds between their medians, to call one slower.
MIN_BATCHES = 16
MIN_SECONDS = 0.005


class _Record:
    """What one version has shown."""

    def __init__(self) -> None:
        self.failed: deque[bool] = deque(maxlen=_REQUESTS)
        self.seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_BATCHES))

    def failure_share(self) -> float:
        return sum(self.failed) / len(self.failed) if self.failed else 0.0


class Probation:
    """One at a time. ``latency_ratio`` 0: latency does not count. Any thread may call; time comes from ``clock``."""

    def __init__(self, seconds: float, latency_ratio: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._ratio = latency_ratio
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._before, self._now = _Record(), _Record()

    def begin(self) -> None:
        """Another version serves from now on; what was seen so far is what it is measured by."""
        with self._lock:
            self._before, self._now = self._now, _Record()
            self._began = self._clock()

    def end(self) -> None:
        """It is over, well or not; the version that serves now is measured from here on."""
        with self._lock:
            self._began = None
            self._before = _Record()

    def restart(self) -> None:
        """A version serves that needs no probation."""
        with self._lock:
            self._began = None
            self._before, self._now = _Record(), _Record()

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
            self._now.seconds[size.bit_length()].append(seconds)

    def figures(self) -> tuple[int, int]:
        """Requests of the version that serves now, and how many of them failed; the last 1000 at most."""
        with self._lock:
            return len(self._now.failed), sum(self._now.failed)

    def verdict(self) -> str | None:
        """Why the version should go, e.g. ``failures: 40% of 20 requests failed, 0% before``; ``None``: it may stay."""
        with self._lock:
            if self._began is None:
                return None
            return self._failing() or self._slow()

    def _failing(self) -> str | None:
        count, share, before = sum(self._now.failed), self._now.failure_share(), self._before.failure_share()
        if count < MIN_FAILURES or share < max(MIN_SHARE, 2 * before):
            return None
        return f"failures: {share:.0%} of {len(self._now.failed)} requests failed, {before:.0%} before"

    def _slow(self) -> str | None:
        medians = [
            (statistics.median(seconds), statistics.median(self._before.seconds[kind]))
            for kind, seconds in self._now.seconds.items()
            if min(len(seconds), len(self._before.seconds.get(kind, ()))) >= MIN_BATCHES
        ]
        if not self._ratio or not medians:
            return None
        now, before = (sum(column) for column in zip(*medians, strict=True))
        if now < self._ratio * before or now - before < MIN_SECONDS * len(medians):
            return None
        return f"latency: batches take {now / max(before, 1e-9):.1f} times as long as before"
