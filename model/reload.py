"""The first load and every reload: beside the old instance when there is room, else in a declared pause."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import structlog

from model.errors import NotReady
from model.examiner import Examiner
from model.fault import LoadFailure, Poisoned, brief
from model.loader import Instance, Loader
from model.meter import InferenceMeter
from model.queue import Errand, WorkQueue
from model.state import StateCell, wall_ms
from model.worker import Worker

log = structlog.get_logger(__name__)

#: How much more GPU memory than the serving instance took must be available to load another one beside it.
_ROOM = 1.25


class _Attempt:
    """A reload under way, known by its identity: whoever settles it first says how it ended."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Reloader:
    """Brings instances into service. What fails to load never replaces what serves."""

    def __init__(
        self,
        loader: Loader,
        worker: Worker,
        queue: WorkQueue,
        cell: StateCell,
        examiner: Examiner,
        meter: InferenceMeter,
        clock: Callable[[], float],
        *,
        on_installed: Callable[[Instance], None],
        on_reloaded: Callable[[str, str | None], None],
    ) -> None:
        self._on_installed = on_installed
        self._on_reloaded = on_reloaded  # with its reason, and what it failed of
        self._loader = loader
        self._worker = worker
        self._queue = queue
        self._cell = cell
        self._examiner = examiner
        self._meter = meter
        self._clock = clock
        self._most = queue.batch_size
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None

    def first_load(self) -> None:
        """On the model thread, once. A failure leaves the host standing and explains itself. Raises ``Poisoned``."""
        try:
            instance = self._loader.load(self._cell.say)
        except LoadFailure as failure:
            log.error("model_not_loaded", reason=failure.reason, suggestion=failure.suggestion)
            self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)
            return
        self._install(instance)

    def start(self, reason: str) -> bool:
        """Begin a reload and return at once; ``False`` while a load is under way or none is possible."""
        serving = self._worker.instance is not None
        if not self._cell.begin_load("reloading" if serving else "loading", self._clock()):
            return False
        log.info("model_reload_begins", reason=reason)
        self._worker.revive()
        attempt = self._attempt = _Attempt(reason)
        threading.Thread(target=self._reload, args=(attempt,), name="model-load", daemon=True).start()
        return True

    def overrun(self, seconds: float) -> None:
        """A load takes too long. Beside an instance that serves it is given up; else only a new process helps."""
        words, attempt = f"hang: loading for {seconds:.0f}s", self._attempt
        if self._worker.instance is None:
            self._worker.doom(words, "Every thread's stack is in the log; look at what the load waits for.")
        elif attempt is not None and self._settle(attempt):
            suggestion = "Look at the stacks in the log for what the load waits for; a new process frees what it holds."
            self._give_up(LoadFailure(words, suggestion), attempt.reason)

    def _reload(self, attempt: _Attempt) -> None:
        """On the helper thread: load while the old instance serves, and let the model thread switch."""
        try:
            errand = self._load_beside(attempt) if self._roomy() else partial(self._reload_paused, attempt)
            if errand is not None:
                self._queue.submit(errand, urgent=True)
        except LoadFailure as failure:
            self._fail(attempt, failure)
        except Poisoned as poisoned:
            self._meter.reloaded(attempt.reason, "failed")
            self._worker.doom(poisoned.reason, "The GPU's context is lost; only a new process helps.")
        except BaseException as error:  # the edge of the thread; a plug-in may even exit
            log.exception("reload_died")
            self._fail(attempt, LoadFailure(f"load_failed: {brief(error)}", "The log has the traceback."))

    def _load_beside(self, attempt: _Attempt) -> Errand | None:
        """The switch to a new instance, or ``None`` when nobody waits for it any more."""

        def say(progress: str) -> None:
            if self._attempt is attempt:
                self._cell.say(progress)

        instance = self._loader.load(say)
        if self._settle(attempt):
            return partial(self._switch, instance, attempt.reason)
        log.warning("model_loaded_too_late", load_seconds=round(instance.load_seconds, 3))
        device = instance.device
        del instance  # the last reference, so that its weights can be freed
        device.release()
        return None

    def _switch(self, instance: Instance, reason: str) -> None:
        """On the model thread, between two batches: what waits in the queue goes to the new instance."""
        old = self._worker.instance
        self._install(instance)
        self._report(reason)
        del old  # the last reference on this thread, so that its weights can be freed
        instance.device.release()

    def _reload_paused(self, attempt: _Attempt) -> None:
        """On the model thread: two instances do not fit, so the old one goes first. What waits in the queue stays."""
        if not self._settle(attempt):  # its turn came so late that it was given up
            return
        old = self._worker.instance
        self._worker.instance = None
        self._cell.say("freeing GPU memory")
        self._worker.end_streams()
        if old is not None:
            device = old.device
            del old
            device.release()
        try:
            instance = self._loader.load(self._cell.say)
        except LoadFailure as failure:
            self._give_up(failure, attempt.reason)
            return
        self._install(instance)
        self._report(attempt.reason)

    def _install(self, instance: Instance) -> None:
        self._meter.announce(instance.name, instance.version)
        self._examiner.passed(wall_ms(), instance)
        self._queue.batch_size = min(self._most, instance.batch_limit)
        self._worker.instance = instance
        self._on_installed(instance)
        self._cell.loaded(instance.load_seconds)
        self._cell.move("ready")
        log.info(
            "model_ready",
            model=instance.name,
            version=instance.version,
            device=instance.device.name,
            load_seconds=round(instance.load_seconds, 3),
        )

    def _settle(self, attempt: _Attempt) -> bool:
        """Take the outcome of a reload into one's hands; ``False`` when another thread has done so."""
        with self._lock:
            mine = self._attempt is attempt
            if mine:
                self._attempt = None
            return mine

    def _fail(self, attempt: _Attempt, failure: LoadFailure) -> None:
        if self._settle(attempt):
            self._give_up(failure, attempt.reason)
        else:
            log.warning("model_load_failed_too_late", reason=failure.reason)

    def _give_up(self, failure: LoadFailure, reason: str) -> None:
        log.error("model_reload_failed", reason=failure.reason, suggestion=failure.suggestion)
        if self._worker.instance is not None:
            self._cell.move("ready", reason=f"reload_failed: {failure.reason}", suggestion=failure.suggestion)
        else:
            self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)
            self._queue.fail_all(
                lambda: NotReady("The model failed to load.", reason=failure.reason, retry_after_seconds=30.0)
            )
        self._report(reason, failure.reason)

    def _report(self, reason: str, failure: str | None = None) -> None:
        """A reload ended, well or not."""
        self._meter.reloaded(reason, "ok" if failure is None else "failed")
        self._on_reloaded(reason, failure)

    def _roomy(self) -> bool:
        """Whether a second instance fits beside the one that serves."""
        serving = self._worker.instance
        memory = serving.device.memory() if serving is not None else None
        return serving is None or memory is None or memory.available >= serving.gpu_bytes * _ROOM
