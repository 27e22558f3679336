"""What one query may use: samples held at once, samples read in all, and time."""

from __future__ import annotations

import time

from promql.error import QueryError


class Budget:
    """Counts against three limits, and raises :class:`QueryError` when one is reached.

    ``max_held`` bounds memory: the values of all intermediate results that live at the same time, and the samples that
    are being worked on. ``max_read`` bounds work: every sample that the source hands over, whether it is kept or not.
    """

    def __init__(self, max_held: int, max_read: int, timeout_seconds: float | None = None) -> None:
        self.held = 0
        self._read = 0
        self._max_held = max_held
        self._max_read = max_read
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def read(self, samples: int) -> None:
        """Account for a series that has arrived; also looks at the clock."""
        self._read += samples
        if self._read > self._max_read:
            raise QueryError(
                f"the query reads more than {self._max_read} samples; narrow its range or its selectors", "execution"
            )
        if self.held + samples > self._max_held:
            self._refuse()
        self.check()

    def hold(self, samples: int) -> None:
        """Account for memory that is about to be used."""
        self.held += samples
        if self.held > self._max_held:
            self._refuse()

    def release(self, samples: int) -> None:
        """The reverse of :meth:`hold`."""
        self.held -= samples

    def check(self) -> None:
        """Raise when the time is over."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise QueryError("the query took too long", "timeout")

    def _refuse(self) -> None:
        raise QueryError(
            f"the query needs more than {self._max_held} samples at once; "
            "narrow its range or its selectors, or choose a longer step",
            "execution",
        )
