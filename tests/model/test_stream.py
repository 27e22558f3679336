"""Streams: steps in turn with everything else, and an end for each of them, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from model import BadInput
from model.errors import (
    Canceled,
    DeadlineExceeded,
    Draining,
    InferenceFailed,
    NoStream,
    NotReady,
    OutOfMemory,
    QueueFull,
)
from model.stream import BUFFERED_STEPS
from model.subscription import Subscription
from model.terms import Terms
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]
STREAMER = "tests.model.streamer:Streamer"


class Peer:
    """A caller that hangs up when told to."""

    def __init__(self) -> None:
        self.left = False
        self.on_gone: Callable[[], None] | None = None

    def gone(self) -> bool:
        return self.left

    @contextmanager
    def watch(self, on_gone: Callable[[], None]) -> Iterator[None]:
        self.on_gone = on_gone
        try:
            yield
        finally:
            self.on_gone = None

    def hang_up(self) -> None:
        self.left = True
        assert self.on_gone is not None, "nobody watches"
        self.on_gone()


@pytest.fixture
def b(bench: Make) -> Bench:
    return bench(path=STREAMER, max_streams=2, queue_size=8, batch_size=1).ready()


def events(subscription: Subscription) -> list[tuple[str, Any]]:
    """Everything up to the end."""
    found: list[tuple[str, Any]] = []
    while (event := subscription.read(PATIENCE)) != "end":
        assert event != "nothing"
        found.append((event.kind, orjson.loads(event.json)))
    return found


def test_a_stream_comes_in_steps_with_progress_between_and_is_counted_once_at_its_end(b: Bench, stage: Stage) -> None:
    stream = b.stream(3)
    assert events(stream) == [
        ("progress", {"done": 1, "total": 3}),
        ("progress", {"done": 2, "total": 3}),
        ("data", {"value": 6.0, "class": "small"}),
    ]
    assert b.book.outcomes == []
    stream.close()
    stream.close()
    assert (b.book.outcomes, b.book.steps, stream.steps) == (["ok"], 3, 3)
    assert stream.compute_seconds <= stream.total_seconds
    assert stage.threads == {"model"}
    b.until(lambda: b.host.status().streams_open == 0)


def test_a_model_without_a_stream_says_so(bench: Make) -> None:
    b = bench().ready()
    with pytest.raises(NoStream, match="answers in one piece") as refused:
        b.stream(3)
    assert refused.value.status == 406
    assert b.book.outcomes == ["bad_input"]


def test_steps_of_streams_and_batches_take_turns(b: Bench, stage: Stage) -> None:
    held = b.occupy()
    streams = [b.stream(4), b.stream(3)]
    sent = b.send_waiting(1, 2)
    stage.gate.set()
    for stream in streams:
        events(stream)
    assert all(future.result(PATIENCE).outcome == "ok" for future in [held, *sent])
    assert stage.events[:7] == [
        "predict 1",
        *("predict 1", "step 1 of 4", "step 1 of 3"),
        *("predict 1", "step 2 of 4", "step 2 of 3"),
    ]


def test_one_more_stream_than_may_be_open_is_refused_and_low_priority_sooner(b: Bench, stage: Stage) -> None:
    stage.gate.clear()
    b.stream(2)
    with pytest.raises(QueueFull) as shed:
        b.stream(2, Terms(priority="low"))
    b.stream(2)
    with pytest.raises(QueueFull) as full:
        b.stream(2, Terms(priority="high"))
    assert (shed.value.reason, full.value.reason) == ("shed: low", "streams_full")
    assert full.value.retry_after_seconds is not None
    assert b.book.rejections == [("low", "shed"), ("high", "queue_full")]


def test_a_reader_that_leaves_has_the_generator_closed_on_the_model_thread_before_its_next_step(
    b: Bench, stage: Stage
) -> None:
    stage.gate.clear()
    peer = Peer()
    stream = b.stream(100, Terms(caller=peer))
    assert stage.entered.acquire(timeout=PATIENCE)
    peer.hang_up()
    with pytest.raises(Canceled):
        stream.read(PATIENCE)
    stage.gate.set()
    b.until(lambda: b.host.status().streams_open == 0)
    assert stage.events == ["step 1 of 100", "closed 100"]
    assert stage.threads == {"model"}
    stream.close()
    assert b.book.outcomes == ["canceled"]


def test_closing_a_stream_that_waits_for_its_first_turn_costs_the_model_nothing(b: Bench, stage: Stage) -> None:
    held = b.occupy()
    b.stream(5).close()
    stage.gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    b.until(lambda: b.host.status().streams_open == 0)
    assert stage.events == ["predict 1"]
    assert sorted(b.book.outcomes) == ["canceled", "ok"]


def test_a_caller_that_has_gone_before_the_stream_opens_never_gets_a_turn(b: Bench, stage: Stage) -> None:
    peer = Peer()
    peer.left = True
    with pytest.raises(Canceled):
        b.stream(5, Terms(caller=peer))
    assert stage.events == []
    assert b.book.outcomes == ["canceled"]


def test_a_reader_that_takes_nothing_makes_the_model_rest_and_others_go_on(b: Bench, stage: Stage) -> None:
    stream = b.stream(100)
    b.until(lambda: stream.steps == BUFFERED_STEPS)
    assert b.infer(1).outcome == "ok"
    assert stream.steps == BUFFERED_STEPS
    assert len(events(stream)) == 100


def test_an_error_midway_comes_after_the_steps_before_it(b: Bench, stage: Stage) -> None:
    def third(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError("three")

    stage.on_step = third
    stream = b.stream(5)
    assert [stream.read(PATIENCE) != "nothing" for _ in range(2)] == [True, True]
    with pytest.raises(InferenceFailed) as failed:
        stream.read(PATIENCE)
    assert failed.value.reason == "ZeroDivisionError: three"
    stream.close()
    assert b.book.outcomes == ["error"]
    b.until(lambda: b.host.status().streams_open == 0)
    assert b.infer(1).outcome == "ok"


@pytest.mark.parametrize(
    ("error", "kind", "outcome"),
    [(BadInput("too long", 422), BadInput, "bad_input"), (MemoryError(), OutOfMemory, "oom")],
)
def test_what_a_step_raises_is_told_apart(
    b: Bench, stage: Stage, error: Exception, kind: type[Exception], outcome: str
) -> None:
    def fail(number: int) -> None:
        raise error

    stage.on_step = fail
    stream = b.stream(5)
    with pytest.raises(kind):
        stream.read(PATIENCE)
    stream.close()
    assert b.book.outcomes == [outcome]


def test_a_step_that_cannot_be_encoded_ends_the_stream(b: Bench, stage: Stage) -> None:
    stage.on_encode = lambda answer: {1, 2}
    stream = b.stream(1)
    with pytest.raises(InferenceFailed, match="set"):
        stream.read(PATIENCE)
    stream.close()
    assert b.book.outcomes == ["error"]
    b.until(lambda: b.host.status().streams_open == 0)


def test_a_step_that_takes_longer_than_the_deadline_ends_the_stream(bench: Make, stage: Stage) -> None:
    b = bench(path=STREAMER, deadline_seconds=0.1).ready()
    stage.gate.clear()
    stream = b.stream(5)
    with pytest.raises(DeadlineExceeded, match="worked on the next step"):
        stream.read(PATIENCE)
    stream.close()
    assert b.book.outcomes == ["timeout"]
    stage.gate.set()
    b.until(lambda: b.host.status().streams_open == 0)
    assert stage.events == ["step 1 of 5", "closed 5"]


def test_a_stream_ends_when_its_own_time_is_over_even_if_nobody_reads_it(b: Bench, stage: Stage) -> None:
    stream = b.stream(1000, Terms(timeout_seconds=0.2))
    b.until(lambda: "closed 1000" in stage.events)
    assert b.host.status().streams_open == 0
    with pytest.raises(DeadlineExceeded, match="ran out of time"):
        events(stream)
    stream.close()
    assert b.book.outcomes == ["timeout"]


def test_a_drain_waits_for_streams_and_ends_those_that_take_too_long(b: Bench, stage: Stage) -> None:
    stream = b.stream(1000)
    stream.read(PATIENCE)
    b.host.stop(0.05)
    with pytest.raises(Draining):
        events(stream)
    stream.close()
    assert b.book.outcomes == ["rejected"]


def test_a_stream_that_has_begun_stays_with_its_instance_through_a_reload(b: Bench, stage: Stage) -> None:
    stage.gate.clear()
    stream = b.stream(2)
    assert stage.entered.acquire(timeout=PATIENCE)
    stage.gate.set()
    stage.version = "2"
    assert b.host.reload("operator")
    b.until(lambda: b.host.status().version == "2")
    assert [kind for kind, _ in events(stream)] == ["progress", "data"]
    assert stream.version == "1"


def test_a_model_thread_that_dies_ends_its_streams(b: Bench, stage: Stage) -> None:
    def leave(number: int) -> None:
        raise SystemExit("goodbye")

    stage.on_step = leave
    stream = b.stream(5)
    with pytest.raises((NotReady, InferenceFailed)):
        stream.read(PATIENCE)
    stream.close()
    b.until(lambda: b.host.status().state == "failed")


def test_a_generator_that_raises_when_it_is_closed_harms_nobody(b: Bench, stage: Stage, monkeypatch: Any) -> None:
    from tests.model.streamer import Streamer  # after the load: it imports torch

    def stubborn(self: Streamer, input: Any) -> Iterator[Any]:
        try:
            yield 1.0
            yield 2.0
        finally:
            raise RuntimeError("no")

    monkeypatch.setattr(Streamer, "stream", stubborn)
    stream = b.stream(5)
    stream.read(PATIENCE)
    stream.close()
    b.until(lambda: b.host.status().streams_open == 0)
    assert b.infer(1).outcome == "ok"
