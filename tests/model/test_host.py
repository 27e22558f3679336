"""The host with a real model: loading, answering, refusing."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import numpy
import orjson
import pytest
import torch

from model import BadInput
from model.errors import DeadlineExceeded, InferenceFailed, NotReady, OutOfMemory, QueueFull
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]


def test_importing_the_host_imports_no_torch() -> None:
    code = "import sys, model.host, model.collector; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_it_refuses_with_a_reason_and_a_time_to_come_back_until_the_model_is_loaded(bench: Make, stage: Stage) -> None:
    stage.load_gate.clear()
    b = bench().start()
    assert stage.load_entered.acquire(timeout=PATIENCE)
    with pytest.raises(NotReady) as refused:
        b.infer(1)
    assert (refused.value.status, refused.value.reason) == (503, "model_loading")
    assert refused.value.retry_after_seconds == 5.0
    status = b.host.status()
    assert (status.state, status.progress, status.version) == ("loading", "loading weights", "")
    assert status.load_seconds is not None
    stage.load_gate.set()
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(4).result["value"] == 8.0
    assert b.book.outcomes == ["rejected", "ok"]


def test_it_loads_then_warms_up_with_every_batch_size_then_checks_golden_inputs(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=4).start()
    b.until(lambda: b.host.status().state == "ready")
    assert stage.events == ["load", "predict 1", "predict 2", "predict 4", "predict 1"]
    assert stage.threads == {"model"}
    assert b.progress[-4:] == ["importing the model", "loading weights", "warming up", "checking golden inputs"]
    assert b.host.status().last_load_seconds is not None


def test_a_callback_that_raises_breaks_nothing(bench: Make) -> None:
    def angry() -> None:
        raise RuntimeError("no page to tell")

    b = bench(host={"on_change": angry}).ready()
    assert b.infer(1).outcome == "ok"


def test_an_answer_says_what_it_cost_and_who_made_it(bench: Make) -> None:
    answer = bench().ready().infer(60)
    assert answer.result == {"value": 120.0, "class": "big"}
    assert (answer.result_class, answer.model, answer.version, answer.outcome) == ("big", "multiplier", "1", "ok")
    assert answer.input == {"digits": 4}
    assert 0 <= answer.queue_seconds + answer.compute_seconds <= answer.total_seconds


def test_requests_that_wait_together_go_in_one_batch_of_at_most_the_size(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=4).ready()
    sent = [b.occupy(), *b.send_waiting(1, 2, 3, 4, 5)]
    stage.gate.set()
    assert [future.result(PATIENCE).result["value"] for future in sent] == [0, 2, 4, 6, 8, 10]
    assert stage.batches == [[0.0], [1.0, 2.0, 3.0, 4.0], [5.0]]
    assert b.book.batches == [1, 4, 1]


def test_a_full_queue_is_a_429_that_says_when_to_come_back(bench: Make, stage: Stage) -> None:
    b = bench(queue_size=2).ready()
    sent = [b.occupy(), *b.send_waiting(1, 2)]
    with pytest.raises(QueueFull) as refused:
        b.infer(3)
    assert refused.value.status == 429
    assert refused.value.retry_after_seconds is not None
    assert refused.value.retry_after_seconds >= 1
    assert refused.value.retry_after_seconds % 1 == 0
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in sent)
    assert b.book.outcomes.count("rejected") == 1


def test_a_request_that_waited_past_its_deadline_gets_a_504_and_never_reaches_the_model(
    bench: Make, stage: Stage
) -> None:
    b = bench(deadline_seconds=0.2).ready()
    held = b.occupy()
    with pytest.raises(DeadlineExceeded, match="waited in the queue"):
        b.infer(7)
    with pytest.raises(DeadlineExceeded, match="was being computed"):
        held.result(PATIENCE)
    assert b.host.status().queue_depth == 0
    stage.gate.set()
    b.until(lambda: b.host.status().in_flight == 0)
    assert stage.batches == [[0.0]]
    assert b.book.outcomes == ["timeout", "timeout"]


def test_bad_input_is_the_callers_fault_and_counts_as_such(bench: Make) -> None:
    b = bench().ready()
    with pytest.raises(BadInput, match="decimal point") as bad:
        b.host.infer(b'"one"', "application/json", "r")
    assert bad.value.status == 422
    assert b.book.outcomes == ["bad_input"]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (torch.ones(2), "Tensor"),
        ({"value": {1, 2}}, "set"),
        ({1: "one"}, "Dict key must be str"),
        ("\ud800", "UTF-8"),
    ],
)
def test_a_result_that_json_cannot_carry_is_an_error_that_names_it(
    bench: Make, stage: Stage, result: object, words: str
) -> None:
    b = bench().ready()
    stage.on_encode = lambda answer: result
    with pytest.raises(InferenceFailed, match=words) as failed:
        b.infer(1)
    assert str(failed.value.reason).startswith("not_json: ")
    assert b.book.outcomes == ["error"]


def test_an_answer_carries_its_result_as_json_in_which_a_number_that_is_none_is_null(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.on_encode = lambda answer: {"value": float("nan"), "class": "odd", "box": numpy.array([1.0, 2.5])}
    answer = b.infer(1)
    assert orjson.loads(answer.json) == {"value": None, "class": "odd", "box": [1.0, 2.5]}
    assert (answer.outcome, answer.result_class) == ("ok", "odd")


def test_one_bad_input_in_a_batch_fails_alone(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=4).ready()

    def dislike(batch: list[float]) -> None:
        if 3.0 in batch:
            raise BadInput("three is not served", 422)
        if 4.0 in batch:
            raise ZeroDivisionError("four")

    stage.on_predict = dislike
    held = b.occupy()
    one, three, four, five = b.send_waiting(1, 3, 4, 5)
    stage.gate.set()
    assert held.result(PATIENCE).outcome == one.result(PATIENCE).outcome == five.result(PATIENCE).outcome == "ok"
    with pytest.raises(BadInput, match="three"):
        three.result(PATIENCE)
    with pytest.raises(InferenceFailed) as failed:
        four.result(PATIENCE)
    assert failed.value.reason == "ZeroDivisionError: four"
    assert sorted(b.book.outcomes) == ["bad_input", "error", "ok", "ok", "ok"]
    assert b.host.health().ready.ok, "a request that fails is no outage"


def test_out_of_memory_is_met_with_smaller_batches(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=8).ready()
    stage.on_predict = out_of_memory_above(2)
    sent = [b.occupy(), *b.send_waiting(*range(1, 9))]
    stage.gate.set()
    assert [future.result(PATIENCE).result["value"] for future in sent] == [2.0 * number for number in range(9)]
    assert [len(batch) for batch in stage.batches] == [1, 8, 4, 2, 2, 4, 2, 2]
    assert b.book.batches == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("error", ["torch", "cpu", "python"])
def test_an_input_that_does_not_fit_alone_is_a_413_and_its_neighbours_are_served(
    bench: Make, stage: Stage, error: str
) -> None:
    b = bench(batch_size=4).ready()

    def too_large(batch: list[float]) -> None:
        if 99.0 in batch:
            raise memory_error(error)

    stage.on_predict = too_large
    held = b.occupy()
    small, large, tiny = b.send_waiting(1, 99, 2)
    stage.gate.set()
    assert [each.result(PATIENCE).outcome for each in (held, small, tiny)] == ["ok", "ok", "ok"]
    with pytest.raises(OutOfMemory) as refused:
        large.result(PATIENCE)
    assert (refused.value.status, refused.value.outcome) == (413, "oom")


def test_a_single_input_gets_a_second_try_after_memory_was_freed(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    tries: list[int] = []

    def first_time(batch: list[float]) -> None:
        tries.append(len(batch))
        if len(tries) == 1:
            raise memory_error("torch")

    stage.on_predict = first_time
    assert b.infer(1).outcome == "ok"


def test_a_wrong_number_of_results_fails_the_requests_and_not_the_host(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.on_predict = lambda batch: [1.0, 2.0]
    with pytest.raises(InferenceFailed) as failed:
        b.infer(1)
    assert failed.value.reason == "predict returned 2 results for 1 inputs"
    stage.on_predict = lambda batch: None
    assert b.infer(1).outcome == "ok"


def test_an_encode_that_raises_is_the_models_failure(bench: Make) -> None:
    b = bench().ready()
    with pytest.raises(InferenceFailed, match="encode"):
        b.infer(-1)
    assert b.book.outcomes == ["error"]


def test_only_so_many_requests_decode_at_once(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    b = bench().ready()
    from tests.model.plugin import Multiplier  # after the load: it imports torch

    inside, peak, lock, gate = 0, 0, threading.Lock(), threading.Event()

    def slow(self: Multiplier, body: bytes, content_type: str) -> float:
        nonlocal inside, peak
        with lock:
            inside += 1
            peak = max(peak, inside)
        gate.wait(PATIENCE)
        with lock:
            inside -= 1
        return float(body)

    monkeypatch.setattr(Multiplier, "decode", slow)
    sent = [b.send(number) for number in range(6)]
    b.until(lambda: inside == 2)
    gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in sent)
    assert peak == 2


def test_an_input_is_let_go_as_soon_as_it_is_answered(
    bench: Make, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench().ready()
    from tests.model.plugin import Multiplier

    class Image(float):
        """Stands for something large."""

    seen: list[weakref.ref[Image]] = []

    def decode(self: Multiplier, body: bytes, content_type: str) -> Image:
        image = Image(body)
        seen.append(weakref.ref(image))
        return image

    monkeypatch.setattr(Multiplier, "decode", decode)
    assert b.infer(3).outcome == "ok"
    stage.batches.clear()
    b.until(lambda: seen[0]() is None)


def test_a_plug_in_that_ends_the_thread_is_contained_and_can_be_reloaded(bench: Make, stage: Stage) -> None:
    b = bench().ready()

    def leave(batch: list[float]) -> None:
        raise SystemExit("goodbye")

    stage.on_predict = leave
    with pytest.raises(InferenceFailed):
        b.infer(1)
    b.until(lambda: b.host.status().state == "failed")
    assert b.host.status().reason == "model_thread_died: SystemExit: goodbye"
    with pytest.raises(NotReady):
        b.infer(1)
    stage.on_predict = lambda batch: None
    assert b.host.reload("operator")
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(1).outcome == "ok"


@pytest.mark.parametrize(
    ("model", "host", "reason"),
    [
        ({"enabled": False}, {}, "disabled"),
        ({}, {"disabled": "safe_mode: 5 crashes in 300 s"}, "safe_mode: 5 crashes in 300 s"),
    ],
)
def test_a_disabled_host_starts_nothing_and_says_why(
    bench: Make, stage: Stage, model: dict[str, bool], host: dict[str, str], reason: str
) -> None:
    before = set(threading.enumerate())
    b = bench(host=host, **model).start()
    assert set(threading.enumerate()) <= before
    assert (b.host.status().state, b.host.status().reason) == ("disabled", reason)
    assert not b.host.reload("operator")
    b.host.check(1)
    with pytest.raises(NotReady) as refused:
        b.infer(1)
    assert refused.value.reason == reason
    health = b.host.health()
    assert (health.live.ok, health.startup.ok, health.ready.ok) == (True, True, False)
    assert health.checks["model"] == ("absent" if model else False)


def memory_error(kind: str) -> Exception:
    """What each allocator raises when there is no more."""
    import torch  # after the model thread did: the tests' own process may import it

    return {
        "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        "cpu": RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."
        ),
        "python": MemoryError(),
    }[kind]


def out_of_memory_above(size: int) -> Callable[[list[float]], None]:
    """A device on which ``size`` inputs fit."""

    def predict(batch: list[float]) -> None:
        if len(batch) > size:
            raise memory_error("torch")

    return predict
