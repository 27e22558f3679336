"""Notices a call into the model that does not come back, and leaves every thread's stack for whoever looks."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import structlog

log = structlog.get_logger(__name__)


@dataclass
class Limit:
    """How long something may run: ``running`` says for how many seconds it has, ``None`` while it does not run."""

    what: str
    seconds: float
    running: Callable[[], float | None]
    #: Called with the seconds, once each time that the limit is passed.
    on_hang: Callable[[float], None]
    passed: bool = field(default=False, init=False)


class Watchdog:
    """Looks at the limits once in a while on a thread of its own.

    A thread is needed: the one that hangs cannot tell, and the one that asks for health must not be slowed.
    """

    def __init__(self, limits: Sequence[Limit], stack_file: TextIO | None) -> None:
        self._limits = limits
        self._stack_file = stack_file
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to look, at least four times per limit and once a second."""
        threading.Thread(target=self._watch, name="model-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Compare what runs with its limit."""
        for limit in self._limits:
            seconds = limit.running()
            if self._just_passed(limit, seconds) and seconds is not None:
                log.error(
                    "model_hangs", what=limit.what, running_seconds=round(seconds, 1), limit_seconds=limit.seconds
                )
                self._dump_stacks()
                limit.on_hang(seconds)

    def _just_passed(self, limit: Limit, seconds: float | None) -> bool:
        with self._lock:
            before, limit.passed = limit.passed, seconds is not None and seconds > limit.seconds
            return limit.passed and not before

    def _watch(self) -> None:
        pause = min(1.0, *(limit.seconds / 4 for limit in self._limits))
        while not self._stop.wait(pause):
            try:
                self.look()
            except Exception:
                log.exception("watchdog_failed")

    def _dump_stacks(self) -> None:
        try:
            faulthandler.dump_traceback(file=self._stack_file or sys.stderr, all_threads=True)
        except (OSError, ValueError, AttributeError) as error:  # a stream without a descriptor, or a closed one
            log.warning("stacks_not_written", error=str(error))
