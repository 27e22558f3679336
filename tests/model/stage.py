"""What the tests' model is told to do, and what it saw. Imports no torch, so that tests can hold it before the load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

#: No test waits longer for anything; reaching it is a failure.
PATIENCE = 20.0


class Stage:
    """Shared by a test and the model it hosts; :func:`reset` makes it new before each test."""

    def __init__(self) -> None:
        #: Closed (cleared) gates hold predict and load until they are opened.
        self.gate = opened()
        self.load_gate = opened()
        self.entered = threading.Semaphore(0)
        self.load_entered = threading.Semaphore(0)
        self.factor = 2.0
        self.version = "1"
        self.golden = True
        self.training = False
        self.on_predict: Callable[[list[Any]], Any] = lambda batch: None
        self.on_step: Callable[[int], None] = lambda number: None
        self.bucket: Callable[[Any], Any] = lambda given: None
        self.on_load: Callable[[], None] = lambda: None
        self.on_encode: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.batches: list[list[Any]] = []
        self.events: list[str] = []
        self.threads: set[str] = set()


def opened() -> threading.Event:
    """An event that is set."""
    event = threading.Event()
    event.set()
    return event


current = Stage()


def reset() -> Stage:
    """A new stage for the next test."""
    global current  # the plug-in is found by its path, so this is where test and model can meet
    current = Stage()
    return current
