"""What the model thread is doing, since when, and how fast it has been lately."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from model.call import CallRecorder

if TYPE_CHECKING:
    from model.loader import Instance
    from model.stream import Stream
    from model.work import Work

#: Weight of the newest batch in the running mean of batch durations.
_RECENT = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One call into the model: a forward pass over ``size`` inputs (``batch``), a stream's ``step``, a ``check``."""

    what: str
    size: int
    since: float
    #: Whose forward pass it is.
    instance: Instance | None = None


class Recorder(CallRecorder, Protocol):
    """Notes each call into the model, on the model thread, where every microsecond counts."""

    def shapes(self, inputs: Sequence[Any]) -> Sequence[str]:
        """What inputs look like, for :meth:`begin`; never what is in them."""
        ...

    def begin(self, what: str, size: int, request_ids: Sequence[str], shapes: Sequence[str]) -> None:
        """A call starts; of some calls only the size is known."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Progress:
    """Written by the model thread alone, read by any: every field is replaced whole, so readers need no lock."""

    def __init__(
        self, clock: Callable[[], float], on_batch: Callable[[Instance | None, int, float], None] | None = None
    ) -> None:
        self._clock = clock
        self._on_batch = on_batch  # called with whose it is, the size and the seconds of every batch that succeeds
        #: Told what runs and when it is over, for whoever asks after a crash.
        self.recorder: Recorder | None = None
        self.run: Run | None = None
        #: When anything last ended, and when a request's forward pass last succeeded.
        self.last_end: float | None = None
        self.last_success: float | None = None
        self._mean_seconds: float | None = None
        self._last_seconds = 0.0
        self._step_seconds: float | None = None

    @property
    def in_flight(self) -> int:
        """Inputs of requests in the forward pass that runs now."""
        run = self.run
        return run.size if run is not None and run.what == "batch" else 0

    def begin(self, what: str, size: int, works: Sequence[Work] = (), instance: Instance | None = None) -> None:
        """A call into the model starts, with the inputs of ``works`` where they are known."""
        recorder = self.recorder
        if recorder is not None:
            shapes = recorder.shapes([work.input for work in works])
            recorder.begin(what, size, [work.request_id for work in works], shapes)
        self.run = Run(what, size, self._clock(), instance)

    def begin_step(self, what: str, stream: Stream) -> None:
        """A step of a stream starts, or its end; its input, which the first step takes along, is remembered."""
        recorder = self.recorder
        if recorder is not None:
            if stream.shapes is None:
                stream.shapes = recorder.shapes([stream.input])
            recorder.begin(what, 1, [stream.request_id], stream.shapes)
        self.run = Run(what, 1, self._clock())

    def end(self, *, success: bool) -> None:
        """The call ended; a successful batch or step feeds the pace."""
        if self.recorder is not None:
            self.recorder.end()
        run, now = self.run, self._clock()
        self.run, self.last_end = None, now
        if run is None or run.what == "check" or not success:
            return
        self.last_success = now
        seconds = now - run.since
        if run.what == "batch":
            self._mean_seconds, self._last_seconds = _moved(self._mean_seconds, seconds), seconds
            if self._on_batch is not None:
                self._on_batch(run.instance, run.size, seconds)
        else:
            self._step_seconds = _moved(self._step_seconds, seconds)

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

    def drain_seconds(self, waiting: int, batch_size: int, streams: int = 0) -> float:
        """How long the queue as it stands will take, in whole seconds, at least 1: the honest ``Retry-After``.

        Between two batches each of ``streams`` has a step.
        """
        batches = math.ceil(waiting / batch_size) + (1 if self.run else 0)
        return float(max(1, math.ceil(batches * ((self._mean_seconds or 0.0) + self._steps_seconds(streams)))))

    def answer_seconds(self, ahead: int, batch_size: int, streams: int = 0) -> float:
        """How long a newcomer behind ``ahead`` others will wait for its answer, rather too short than too long.

        0 while the model is idle: whatever the last batches took, it is worth a try then.
        """
        if ahead == 0 and self.run is None:
            return 0.0
        # After one slow batch the mean is too dark a picture, after one fast batch the last is too bright a one.
        pace = min(self._mean_seconds or 0.0, self._last_seconds)
        batches = ahead // batch_size + 1
        left = max(0.0, pace - (self.running_seconds() or 0.0)) if self.in_flight else 0.0
        return left + batches * (pace + self._steps_seconds(streams))

    def _steps_seconds(self, streams: int) -> float:
        return streams * (self._step_seconds or 0.0)


def _moved(mean: float | None, seconds: float) -> float:
    """The running mean with one more duration in it."""
    return seconds if mean is None else mean + _RECENT * (seconds - mean)
