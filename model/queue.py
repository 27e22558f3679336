"""The one bounded queue before the model thread: batches by size and window, deadlines, and errands between batches."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Literal

from model.errors import DeadlineExceeded

#: Something else the model thread is to do: a health check, a switch of instances.
Errand = Callable[[], None]
Phase = Literal["waiting", "running", "settled", "dropped"]


class Work:
    """One decoded input on its way through the queue. Times are seconds of the queue's clock.

    The request thread makes it, offers it and waits on it; the model thread settles it exactly once.
    """

    __slots__ = (
        "_settled",
        "deadline",
        "enqueued",
        "error",
        "finished",
        "input",
        "instance",
        "phase",
        "request_id",
        "result",
        "started",
    )

    def __init__(self, input: Any, deadline: float, request_id: str = "") -> None:
        self.input = input
        self.deadline = deadline
        self.request_id = request_id
        self.enqueued = 0.0
        self.started: float | None = None
        self.finished: float | None = None
        self.phase: Phase = "waiting"
        self.result: Any = None
        self.error: Exception | None = None
        #: Whatever produced the result; the request thread encodes with the same one.
        self.instance: Any = None
        self._settled = threading.Event()

    @property
    def settled(self) -> bool:
        """Whether a result or an error is there."""
        return self._settled.is_set()

    def succeed(self, result: Any, instance: Any, now: float) -> None:
        """Hand the result to the waiting request."""
        self.result, self.instance = result, instance
        self._settle(now)

    def fail(self, error: Exception, now: float) -> None:
        """Hand the error to the waiting request."""
        self.error = error
        self._settle(now)

    def wait(self, timeout_seconds: float) -> bool:
        """Block until settled or the time is over; ``True`` when settled."""
        return self._settled.wait(max(0.0, timeout_seconds))

    def _settle(self, now: float) -> None:
        self.finished = now
        self.phase = "settled"
        self.input = None  # a decoded image may be large, and a late request thread may hold on to the work
        self._settled.set()


class WorkQueue:
    """First in, first out; at most ``size`` works wait. Many request threads offer, one model thread takes.

    ``window_seconds`` is how long the oldest work may wait for its batch to fill; 0 takes what is there.
    """

    def __init__(self, size: int, batch_size: int, window_seconds: float, clock: Callable[[], float]) -> None:
        self.size = size
        self.batch_size = batch_size
        self._window = window_seconds
        self._clock = clock
        self._changed = threading.Condition()
        # Ordered, and O(1) to remove from the middle: a request that gives up must not leave its place taken.
        self._waiting: OrderedDict[Work, None] = OrderedDict()
        self._urgent: deque[Errand] = deque()
        self._idle: deque[Errand] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether an offer would be refused now."""
        return len(self._waiting) >= self.size

    @property
    def closed(self) -> bool:
        """Whether the queue takes nothing more."""
        return self._closed

    def oldest(self) -> float | None:
        """When the longest waiting work came."""
        with self._changed:
            return next(iter(self._waiting)).enqueued if self._waiting else None

    def offer(self, work: Work) -> bool:
        """Put ``work`` at the end; ``False`` when the queue is full or closed."""
        with self._changed:
            if self._closed or len(self._waiting) >= self.size:
                return False
            work.enqueued = self._clock()
            self._waiting[work] = None
            # The taker sleeps through arrivals that change nothing for it: only the first and the filling one wake it.
            if len(self._waiting) in (1, self.batch_size):
                self._changed.notify()
            return True

    def abandon(self, work: Work) -> bool:
        """Give up on ``work``; ``True`` when it had not started and so never reaches the device."""
        with self._changed:
            if work.phase != "waiting":
                return False
            self._waiting.pop(work, None)
            work.phase = "dropped"
            work.input = None
            return True

    def submit(self, errand: Errand, *, urgent: bool) -> bool:
        """Have the model thread run ``errand``: before the next batch if urgent, else when nothing waits."""
        with self._changed:
            if self._closed:
                return False
            (self._urgent if urgent else self._idle).append(errand)
            self._changed.notify()
            return True

    def take(self) -> list[Work] | Errand | None:
        """Block for the next batch or errand; ``None`` when the queue is closed and empty."""
        with self._changed:
            while True:
                if self._urgent:
                    return self._urgent.popleft()
                now = self._clock()
                if self._waiting:
                    patience = self._patience(now)
                    if patience > 0:
                        self._changed.wait(patience)
                    elif batch := self._pop_batch(now):
                        return batch
                elif self._closed:
                    return None
                elif self._idle:
                    return self._idle.popleft()
                else:
                    self._changed.wait()

    def close(self) -> None:
        """Take nothing more; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._idle.clear()
            self._changed.notify_all()

    def fail_all(self, make_error: Callable[[], Exception]) -> int:
        """Settle everything that waits with an error of its own each; return how many."""
        with self._changed:
            works = list(self._waiting)
            self._waiting.clear()
        now = self._clock()
        for work in works:
            work.fail(make_error(), now)
        return len(works)

    def _patience(self, now: float) -> float:
        """Seconds to go on waiting for a fuller batch."""
        if self._closed or len(self._waiting) >= self.batch_size:
            return 0.0
        return next(iter(self._waiting)).enqueued + self._window - now

    def _pop_batch(self, now: float) -> list[Work]:
        """Up to ``batch_size`` works that are still in time; those that are not are dropped here."""
        batch: list[Work] = []
        while self._waiting and len(batch) < self.batch_size:
            work, _ = self._waiting.popitem(last=False)
            if work.deadline <= now:
                work.fail(DeadlineExceeded("The deadline passed while the request waited in the queue."), now)
                continue
            work.phase = "running"
            work.started = now
            batch.append(work)
        return batch
