"""At the queue's door: who is let in, who is refused at once, and whose work is dropped because nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from model.errors import Canceled, DeadlineExceeded, DeadlineUnreachable, InferenceFailed, QueueFull
from model.terms import Terms
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage
from tests.model.test_stream import STREAMER, Peer

Make = Callable[..., Bench]


def test_higher_priorities_overtake_what_waits(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1, queue_size=10).ready()
    held = b.occupy()
    sent = [
        *b.send_waiting(1, terms=Terms(priority="low")),
        *b.send_waiting(2, terms=Terms(priority="normal")),
        *b.send_waiting(3, terms=Terms(priority="high")),
    ]
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in [held, *sent])
    assert stage.batches == [[0.0], [3.0], [2.0], [1.0]]


def test_low_is_shed_from_half_full_normal_from_nine_tenths_and_high_when_it_is_full(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1, queue_size=10).ready()
    held = b.occupy()
    sent = b.send_waiting(*range(5), terms=Terms(priority="low"))
    refused = []
    for priority, more in (("low", 4), ("normal", 1), ("high", 0)):
        with pytest.raises(QueueFull) as full:
            b.infer(1, Terms(priority=priority))  # type: ignore[arg-type]
        refused.append((full.value.reason, full.value.status))
        assert full.value.retry_after_seconds is not None
        sent += b.send_waiting(*range(more), terms=Terms(priority="high"))
    assert refused == [("shed: low", 429), ("shed: normal", 429), ("queue_full", 429)]
    assert b.book.rejections == [("low", "shed"), ("normal", "shed"), ("high", "queue_full")]
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in [held, *sent])


def test_a_request_that_cannot_be_answered_in_time_is_refused_before_it_is_decoded(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1, queue_size=10).ready()
    b.host._fleet.engines[0].progress._mean_seconds = b.host._fleet.engines[0].progress._last_seconds = 2.0
    assert b.infer(1, Terms(timeout_seconds=1.0)).outcome == "ok", "an idle model may be faster than it was"
    b.host._fleet.engines[0].progress._mean_seconds = b.host._fleet.engines[0].progress._last_seconds = 2.0
    held, waiting = b.occupy(), b.send_waiting(1)
    with pytest.raises(DeadlineUnreachable) as refused:
        b.host.infer(b"not even JSON", "application/json", "r", Terms(timeout_seconds=1.0))
    assert (refused.value.status, refused.value.outcome, refused.value.reason) == (
        504,
        "rejected",
        "deadline_unreachable",
    )
    assert refused.value.retry_after_seconds is not None
    assert refused.value.retry_after_seconds >= 4
    assert b.book.rejections == [("normal", "deadline")]
    patient = b.send_waiting(2, terms=Terms(timeout_seconds=20.0))
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in [held, *waiting, *patient])


def test_a_request_may_ask_for_less_time_than_the_settings_allow_and_never_for_more(bench: Make, stage: Stage) -> None:
    b = bench(deadline_seconds=0.2).ready()
    b.occupy()
    for seconds in (0.01, 1000.0):
        with pytest.raises(DeadlineExceeded, match="waited in the queue"):
            b.infer(7, Terms(timeout_seconds=seconds))
    assert b.book.requests[0]["total_seconds"] < 0.2 <= b.book.requests[1]["total_seconds"] < 10
    stage.gate.set()


def test_work_whose_caller_hangs_up_while_it_waits_never_reaches_the_model(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1).ready()
    held, peer = b.occupy(), Peer()
    (sent,) = b.send_waiting(7, terms=Terms(caller=peer))
    b.until(lambda: peer.on_gone is not None)
    peer.hang_up()
    with pytest.raises(Canceled):
        sent.result(PATIENCE)
    assert b.host.status().queue_depth == 0
    stage.gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    assert stage.batches == [[0.0]]
    assert sorted(b.book.outcomes) == ["canceled", "ok"]


def test_a_caller_that_hangs_up_while_it_is_computed_gives_its_thread_back_at_once(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1).ready()
    stage.gate.clear()
    peer = Peer()
    sent = b.send(7, Terms(caller=peer))
    assert stage.entered.acquire(timeout=PATIENCE)
    b.until(lambda: peer.on_gone is not None)
    peer.hang_up()
    with pytest.raises(Canceled):
        sent.result(PATIENCE)
    stage.gate.set()
    b.until(lambda: b.host.status().in_flight == 0)
    assert b.infer(1).outcome == "ok"
    assert b.book.outcomes == ["canceled", "ok"]


def test_a_caller_that_left_during_a_batch_is_not_served_when_that_is_retried(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=4).ready()
    held, peer = b.occupy(), Peer()
    (leaver,) = b.send_waiting(1, terms=Terms(caller=peer))
    (stayer,) = b.send_waiting(2)
    b.until(lambda: peer.on_gone is not None)

    def fail_together(batch: list[float]) -> None:
        if len(batch) == 2:
            peer.hang_up()
            raise RuntimeError("not both")

    stage.on_predict = fail_together
    stage.gate.set()
    assert stayer.result(PATIENCE).outcome == held.result(PATIENCE).outcome == "ok"
    with pytest.raises(Canceled):
        leaver.result(PATIENCE)
    assert stage.batches == [[0.0], [1.0, 2.0], [2.0]]


def test_inputs_of_different_buckets_are_never_in_one_batch(bench: Make, stage: Stage) -> None:
    b = bench(path=STREAMER, batch_size=4, queue_size=10).ready()
    stage.bucket = lambda number: number % 2
    sent = [b.occupy(), *b.send_waiting(1, 2, 3, 4)]
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in sent)
    assert stage.batches == [[0.0], [1.0, 3.0], [2.0, 4.0]]


def test_a_bucket_that_cannot_be_compared_is_the_models_failure(bench: Make, stage: Stage) -> None:
    b = bench(path=STREAMER).ready()
    stage.bucket = lambda number: [number]
    with pytest.raises(InferenceFailed, match="bucket"):
        b.infer(1)


def test_inputs_are_decoded_beside_the_model_not_before_it(
    bench: Make, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(batch_size=1).ready()
    from tests.model.plugin import Multiplier  # after the load: it imports torch

    held = b.occupy()
    decoded: list[str] = []

    def decode(self: Multiplier, body: bytes, content_type: str) -> float:
        decoded.append(threading.current_thread().name)
        return float(body)

    monkeypatch.setattr(Multiplier, "decode", decode)
    sent = b.send_waiting(1, 2, 3)
    assert len(decoded) == 3, "while the model is held inside predict"
    assert "model" not in decoded
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in [held, *sent])
