"""Calls into the plug-in's code beside the model thread's own work: seen from here and from outside, and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from blackbox import BlackBox
from model.call import LOAD, Calls
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]


class Notes:
    """A recorder that remembers what runs."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[str, str]] = {}
        self.steps: list[tuple[str, Sequence[str], Sequence[str]]] = []
        self._next = 0

    def enter(self, what: str, request_id: str) -> int:
        self._next += 1
        self.running[self._next] = (what, request_id)
        return self._next

    def leave(self, place: int) -> None:
        del self.running[place]

    def shapes(self, inputs: Sequence[Any]) -> Sequence[str]:
        return [type(one).__name__ for one in inputs]

    def begin(self, what: str, size: int, request_ids: Sequence[str], shapes: Sequence[str]) -> None:
        self.steps.append((what, request_ids, shapes))

    def end(self) -> None: ...


def test_the_one_that_has_run_for_the_longest_is_known_loads_aside() -> None:
    clock, notes = Clock(), Notes()
    calls = Calls(clock)
    calls.recorder = notes
    load = calls.enter(LOAD)
    clock.now += 5
    assert (calls.longest(), calls.longest_seconds()) == (None, None)
    with calls.running("decode", "a"):
        clock.now += 1
        with calls.running("encode", "b"):
            clock.now += 1
            longest = calls.longest()
            assert longest is not None
            assert (longest.what, longest.request_id, calls.longest_seconds()) == ("decode", "a", 2)
            assert sorted(notes.running.values()) == [("decode", "a"), ("encode", "b"), ("load", "")]
    assert list(notes.running.values()) == [("load", "")]
    calls.leave(load)
    calls.leave(load)
    assert notes.running == {}


def test_a_call_that_raises_is_over() -> None:
    calls = Calls(Clock())
    with pytest.raises(ValueError, match="no"), calls.running("decode"):
        raise ValueError("no")
    assert calls.longest() is None


@pytest.mark.parametrize("path", ["Stuck", "Mute"])
def test_code_on_a_requests_thread_that_hangs_ends_the_process_like_a_batch(
    bench: Make, stage: Stage, path: str
) -> None:
    clock = Clock()
    b = bench(
        host={"clock": clock}, path=f"tests.model.forgiving:{path}", watchdog_seconds=2.0, deadline_seconds=60.0
    ).ready()  # fmt: skip
    stage.gate.clear()
    sent = b.send(5.0)
    assert stage.entered.acquire(timeout=PATIENCE)
    assert b.fatal == []
    clock.now += 3
    b.until(lambda: bool(b.fatal))
    word = "decode" if path == "Stuck" else "encode"
    assert b.fatal == [f"hang: {word} running for 3s"]
    assert not b.host.health().live.ok
    stage.gate.set()
    sent.exception(PATIENCE)


def test_a_load_that_is_given_up_is_no_reason_to_end_the_process_that_serves(bench: Make, stage: Stage) -> None:
    clock, notes = Clock(), Notes()
    b = bench(host={"clock": clock}, load_seconds=5.0)
    b.host.record_to(notes)
    b.ready()
    stage.load_gate.clear()
    assert b.host.reload("manual")
    assert stage.load_entered.acquire(timeout=PATIENCE)
    assert ("load", "") in notes.running.values()
    clock.now += 6
    b.until(lambda: ("load", "") not in notes.running.values())
    assert b.fatal == []
    assert b.infer(2).outcome == "ok"
    stage.load_gate.set()


def test_every_step_of_a_stream_is_noted_with_what_the_stream_was_given(bench: Make, stage: Stage) -> None:
    notes = Notes()
    b = bench(path="tests.model.streamer:Streamer")
    b.host.record_to(notes)
    b.ready()
    notes.steps.clear()
    with_one_step = b.stream(1)
    while with_one_step.read(PATIENCE) != "end":
        pass
    b.until(lambda: b.host.status().streams_open == 0)
    assert notes.steps == [("step", ["request-1"], ["float"])] * 2 + [("close", ["request-1"], ["float"])]


def test_the_black_box_is_such_a_recorder(bench: Make, stage: Stage) -> None:
    box = BlackBox()
    b = bench()
    b.host.record_to(box)
    b.ready()
    held = b.occupy(3)
    flight = box.read()
    assert flight is not None
    assert (flight.what, flight.request_ids, flight.ended) == ("batch", ["request-1"], None)
    stage.gate.set()
    held.result(PATIENCE)
    assert box.calls() == []
