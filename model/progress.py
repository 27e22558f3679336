"""What the model thread is doing, since when, and how fast it has been lately."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

#: Weight of the newest batch in the running mean of batch durations.
_RECENT = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One call into the model: a forward pass over ``size`` inputs (``batch``) or a health ``check``."""

    what: str
    size: int
    since: float


class Progress:
    """Written by the model thread alone, read by any: every field is replaced whole, so readers need no lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.run: Run | None = None
        #: When anything last ended, and when a request's forward pass last succeeded.
        self.last_end: float | None = None
        self.last_success: float | None = None
        self._mean_seconds: float | None = None

    @property
    def in_flight(self) -> int:
        """Inputs of requests in the forward pass that runs now."""
        run = self.run
        return run.size if run is not None and run.what == "batch" else 0

    def begin(self, what: str, size: int) -> None:
        """A call into the model starts."""
        self.run = Run(what, size, self._clock())

    def end(self, *, success: bool) -> None:
        """The call ended; a successful batch feeds the pace."""
        run, now = self.run, self._clock()
        self.run, self.last_end = None, now
        if run is None or run.what != "batch" or not success:
            return
        self.last_success = now
        seconds = now - run.since
        self._mean_seconds = (
            seconds if self._mean_seconds is None else self._mean_seconds + _RECENT * (seconds - self._mean_seconds)
        )

    def running_seconds(self) -> float | None:
        """How long the current call has run."""
        run = self.run
        return None if run is None else self._clock() - run.since

    def age(self, oldest_waiting: float | None) -> float | None:
        """Seconds that pending work (running or waiting) has seen no progress; ``None`` while nothing is pending."""
        run = self.run
        pending = [moment for moment in (oldest_waiting, run.since if run else None) if moment is not None]
        if not pending:
            return None
        return max(0.0, self._clock() - max(min(pending), self.last_end or -math.inf))

    def drain_seconds(self, waiting: int, batch_size: int) -> float:
        """How long the queue as it stands will take, in whole seconds, at least 1: the honest ``Retry-After``."""
        batches = math.ceil(waiting / batch_size) + (1 if self.run else 0)
        return float(max(1, math.ceil(batches * (self._mean_seconds or 0.0))))
