"""Waiting for another thread: asleep, or, on an event loop, aside while the loop goes on with something else.

Code that waits makes a bell and waits for it, and need not know which of the two it does. On a thread of its own the
thread sleeps. What an event loop has started with :meth:`Hub.start` runs in a greenlet, which is put aside until the
bell has rung; so one thread can wait for hundreds of answers with the very code that others run on a thread each.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol, TypeVar

from greenlet import greenlet

#: Timers of those that wait no more, which are kept until it pays to throw them away.
_SLACK = 64

_local = threading.local()
Result = TypeVar("Result")


class Bell(Protocol):
    """Rung once, by any thread; waited for by the one that made it."""

    def ring(self) -> None:
        """Let whoever waits go on. More than once is as good as once."""

    def wait(self, timeout_seconds: float) -> None:
        """Return when it has rung, or the time is over."""


def make_bell() -> Bell:
    """A bell for the code at hand to wait for."""
    hub: Hub | None = getattr(_local, "hub", None)
    return _ThreadBell() if hub is None else _HubBell(hub)


def on_loop() -> bool:
    """Whether the code at hand runs on an event loop, where it may wait for bells only."""
    return getattr(_local, "hub", None) is not None


def off_loop(work: Callable[[], Result]) -> Result:
    """Do what may take long over something else than bells: here, or, on an event loop, on a thread of its own.

    Returns and raises what ``work`` does.
    """
    if not on_loop():
        return work()
    bell, done = make_bell(), Future[Result]()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # handed on to whoever waits, whatever it is
            done.set_exception(error)
        bell.ring()

    threading.Thread(target=run, name="off the loop", daemon=True).start()
    bell.wait(math.inf)
    return done.result()


class _ThreadBell:
    """A lock that is held until there is something to wake up for: a third of the cost of an Event."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # it has rung before
            self._lock.release()

    def wait(self, timeout_seconds: float) -> None:
        self._lock.acquire(timeout=min(max(0.0, timeout_seconds), threading.TIMEOUT_MAX))


class _HubBell:
    """Known to the loop: whoever waits for it stands aside."""

    __slots__ = ("_hub", "rung", "waiter")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.rung = False
        self.waiter: greenlet | None = None

    def ring(self) -> None:
        if not self.rung:
            self.rung = True
            self._hub.heard(self)

    def wait(self, timeout_seconds: float) -> None:
        if not self.rung and timeout_seconds > 0:
            self._hub.stand_aside(self, timeout_seconds)


class Hub:
    """The event loop's side of it; everything but :meth:`heard` is for its thread.

    ``wake`` is called from any thread when a bell has rung, once for all that ring before the loop looks: it has to
    bring about a call of :meth:`go_on` on the loop.
    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._rung: deque[_HubBell] = deque()
        self._called = False
        self._timers: list[tuple[float, int, _HubBell]] = []
        self._numbers = itertools.count()
        self._waiting = 0

    def start(self, run: Callable[[], None]) -> None:
        """Run it until it first waits, or to its end. It must not raise."""
        self._switch(greenlet(run))

    def go_on(self) -> None:
        """Go on with those whose bell has rung, and those whose time is over."""
        self._called = False  # before the bells are taken: one that rings from here on calls again
        for _ in range(len(self._rung)):
            self._resume(self._rung.popleft())
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            self._resume(heapq.heappop(self._timers)[2])

    def patience(self) -> float | None:
        """Seconds until somebody's time is over; ``None`` while nobody waits."""
        while self._timers and self._timers[0][2].waiter is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self._clock()) if self._timers else None

    def heard(self, bell: _HubBell) -> None:
        """A bell has rung, on any thread."""
        self._rung.append(bell)
        if not self._called:
            self._called = True
            self._wake()

    def stand_aside(self, bell: _HubBell, timeout_seconds: float) -> None:
        """Let the loop go on, in the greenlet that waits."""
        waiter = bell.waiter = greenlet.getcurrent()
        if len(self._timers) > 2 * self._waiting + _SLACK:  # most bells ring long before their time
            self._timers = [timer for timer in self._timers if timer[2].waiter is not None]
            heapq.heapify(self._timers)
        heapq.heappush(self._timers, (self._clock() + timeout_seconds, next(self._numbers), bell))
        self._waiting += 1
        assert waiter.parent is not None, "the loop itself cannot stand aside"
        waiter.parent.switch()

    def _resume(self, bell: _HubBell) -> None:
        waiter, bell.waiter = bell.waiter, None
        if waiter is not None:  # it waits still: neither of the two has come before
            self._waiting -= 1
            self._switch(waiter)

    def _switch(self, to: greenlet) -> None:
        to.parent = greenlet.getcurrent()
        _local.hub = self
        try:
            to.switch()
        finally:
            _local.hub = None
