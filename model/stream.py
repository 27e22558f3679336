"""A result that comes in steps: what the model thread puts in at one end and the request's thread takes out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

#: Steps that may wait for a slow reader; then the stream rests until one has been read.
BUFFERED_STEPS = 16

Signal = Literal["nothing", "end"]


class Stream:
    """One open stream. Times are seconds of the queue's clock.

    The request thread makes it and reads it; the model thread alone touches ``iterator``. Whoever ends it first says
    how it ended, and what comes later is dropped.
    """

    __slots__ = (
        "_changed",
        "_ended",
        "_error",
        "_steps",
        "compute_seconds",
        "count",
        "deadline",
        "decoder",
        "enqueued",
        "input",
        "instance",
        "iterator",
        "queued",
        "rank",
        "request_id",
        "shapes",
        "started",
    )

    def __init__(self, input: Any, deadline: float, request_id: str = "", *, rank: int = 1) -> None:
        self.input = input
        self.deadline = deadline
        self.request_id = request_id
        self.rank = rank
        self.enqueued = 0.0
        self.started: float | None = None
        self.compute_seconds = 0.0
        #: Steps that the model has made.
        self.count = 0
        #: What decoded the input.
        self.decoder: Any = None
        #: What makes the steps, and the model's own iterator; ``None`` before the first step and after the end.
        self.instance: Any = None
        self.iterator: Iterator[Any] | None = None
        #: What its input looks like, for the record; known from the first step on.
        self.shapes: Sequence[str] | None = None
        #: Whether it stands in line for a turn; kept by the queue, under its lock.
        self.queued = False
        self._steps: deque[Any] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    @property
    def ended(self) -> bool:
        """Whether no further step is wanted."""
        return self._ended

    @property
    def full(self) -> bool:
        """Whether its reader is so slow that the model should not go on."""
        return len(self._steps) >= BUFFERED_STEPS

    def push(self, step: Any) -> None:
        """Hand one step to the reader."""
        with self._changed:
            if not self._ended:
                self._steps.append(step)
                self._changed.notify_all()

    def end(self, error: Exception | None = None) -> bool:
        """No more steps; ``error`` is raised to the reader after those that are there. ``False`` if it had ended."""
        with self._changed:
            if self._ended:
                return False
            self._ended, self._error, self.input = True, error, None
            self._changed.notify_all()
            return True

    def read(self, timeout_seconds: float) -> tuple[Any, bool] | Signal:
        """The next step and whether the stream rested for want of room, or a signal. Raises what ended the stream."""
        with self._changed:
            if not self._steps and not self._ended:
                self._changed.wait(min(max(0.0, timeout_seconds), threading.TIMEOUT_MAX))
            if self._steps:
                rested = self.full
                return self._steps.popleft(), rested
            if not self._ended:
                return "nothing"
            if self._error is not None:
                raise self._error
            return "end"
