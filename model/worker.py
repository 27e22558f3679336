"""The model thread, the one owner of the device: loads the model, then takes turns at all work until told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import ref

import structlog

from model.batch import BatchRunner
from model.errors import InferenceFailed, NotReady
from model.fault import LoadFailure, Poisoned, brief
from model.loader import Instance
from model.queue import Errand, Turn, Work, WorkQueue
from model.state import StateCell
from model.step import StepRunner
from model.stream import Stream

log = structlog.get_logger(__name__)


class Worker:
    """Runs on one thread, called ``name``; ``instance`` is what serves now, and only this thread replaces it."""

    def __init__(
        self,
        queue: WorkQueue,
        runner: BatchRunner,
        steps: StepRunner,
        cell: StateCell,
        first: Errand,
        on_fatal: Callable[[str], None],
        on_died: Callable[[LoadFailure], None],
        name: str = "model",
    ) -> None:
        self.name = name
        self._queue = queue
        self._runner = runner
        self._steps = steps
        self._cell = cell
        self._first = first
        self._on_fatal = on_fatal
        self._on_died = on_died  # of a plug-in; another load starts another thread
        self._thread: threading.Thread | None = None
        self._former: ref[Instance] | None = None
        self._apart: list[ref[Instance]] = []
        self.instance: Instance | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread with the first load. Returns at once."""
        self._start(self._first)

    def revive(self) -> None:
        """Start a new thread after the old one died; it serves, but loads nothing by itself."""
        if not self.alive:
            self._start(None)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end of the thread; ``True`` when it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        return not self.alive

    def hand_over(self, former: Instance | None) -> None:
        """On the model thread: let ``former`` answer what it has decoded, for as long as such requests wait."""
        self._former = None if former is None else ref(former)  # held by the requests themselves, and freed with them

    def welcome(self, beside: Instance) -> None:
        """On the model thread: let ``beside`` answer what it has decoded, as long as anybody holds it."""
        self._apart = [one for one in self._apart if one() is not None] + [ref(beside)]

    def promote(self, beside: Instance) -> None:
        """On the model thread: it serves from now on, and what it has decoded the next one may answer."""
        self._apart = [one for one in self._apart if one() is not beside]

    def end_streams(self) -> None:
        """On the model thread: end what is open, since the instance that it runs on has to go."""
        for stream in self._queue.end_streams(
            lambda: NotReady("The model is loaded anew.", reason="model_reloading", retry_after_seconds=5.0)
        ):
            self._steps.close(stream)

    def doom(self, reason: str, suggestion: str) -> None:
        """This process cannot serve again: refuse what waits and say so, once."""
        if not self._cell.doom(reason, suggestion):
            return
        log.error("model_fatal", reason=reason)
        self._queue.fail_all(
            lambda: NotReady("The model failed; the server restarts.", reason=reason, retry_after_seconds=5.0)
        )
        try:
            self._on_fatal(reason)
        except Exception:
            log.exception("on_fatal_raised")

    def _start(self, first: Errand | None) -> None:
        self._thread = threading.Thread(target=self._main, args=(first,), name=self.name, daemon=True)
        self._thread.start()

    def _main(self, first: Errand | None) -> None:
        try:
            if first is not None:
                first()
            while (turn := self._queue.take()) is not None:
                self._do(turn)
                turn = None  # a batch must not be kept in memory until the next one comes
        except Poisoned as poisoned:
            self.doom(poisoned.reason, "The GPU's context is lost; only a new process helps. Look at dmesg | grep Xid.")
        except BaseException as error:  # the edge of the thread: even sys.exit in a plug-in ends here
            log.exception("model_thread_died")
            reason = f"model_thread_died: {brief(error)}"
            failure = LoadFailure(reason, "Reload the model; the log has the traceback.")
            self._on_died(failure)
            self._thread = None  # before the state says that a load may begin, which needs a new one
            self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)
            self._queue.fail_all(lambda: NotReady("The model failed.", reason=reason, retry_after_seconds=5.0))

    def _do(self, turn: Turn) -> None:
        if isinstance(turn, Stream):
            self._steps.run(self._instance_for(turn.decoder), turn)
        elif not isinstance(turn, list):
            turn()
        elif (instance := self._instance_for(turn[0].instance)) is not None:
            self._serve(instance, turn)
        else:  # a reload with a pause failed while these waited
            for work in turn:
                work.fail(NotReady("The model failed to load.", reason=self._cell.now.reason), work.enqueued)

    def _instance_for(self, decoder: Instance | None) -> Instance | None:
        """What serves; for what another version has decoded, that version while it is still there."""
        if decoder is None or decoder is self.instance:
            return self.instance
        if self._former is not None and decoder is self._former():
            return decoder
        return decoder if any(decoder is one() for one in self._apart) else self.instance

    def _serve(self, instance: Instance, works: list[Work]) -> None:
        try:
            self._runner.run(instance, works)
        finally:
            for work in works:  # whatever happened, no request may wait for a batch that is over
                if not work.settled:
                    work.fail(InferenceFailed("The model's thread died on this batch."), work.started or work.enqueued)
