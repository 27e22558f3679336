"""The scheduled deep check: a tiny tensor on the device and, when no traffic proves it, one golden inference.

Traffic proves that the model answers, not that it answers right: once in a while it is asked for what is known all the
same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from model.device import Device, DeviceMemory
from model.fault import LoadFailure, Poisoned, brief, classify, from_device, sticky
from model.loader import Instance, check_golden
from model.progress import Progress
from model.queue import WorkQueue

log = structlog.get_logger(__name__)

#: A check that got no turn for so many intervals goes before the requests that wait.
OVERDUE_INTERVALS = 3
#: A model that answers requests is asked for its golden input after so many intervals, between two batches.
GOLDEN_INTERVALS = 6


@dataclass(frozen=True, slots=True)
class Examination:
    """What the last deep check found. ``reason`` is ``None`` when all was well."""

    checked_ms: int
    seconds: float
    model_ok: bool
    #: ``None`` where there is no GPU in use.
    gpu_ok: bool | None
    memory: DeviceMemory | None
    reason: str | None = None
    suggestion: str | None = None
    #: Whether a golden input was run: without one, ``model_ok`` rests on a request that was answered a while ago.
    golden: bool = False


class Examiner:
    """Puts one check at a time through the queue's own thread, behind the requests, and keeps the last finding."""

    def __init__(
        self,
        queue: WorkQueue,
        progress: Progress,
        instance: Callable[[], Instance | None],
        clock: Callable[[], float],
        interval_seconds: float,
    ) -> None:
        self._queue = queue
        self._progress = progress
        self._instance = instance
        self._clock = clock
        self._interval = interval_seconds
        self._pending: threading.Event | None = None
        self._urgent = False
        self._examined: float | None = None
        self._golden: float | None = None  # when a golden input was run last
        self.last: Examination | None = None

    def ask(self, now_ms: int, wait_seconds: float, *, urgent: bool = False) -> None:
        """Have a check made and wait a little for it. One that finds the thread busy runs later; that is no failure.

        An ``urgent`` one runs the golden input before the next batch.
        """
        proven, overdue = self._proven() and not urgent, self._overdue() or urgent
        waits = self._pending is not None and not self._pending.is_set()
        if waits and (self._urgent or not overdue):
            return
        if self._pending is None or not waits:
            self._pending = threading.Event()
        done = self._pending

        def errand() -> None:
            if done.is_set():  # it waited behind the requests until an urgent one went before it
                return
            try:
                self._examine(now_ms, golden=not proven)
            finally:
                done.set()

        # Without the golden inference it takes microseconds, so it may go between two batches of a busy model. With it
        # it waits for a quiet moment, but not for ever: a queue full of requests that all fail must not hide that.
        self._urgent = proven or overdue
        if self._queue.submit(errand, urgent=self._urgent):
            done.wait(wait_seconds)
        else:
            done.set()

    def passed(self, now_ms: int, instance: Instance) -> None:
        """A load has just run all the golden inputs."""
        gpu_ok = True if instance.device.is_gpu else None
        self._examined = self._golden = self._clock()
        self.last = Examination(now_ms, instance.load_seconds, True, gpu_ok, instance.device.memory(), golden=True)

    def _proven(self) -> bool:
        """Whether a request was just answered and nothing was wrong before: then no golden inference is needed."""
        success = self._progress.last_success
        fresh = success is not None and self._clock() - success < self._interval
        well = self.last is not None and self.last.model_ok
        return fresh and well and not self._older(self._golden, GOLDEN_INTERVALS)

    def _overdue(self) -> bool:
        """Whether the last check, or the last golden input, is so old that the next one goes before the requests."""
        return self._older(self._examined, OVERDUE_INTERVALS) or self._older(self._golden, GOLDEN_INTERVALS)

    def _older(self, moment: float | None, intervals: int) -> bool:
        return moment is not None and self._clock() - moment > intervals * self._interval

    def _examine(self, now_ms: int, *, golden: bool) -> None:
        """On the model thread. Raises :class:`Poisoned`."""
        instance = self._instance()
        if instance is None:
            return
        began = self._clock()
        self._progress.begin("check", 1)
        device, memory = instance.device, None
        gpu_ok: bool | None = True if device.is_gpu else None
        model_ok, reason, suggestion = True, None, None
        try:
            if device.is_gpu:
                gpu_ok, reason, suggestion = _probe(device)
                memory = device.memory() if gpu_ok else None
            if not device.in_eval(instance.model):
                model_ok, reason, suggestion = (
                    False,
                    "model_in_training_mode",
                    "predict must leave the network in eval mode.",
                )
            elif golden and reason is None:
                model_ok, reason, suggestion = _run_golden(instance)
        finally:
            self._progress.end(success=False)
        self._examined = self._clock()
        if golden:
            self._golden = self._examined
        seconds = self._examined - began
        self.last = Examination(now_ms, seconds, model_ok, gpu_ok, memory, reason, suggestion, golden)
        if reason is not None:
            log.warning("deep_check_failed", reason=reason, seconds=round(seconds, 4))


def _probe(device: Device) -> tuple[bool, str | None, str | None]:
    """``(ok, reason, suggestion)`` of a tiny tensor on the GPU."""
    try:
        device.probe()
    except Exception as error:  # drivers fail in every way there is
        if classify(error) == "memory":
            memory = device.memory()
            free = 0.0 if memory is None else memory.available / 1e9
            return False, f"insufficient_gpu_memory: {free:.1f}GB free", "Not even a tiny tensor fits into the GPU."
        if slug := sticky(error):
            raise Poisoned(f"cuda_error: {slug}") from None
        log.warning("gpu_check_raised", exc_info=True)
        return False, f"cuda_unavailable: {brief(error)}", "Look at nvidia-smi and the kernel log (dmesg | grep Xid)."
    return True, None, None


def _run_golden(instance: Instance) -> tuple[bool, str | None, str | None]:
    """``(ok, reason, suggestion)`` of the first golden pair."""
    try:
        check_golden(instance.model, instance.device, instance.golden[:1])
    except LoadFailure as failure:
        return False, failure.reason, failure.suggestion
    except Exception as error:  # a plug-in may raise anything
        kind = classify(error)
        if kind == "poisoned":
            raise Poisoned(f"cuda_error: {sticky(error)}") from None
        log.warning("golden_check_raised", exc_info=True)
        if kind == "error" and from_device(error):
            return False, f"cuda_unavailable: {brief(error)}", "Look at nvidia-smi and the kernel log."
        word = "out_of_memory" if kind == "memory" else brief(error)
        return False, f"golden_failed: {word}", "The model fails on a known input; reload it, and look at the log."
    return True, None, None
