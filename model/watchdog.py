"""Notices a call into the model that does not come back, and leaves every thread's stack for whoever looks."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable
from typing import TextIO

import structlog

from model.progress import Progress

log = structlog.get_logger(__name__)


class Watchdog:
    """Looks at the progress once in a while on a thread of its own; ``on_hang(seconds)`` is called at most once.

    A thread is needed: the one that hangs cannot tell, and the one that asks for health must not be slowed.
    """

    def __init__(
        self, progress: Progress, limit_seconds: float, on_hang: Callable[[float], None], stack_file: TextIO | None
    ) -> None:
        self._progress = progress
        self._limit = limit_seconds
        self._on_hang = on_hang
        self._stack_file = stack_file
        self._barked = False
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look, at least four times per limit and once a second."""
        threading.Thread(target=self._watch, name="model-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Compare the running call with the limit."""
        seconds = self._progress.running_seconds()
        if seconds is None or seconds <= self._limit:
            return
        with self._lock:
            if self._barked:
                return
            self._barked = True
        log.error("model_hangs", running_seconds=round(seconds, 1), limit_seconds=self._limit)
        self._dump_stacks()
        self._on_hang(seconds)

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self._limit / 4)):
            try:
                self.look()
            except Exception:
                log.exception("watchdog_failed")

    def _dump_stacks(self) -> None:
        try:
            faulthandler.dump_traceback(file=self._stack_file or sys.stderr, all_threads=True)
        except (OSError, ValueError, AttributeError) as error:  # a stream without a descriptor, or a closed one
            log.warning("stacks_not_written", error=str(error))
