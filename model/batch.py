"""Run one batch and settle every work in it, whatever the model does: the first rung of the recovery ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from model.errors import Canceled, DeadlineExceeded, InferenceFailed, OutOfMemory
from model.fault import Kind, Poisoned, brief, classify, from_device, sticky
from model.interface import BadInput
from model.loader import Instance
from model.meter import InferenceMeter
from model.progress import Progress
from model.queue import Work

log = structlog.get_logger(__name__)


class Failure:
    """What a forward pass raised, without its traceback, which would hold the batch's tensors in memory."""

    __slots__ = ("bad_input", "kind", "slug", "suspect", "text")

    def __init__(self, error: Exception) -> None:
        self.kind: Kind = classify(error)
        self.slug = sticky(error)
        self.suspect = from_device(error)
        self.text = brief(error)
        self.bad_input = BadInput(error.detail, error.status) if isinstance(error, BadInput) else None


def look_at_device(instance: Instance, failure: Failure) -> None:
    """An error from CUDA that is not known to be sticky: see whether the device still works. Raises ``Poisoned``."""
    try:
        instance.device.probe()
    except Exception as error:  # the device fails every way it can, and all of them mean that it is lost
        if classify(error) == "memory":
            return
        log.exception("device_lost", after=failure.text)
        raise Poisoned(f"cuda_error: {sticky(error) or brief(error)}") from None


class BatchRunner:
    """Turns batches into results on the model thread. Raises only :class:`Poisoned`, with every work settled."""

    def __init__(self, meter: InferenceMeter, progress: Progress, clock: Callable[[], float]) -> None:
        self._meter = meter
        self._progress = progress
        self._clock = clock

    def run(self, instance: Instance, works: Sequence[Work]) -> None:
        """Settle all ``works``: a failing batch is narrowed down until only the inputs at fault fail."""
        try:
            for start in range(0, len(works), instance.batch_limit):
                self._run(instance, works[start : start + instance.batch_limit])
        except Poisoned as poisoned:
            reason = poisoned.reason
            self._fail(works, lambda: InferenceFailed("The GPU failed; the server restarts.", reason=reason))
            raise

    def _run(self, instance: Instance, works: Sequence[Work]) -> None:
        works = self._in_time(works)
        if not works:
            return
        failure = self._forward(instance, works)
        if failure is None:
            return
        if failure.kind == "poisoned":
            raise Poisoned(f"cuda_error: {failure.slug}")
        if failure.suspect and failure.kind == "error":
            look_at_device(instance, failure)
        if failure.kind == "memory":
            self._retry_smaller(instance, works, failure)
        elif len(works) > 1:
            log.warning("batch_retried_one_by_one", size=len(works), error=failure.text)
            for work in works:
                self._run(instance, [work])
        else:
            self._fail(works, lambda: failure.bad_input or failed(failure.text))

    def _retry_smaller(self, instance: Instance, works: Sequence[Work], failure: Failure) -> None:
        """Out of memory: free what can be freed, then halves; a single input gets one more try before it is refused."""
        log.warning("out_of_memory", size=len(works), error=failure.text)
        instance.device.release()
        if len(works) > 1:
            half = len(works) // 2
            self._run(instance, works[:half])
            self._run(instance, works[half:])
            return
        again = self._forward(instance, works)
        if again is None:
            return
        if again.kind == "poisoned":
            raise Poisoned(f"cuda_error: {again.slug}")
        instance.device.release()
        if again.kind == "memory":
            self._fail(works, too_large)
        else:
            self._fail(works, lambda: again.bad_input or failed(again.text))

    def _forward(self, instance: Instance, works: Sequence[Work]) -> Failure | None:
        """One forward pass; settles ``works`` when it succeeds or breaks the contract, else says what it raised."""
        self._progress.begin("batch", len(works), works, instance)
        success = False
        try:
            results = instance.predict([work.input for work in works])
            count = len(results)
            success = count == len(works)
        except Exception as error:  # a plug-in may raise anything; it is logged and narrowed down
            failure = Failure(error)
            if failure.kind != "memory" and failure.bad_input is None:
                log.warning("predict_raised", request_ids=[work.request_id for work in works], exc_info=True)
            return failure
        finally:
            self._progress.end(success=success)
        if not success:
            log.error("wrong_result_count", request_ids=[work.request_id for work in works], results=count)
            self._fail(works, lambda: failed(f"predict returned {count} results for {len(works)} inputs"))
            return None
        self._meter.batch(count)
        self._settle(instance, works, results)
        return None

    def _settle(self, instance: Instance, works: Sequence[Work], results: Sequence[Any]) -> None:
        now = self._clock()
        for work, result in zip(works, results, strict=True):
            work.succeed(result, instance, now)

    def _in_time(self, works: Sequence[Work]) -> Sequence[Work]:
        """Those whose request still waits: callers hang up at any time, and a retry may come after the deadline."""
        now = self._clock()
        self._fail([work for work in works if work.gone], hung_up)
        self._fail(
            [work for work in works if work.deadline <= now],
            lambda: DeadlineExceeded("The deadline passed while the batch was retried."),
        )
        return [work for work in works if not work.settled]

    def _fail(self, works: Sequence[Work], make_error: Callable[[], Exception]) -> None:
        now = self._clock()
        for work in works:
            if not work.settled:
                work.fail(make_error(), now)


def failed(text: str) -> InferenceFailed:
    """What the caller is told of an exception in the model."""
    return InferenceFailed("The model failed on this input.", reason=text, suggestion="The log has the traceback.")


def hung_up() -> Canceled:
    """What nobody is told any more."""
    return Canceled("The caller hung up before its answer was there.", reason="canceled")


def too_large() -> OutOfMemory:
    """What the caller is told of an input that does not fit alone."""
    return OutOfMemory(
        "This input alone needs more memory than there is.",
        reason="out_of_memory",
        suggestion="Send a smaller input, or limit the size in the model's decode.",
    )
