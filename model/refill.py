"""How full the next batch may become if one waits a moment: callers who wait for answers come back once they have them.

Without it, eight callers who ask again and again are served in batches of one and seven: the first to come back finds
the device idle and goes alone.
"""

from __future__ import annotations

#: Never longer, however long a batch takes: whoever is there already waits as well.
MAX_SECONDS = 0.05


class Refill:
    """Watches one queue's batches. ``share`` of a batch's time is spent on waiting for the next; 0 never waits."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._taken: float | None = None
        self._count = 0
        #: As many as wanted answers at once of late: there is nobody else to wait for. 0 where that was one.
        self.expected = 0
        #: Until when it is worth waiting for them.
        self.until = 0.0

    def taken(self, size: int, left: int, now: float) -> None:
        """A batch of ``size`` begins, and ``left`` stay in the queue."""
        self._taken, self._count = now, size + left

    def back(self, now: float) -> None:
        """The taker is back; if it was a batch that kept it, those in it are about to have their answers."""
        if self._taken is None:
            return
        self.expected = self._count if self._count > 1 else 0
        self.until = now + min(self._share * (now - self._taken), MAX_SECONDS)
        self._taken = None
