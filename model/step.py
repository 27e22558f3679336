"""Make one step of a stream on the model thread, and close the model's generator there, however the stream ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import structlog

from model.batch import Failure, failed, look_at_device, too_large
from model.errors import DeadlineExceeded, InferenceFailed, NotReady
from model.fault import Poisoned
from model.loader import Instance
from model.progress import Progress
from model.queue import WorkQueue
from model.stream import Stream

log = structlog.get_logger(__name__)

_NO_MORE = object()


class StepRunner:
    """Turns open streams into steps. Raises only :class:`Poisoned`, with the stream ended."""

    def __init__(self, queue: WorkQueue, progress: Progress, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._progress = progress
        self._clock = clock

    def run(self, instance: Instance | None, stream: Stream) -> None:
        """Give ``stream`` its turn: a step, or its end. One that has begun stays with the instance it began with."""
        now = self._clock()
        if not stream.ended and stream.deadline <= now:
            stream.end(DeadlineExceeded("The stream ran out of time.", reason="stream_deadline"))
        if not stream.ended and stream.instance is None and instance is None:
            stream.end(NotReady("The model failed to load."))
        if stream.ended:
            self.close(stream)
        elif not stream.full:  # a slow reader asks for another turn when it has read something
            stream.instance = stream.instance or instance
            self._step(stream)
            if stream.ended:
                self.close(stream)
            elif not stream.full:
                self._queue.again(stream)

    def close(self, stream: Stream) -> None:
        """Close the generator, so that what it holds is freed here and now, and give up the stream's place."""
        iterator, instance = stream.iterator, stream.instance
        stream.iterator = stream.instance = None
        try:
            close = getattr(iterator, "close", None)
            if close is not None and instance is not None:
                self._call("close", stream, lambda: instance.device.run(close))
        except Exception as error:  # noqa: BLE001 - what a generator does at its end is the plug-in's; it is logged
            failure = Failure(error)
            log.warning("stream_close_raised", request_id=stream.request_id, error=failure.text)
            if failure.kind == "poisoned":
                raise Poisoned(f"cuda_error: {failure.slug}") from None
        finally:
            self._queue.leave(stream)

    def _step(self, stream: Stream) -> None:
        failure = self._advance(stream)
        if failure is None:
            return
        instance: Instance = stream.instance
        try:
            if failure.kind == "poisoned":
                raise Poisoned(f"cuda_error: {failure.slug}")
            if failure.suspect and failure.kind == "error":
                look_at_device(instance, failure)
        except Poisoned as poisoned:
            stream.end(InferenceFailed("The GPU failed; the server restarts.", reason=poisoned.reason))
            raise
        if failure.kind == "memory":
            stream.end(too_large())
            stream.iterator = None  # it is dead, and its frames may hold tensors
            instance.device.release()
        else:
            stream.end(failure.bad_input or failed(failure.text))

    def _advance(self, stream: Stream) -> Failure | None:
        """One step of the generator, made at the first; says what it raised."""
        began = self._clock()
        if stream.started is None:
            stream.started = began
        try:
            step = self._call("step", stream, lambda: stream.instance.device.run(lambda: _next(stream)))
        except Exception as error:  # a plug-in may raise anything; it is logged and told
            failure = Failure(error)
            if failure.kind != "memory" and failure.bad_input is None:
                log.warning("stream_raised", request_id=stream.request_id, step=stream.count + 1, exc_info=True)
            return failure
        finally:
            stream.compute_seconds += self._clock() - began
        if step is _NO_MORE:
            stream.end()
        else:
            stream.count += 1
            stream.push(step)
        return None

    def _call(self, what: str, stream: Stream, call: Callable[[], Any]) -> Any:
        """Call into the model under the eyes of the watchdog."""
        self._progress.begin_step(what, stream)
        success = False
        try:
            found = call()
            success = what == "step"
            return found
        finally:
            self._progress.end(success=success)


def _next(stream: Stream) -> Any:
    if stream.iterator is None:
        iterator: Iterator[Any] = iter(stream.instance.model.stream(stream.input))
        stream.iterator = iterator
        stream.input = None  # the generator holds what it needs of it
    return next(stream.iterator, _NO_MORE)
