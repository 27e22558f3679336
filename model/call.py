"""Calls into the plug-in's code beside the model thread's own work: what runs, on whose behalf, and since when.

A call that holds the interpreter stops every thread of this process, so each is also noted where another process can
read it, before it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple, Protocol

#: A load has a limit of its own, and somebody else who watches it.
LOAD = "load"


class CallRecorder(Protocol):
    """Notes calls outside of this process. Any thread may call; every microsecond counts."""

    def enter(self, what: str, request_id: str) -> int:
        """A call starts; returns its place, for :meth:`leave`."""
        ...

    def leave(self, place: int) -> None:
        """It is over, or nobody waits for it any more."""
        ...


class Call(NamedTuple):
    """One call that runs: ``decode``, ``encode``, ``load`` … ``since`` is a moment of the clock."""

    what: str
    request_id: str
    since: float
    place: int


class Calls:
    """Those that run now. Any thread may call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = count()
        self._running: dict[int, Call] = {}
        #: Set before the first call; whoever asks after a crash reads it.
        self.recorder: CallRecorder | None = None

    def enter(self, what: str, request_id: str = "") -> int:
        """A call starts; returns its number, for :meth:`leave`."""
        number, recorder = next(self._numbers), self.recorder
        place = -1 if recorder is None else recorder.enter(what, request_id)
        self._running[number] = Call(what, request_id, self._clock(), place)
        return number

    def leave(self, number: int) -> None:
        """It is over, or nobody waits for it any more."""
        call = self._running.pop(number, None)
        if call is not None and self.recorder is not None:
            self.recorder.leave(call.place)

    @contextmanager
    def running(self, what: str, request_id: str = "") -> Iterator[None]:
        """Around a call."""
        number = self.enter(what, request_id)
        try:
            yield
        finally:
            self.leave(number)

    def longest(self) -> Call | None:
        """The one that has run for the longest, loads aside."""
        calls = [call for call in list(self._running.values()) if call.what != LOAD]
        return min(calls, key=lambda call: call.since, default=None)

    def longest_seconds(self) -> float | None:
        """For how long that one has run."""
        call = self.longest()
        return None if call is None else self._clock() - call.since

    def give_up_loads(self) -> None:
        """The loads that run are waited for no longer: that they do not end is no reason to end the process."""
        for number, call in list(self._running.items()):
            if call.what == LOAD:
                self.leave(number)
