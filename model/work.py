"""One input on its way through the queue, and the hand-over of its result from the model thread to the request's."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

from pause import make_bell

Phase = Literal["waiting", "running", "settled", "dropped"]


class Work:
    """One decoded input. Times are seconds of the queue's clock; ``rank`` is a place in ``terms.PRIORITIES``.

    The request thread makes it, offers it and waits on it; the model thread settles it exactly once.
    """

    __slots__ = (
        "_bell",
        "bucket",
        "deadline",
        "enqueued",
        "error",
        "finished",
        "gone",
        "input",
        "instance",
        "phase",
        "rank",
        "request_id",
        "result",
        "started",
    )

    def __init__(
        self, input: Any, deadline: float, request_id: str = "", *, rank: int = 1, bucket: Hashable = None
    ) -> None:
        self.input = input
        self.deadline = deadline
        self.request_id = request_id
        self.rank = rank
        self.bucket = bucket
        self.enqueued = 0.0
        self.started: float | None = None
        self.finished: float | None = None
        self.phase: Phase = "waiting"
        #: Whether the caller has hung up.
        self.gone = False
        self.result: Any = None
        self.error: Exception | None = None
        #: What decoded the input; then what produced the result, with which the request thread encodes it.
        self.instance: Any = None
        self._bell = make_bell()

    @property
    def settled(self) -> bool:
        """Whether a result or an error is there."""
        return self.phase == "settled"

    def succeed(self, result: Any, instance: Any, now: float) -> None:
        """Hand the result to the waiting request."""
        self.result, self.instance = result, instance
        self._settle(now)

    def fail(self, error: Exception, now: float) -> None:
        """Hand the error to the waiting request."""
        self.error = error
        self._settle(now)

    def hang_up(self) -> None:
        """Nobody wants the result any more: let the waiting request go."""
        self.gone = True
        self._bell.ring()

    def wait(self, timeout_seconds: float) -> bool:
        """Block until settled, or the caller has gone, or the time is over; ``True`` when settled. For one thread."""
        if not self.settled and not self.gone:
            self._bell.wait(timeout_seconds)
        return self.settled

    def _settle(self, now: float) -> None:
        self.finished = now
        self.input = None  # a decoded image may be large, and a late request thread may hold on to the work
        self.phase = "settled"
        self._bell.ring()
