"""The request's end of a stream: read what the model yields, as JSON, and be sure that it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from model.answer import Answer, Degraded
from model.errors import Canceled, DeadlineExceeded, Refusal
from model.interface import BadInput, Step
from model.meter import InferenceMeter
from model.queue import Stream, WorkQueue
from model.result import to_json
from model.terms import Caller


@dataclass(frozen=True, slots=True)
class Event:
    """One step on its way out: a part of the result (``data``), or how far it is (``progress``).

    ``degraded`` is a whole result that stands in, with what it is and why.
    """

    kind: Literal["data", "progress", "degraded"]
    json: bytes


class Subscription:
    """One open stream as its request sees it. For one thread; :meth:`close` must be called, and may be twice.

    ``encode`` turns a step into JSON and raises a :class:`Refusal` if it cannot; ``step_seconds`` is how long the
    reader waits for one. ``stand_in`` is asked for another answer to a stream that is refused before any part of its
    result was read: that is all it then consists of.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        model: str,
        version: str,
        facts: dict[str, Any],
        encode: Callable[[Any], bytes],
        stand_in: Callable[[Refusal], Answer[bytes] | None],
        queue: WorkQueue,
        meter: InferenceMeter,
        clock: Callable[[], float],
        step_seconds: float,
        began: float,
        caller: Caller | None,
        brownout: float = 0.0,
    ) -> None:
        self.model = model
        self.version = version
        self.input = facts
        self.result_class: str | None = None
        #: How the stream ended; ``canceled`` stands if its reader goes away before.
        self.outcome = "canceled"
        #: What its reader is told of it, as of an :class:`Answer`.
        self.cache: Literal["hit", "miss"] | None = None
        self.degraded: Degraded | None = None
        self.reason: str | None = None
        self.brownout = brownout
        self._failed: str | None = None
        self._stand_in: Callable[[Refusal], Answer[bytes] | None] | None = stand_in
        self._stream = stream
        self._encode = encode
        self._queue = queue
        self._meter = meter
        self._clock = clock
        self._step_seconds = step_seconds
        self._began = began
        self._step_until = clock() + step_seconds
        self._closed = False
        self._at_close = ExitStack()
        if caller is not None:
            self._at_close.enter_context(caller.watch(self._hang_up))

    @property
    def verdict(self) -> str:
        """How the model did, whatever stood in for it."""
        return self._failed or self.outcome

    @property
    def steps(self) -> int:
        """Steps that the model has made."""
        return self._stream.count

    @property
    def queue_seconds(self) -> float:
        """How long the first step waited for its turn."""
        stream = self._stream
        return 0.0 if stream.started is None else stream.started - stream.enqueued

    @property
    def compute_seconds(self) -> float:
        """What all steps took together."""
        return self._stream.compute_seconds

    @property
    def total_seconds(self) -> float:
        """From the request's arrival until now."""
        return self._clock() - self._began

    def at_close(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the stream is closed."""
        self._at_close.callback(callback)

    def read(self, timeout_seconds: float) -> Event | Literal["nothing", "end"]:
        """The next event; ``nothing`` when there was none in that time. Raises :class:`BadInput` or a ``Refusal``."""
        if self.degraded is not None:
            return "end"
        try:
            try:
                return self._read(timeout_seconds)
            except Refusal as refusal:
                return self._substitute(refusal)
        except (BadInput, Refusal) as error:
            self.outcome = "bad_input" if isinstance(error, BadInput) else error.outcome
            raise

    def close(self) -> None:
        """The end, for whatever reason: the model's generator is closed at its next turn, and the stream is counted."""
        if self._closed:
            return
        self._closed = True
        self._hang_up()
        self._at_close.close()
        self._meter.streamed(self._stream.count)
        self._meter.finished(
            self.outcome,
            model=self.model,
            version=self.version,
            total_seconds=self.total_seconds,
            queue_seconds=None if self._stream.started is None else self.queue_seconds,
            compute_seconds=None if self._stream.started is None else self.compute_seconds,
            result_class=self.result_class,
        )

    def _read(self, timeout_seconds: float) -> Event | Literal["nothing", "end"]:
        until = min(self._step_until, self._stream.deadline)
        found = self._stream.read(min(timeout_seconds, until - self._clock()))
        if found == "end":
            self.outcome = "ok"
            return "end"
        if found == "nothing":
            if self._clock() >= until:
                raise self._late()
            return "nothing"
        step, rested = found
        self._step_until = self._clock() + self._step_seconds
        if rested:
            self._queue.again(self._stream)
        if isinstance(step, Step):
            return Event("progress", to_json({"done": step.done, "total": step.total}))
        encoded = self._encode(step)
        self._stand_in = None  # a part of one answer and a whole other one would be neither
        return Event("data", encoded)

    def _substitute(self, refusal: Refusal) -> Event:
        """What stands in, once. Raises ``refusal`` if nothing does."""
        stand_in, self._stand_in = self._stand_in, None
        answer = None if stand_in is None else stand_in(refusal)
        if answer is None:
            raise refusal
        self._failed = refusal.outcome
        self.outcome, self.degraded, self.reason = answer.outcome, answer.degraded, answer.reason
        self._hang_up()  # the model's own stream may still be open: nobody reads on
        members = {"result": orjson.Fragment(answer.json), "degraded": answer.degraded, "reason": answer.reason}
        return Event("degraded", orjson.dumps(members))

    def _late(self) -> DeadlineExceeded:
        if self._clock() >= self._stream.deadline:
            return DeadlineExceeded("The stream ran out of time.", reason="stream_deadline", retry_after_seconds=1.0)
        where = "waited for its turn" if self._stream.started is None else "worked on the next step"
        return DeadlineExceeded(
            f"No step within {self._step_seconds:g} s: the stream {where}.",
            reason="step_deadline",
            retry_after_seconds=5.0,
        )

    def _hang_up(self) -> None:
        """From any thread: nobody reads any more. The model thread closes the generator, if it has not."""
        self._stream.end(_canceled())
        self._queue.again(self._stream)


def _canceled() -> Canceled:
    return Canceled("The caller hung up before the stream had ended.", reason="canceled")
