"""Code that waits for another thread does so in the same way on a thread of its own and on an event loop."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest

from pause import Bell, Hub, make_bell, off_loop, on_loop


class Loop:
    """An event loop that has nothing but its hub; its time is driven by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: queue.Queue[None] = queue.Queue()
        self.hub = Hub(lambda: self.calls.put(None), lambda: self.now)

    def turn(self) -> None:
        """Wait for a call, and answer it."""
        self.calls.get(timeout=10)
        self.hub.go_on()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def waiting(bells: list[Bell], said: list[str], name: str, seconds: float = 60.0) -> Callable[[], None]:
    def run() -> None:
        bells.append(make_bell())
        said.append(f"{name} waits")
        bells[-1].wait(seconds)
        said.append(f"{name} goes on")

    return run


def test_on_a_thread_a_bell_wakes_its_thread_and_a_timeout_does_too() -> None:
    bell = make_bell()
    thread = threading.Thread(target=bell.wait, args=(60.0,))
    thread.start()
    bell.ring()
    bell.ring()
    thread.join(10)
    assert not thread.is_alive()
    began = time.monotonic()
    make_bell().wait(0.01)
    assert time.monotonic() - began >= 0.01


def test_on_a_loop_many_wait_at_once_and_go_on_in_the_order_in_which_their_bells_ring(loop: Loop) -> None:
    bells: list[Bell] = []
    said: list[str] = []
    for name in "abc":
        loop.hub.start(waiting(bells, said, name))
    assert said == ["a waits", "b waits", "c waits"]

    def ring() -> None:
        for place in (2, 0):
            bells[place].ring()

    ringer = threading.Thread(target=ring)
    ringer.start()
    ringer.join(10)
    loop.turn()
    assert said[3:] == ["c goes on", "a goes on"]
    bells[1].ring()
    loop.turn()
    assert said[5:] == ["b goes on"]


def test_many_bells_call_the_loop_once(loop: Loop) -> None:
    bells: list[Bell] = []
    for name in "abcd":
        loop.hub.start(waiting(bells, [], name))
    for bell in bells:
        bell.ring()
    assert loop.calls.qsize() == 1


def test_who_has_waited_long_enough_goes_on_without_a_bell_and_a_late_one_changes_nothing(loop: Loop) -> None:
    bells: list[Bell] = []
    said: list[str] = []
    loop.hub.start(waiting(bells, said, "a", 2.0))
    loop.hub.start(waiting(bells, said, "b", 1.0))
    assert loop.hub.patience() == 1.0
    loop.now += 1.5
    loop.hub.go_on()
    assert said[2:] == ["b goes on"]
    bells[1].ring()
    loop.turn()
    assert said[3:] == []
    assert loop.hub.patience() == 0.5


def test_a_bell_that_has_rung_is_not_waited_for(loop: Loop) -> None:
    said: list[str] = []

    def run() -> None:
        bell = make_bell()
        bell.ring()
        bell.wait(60.0)
        said.append("done")

    loop.hub.start(run)
    assert said == ["done"]


def test_only_what_the_loop_has_started_is_on_it(loop: Loop) -> None:
    said: list[bool] = []
    bells: list[Bell] = []

    def run() -> None:
        said.append(on_loop())
        bells.append(make_bell())
        bells[0].wait(60.0)
        said.append(on_loop())

    loop.hub.start(run)
    assert not on_loop()
    bells[0].ring()
    loop.turn()
    assert said == [True, True]
    assert not on_loop()


def test_timers_of_bells_that_have_rung_do_not_pile_up(loop: Loop) -> None:
    for _ in range(5000):
        bells: list[Bell] = []
        loop.hub.start(waiting(bells, [], "a", 30.0))
        bells[0].ring()
        loop.turn()
    assert len(loop.hub._timers) < 200
    assert loop.hub.patience() is None


def test_work_that_takes_long_is_done_beside_the_loop_and_its_end_is_that_of_a_call(loop: Loop) -> None:
    said: list[object] = []
    goes_on = threading.Event()

    def work() -> int:
        goes_on.wait(10)
        said.append(on_loop())
        return threading.get_ident()

    def fail() -> None:
        raise LookupError("nothing there")

    def run() -> None:
        said.append(off_loop(work) != threading.get_ident())
        try:
            off_loop(fail)
        except LookupError as error:
            said.append(str(error))

    loop.hub.start(run)
    assert said == [], "the loop goes on meanwhile"
    goes_on.set()
    loop.turn()
    loop.turn()
    assert said == [False, True, "nothing there"]


def test_on_a_thread_such_work_is_done_there() -> None:
    assert off_loop(threading.get_ident) == threading.get_ident()
