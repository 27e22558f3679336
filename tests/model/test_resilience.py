"""A host whose model fails: the breaker, the answers that stand in, the reload, and what health says meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from model import BadInput, Model
from model.answer import Answer
from model.collector import ModelCollector
from model.errors import BreakerOpen, DeadlineExceeded, InferenceFailed, NotReady, OutOfMemory, QueueFull
from model.exchange import Order
from model.subscription import Subscription
from model.terms import Terms
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]
FORGIVING = "tests.model.forgiving:Forgiving"
WAVERING = "tests.model.wavering:Wavering"


def broken(batch: list[float]) -> None:
    raise ZeroDivisionError("every input fails")


def no_room(batch: list[float]) -> None:
    raise MemoryError


def fail(b: Bench, times: int, kind: type[Exception] = InferenceFailed) -> None:
    for number in range(times):
        with pytest.raises(kind):
            b.infer(float(number))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(bench: Make, clock: Clock) -> Make:
    """A host whose breaker opens at ten requests, and whose time stands still unless it is moved."""

    def make(**settings: Any) -> Bench:
        return bench(host={"clock": clock}, **{"breaker_requests": 10, "heal_seconds": 0.0} | settings)

    return make


def all_events(stream: Subscription) -> list[Any]:
    """What the events up to the end carry."""
    found: list[Any] = []
    while (event := stream.read(PATIENCE)) != "end":
        assert event != "nothing"
        found.append(orjson.loads(event.json))
    return found


def read_all(stream: Subscription) -> None:
    while stream.read(PATIENCE) != "end":
        pass


class Pair:
    """A request of two inputs; what it asks is ``asked``, if that can be told."""

    def __init__(self, *inputs: float, asked: bytes | None = None) -> None:
        self.inputs = inputs or (1.0, 2.0)
        self.asked = asked

    def read(self, model: Model) -> Order:
        return Order(self.inputs)

    def question(self) -> Sequence[bytes] | None:
        return None if self.asked is None else (self.asked,)

    def present(self, model: Model, results: Sequence[Any]) -> list[Any]:
        return list(results)

    def write(self, model: Model, results: Sequence[Any]) -> list[Any]:
        return list(results)

    def default(self, model: Model | None, json: bytes) -> None:
        return None


# --- the breaker -------------------------------------------------------------------------------------------------


def test_a_model_that_keeps_failing_is_given_a_rest_and_ready_says_why(timed: Make, stage: Stage) -> None:
    b = timed().ready()
    stage.on_predict = broken
    fail(b, 10)
    asked = len(stage.batches)
    with pytest.raises(BreakerOpen) as refused:
        b.infer(1)
    assert (refused.value.status, refused.value.outcome, refused.value.retry_after_seconds) == (503, "rejected", 10.0)
    assert len(stage.batches) == asked, "the model is not asked"
    health = b.host.health()
    assert (health.ready.ok, health.ready.reason) == (False, "breaker_open: 100% of 10 requests failed")
    assert health.ready.suggestion
    assert health.live.ok, "nobody should kill it"
    assert health.checks["model"] is False
    assert b.host.status().breaker == "open"
    assert b.book.outcomes == ["error"] * 10 + ["rejected"]


def test_it_comes_back_by_probes_when_the_model_works_again(timed: Make, stage: Stage, clock: Clock) -> None:
    b = timed(breaker_probes=2).ready()
    stage.on_predict = broken
    fail(b, 10)
    stage.on_predict = lambda batch: None
    clock.now += 10
    assert b.host.status().breaker == "half_open"
    assert [b.infer(1).outcome, b.infer(2).outcome] == ["ok", "ok"]
    assert b.host.status().breaker == "closed"
    assert b.host.health().ready.ok


def test_golden_inputs_are_probes_where_no_request_comes(timed: Make, stage: Stage, clock: Clock) -> None:
    b = timed(breaker_probes=2).ready()
    stage.on_predict = broken
    fail(b, 10)
    stage.on_predict = lambda batch: None
    clock.now += 11
    b.host.check(1_000)
    assert not b.host.health().ready.ok, "a balancer would send nothing yet"
    clock.now += 11
    b.host.check(2_000)
    assert b.host.status().breaker == "closed"
    assert b.host.health().ready.ok


def test_a_model_without_golden_inputs_is_ready_for_probes(timed: Make, stage: Stage, clock: Clock) -> None:
    stage.golden = False
    b = timed().ready()
    stage.on_predict = broken
    fail(b, 10)
    assert not b.host.health().ready.ok
    clock.now += 10
    assert b.host.health().ready.ok, "requests are all that can prove it"


def test_the_callers_faults_the_queues_and_the_clocks_do_not_open_it(bench: Make, stage: Stage) -> None:
    b = bench(breaker_requests=3, queue_size=1, deadline_seconds=0.1).ready()
    for _ in range(5):
        with pytest.raises(BadInput):
            b.host.infer(b'"one"', "application/json", "r")
    held = b.occupy()
    for number in range(5):
        with pytest.raises((DeadlineExceeded, QueueFull)):
            b.infer(float(number))
    with pytest.raises(DeadlineExceeded):
        held.result(PATIENCE)
    assert b.host.status().breaker == "closed"


def test_garbage_on_which_decode_raises_does_not_shut_the_others_out(bench: Make) -> None:
    b = bench(path="tests.model.forgiving:Careless", breaker_requests=3).ready()
    for _ in range(10):
        with pytest.raises(InferenceFailed):
            b.host.infer(b"garbage", "application/json", "r")
    assert b.infer(2).outcome == "ok"


def test_results_with_nan_are_failures_where_the_settings_say_so(bench: Make, stage: Stage) -> None:
    lax, strict = bench().ready(), bench(reject_nan=True).ready()
    stage.on_predict = lambda batch: [float("nan")] * len(batch)
    assert lax.infer(1).json == b'{"value":null,"class":"small"}'
    with pytest.raises(InferenceFailed) as refused:
        strict.infer(1)
    assert (refused.value.reason, strict.book.outcomes) == ("nan", ["error"])


def test_every_door_to_the_model_is_shut_and_counts(bench: Make, stage: Stage) -> None:
    b = bench(path="tests.model.streamer:Streamer", breaker_requests=2, heal_seconds=0.0).ready()
    stage.on_predict = broken
    for _ in range(2):
        with pytest.raises(InferenceFailed):
            b.host.exchange(Pair(), "r")
    with pytest.raises(BreakerOpen):
        b.host.exchange(Pair(), "r")
    with pytest.raises(BreakerOpen):
        b.host.stream(b"1.0", "application/json", "r")
    assert b.book.outcomes == ["error", "error", "rejected", "rejected"]


def test_a_stream_that_breaks_off_counts_as_a_failure_and_one_that_is_left_does_not(bench: Make, stage: Stage) -> None:
    b = bench(path="tests.model.streamer:Streamer", breaker_requests=2, heal_seconds=0.0).ready()
    for _ in range(3):
        b.host.stream(b"3.0", "application/json", "r").close()
    assert b.host.status().breaker == "closed"

    def breaks_off(number: int) -> None:
        if number == 2:
            raise ZeroDivisionError("the second step fails")

    stage.on_step = breaks_off
    for _ in range(2):
        stream = b.host.stream(b"3.0", "application/json", "r")
        with pytest.raises(InferenceFailed):
            read_all(stream)
        stream.close()
    assert b.host.status().breaker == "open"


# --- the second rung ---------------------------------------------------------------------------------------------


def test_a_reload_that_helps_closes_the_breaker_and_is_recorded(bench: Make, stage: Stage) -> None:
    b = bench(breaker_requests=10, breaker_open_seconds=300.0, breaker_probes=2).ready()
    stage.on_load = lambda: setattr(stage, "on_predict", lambda batch: None)  # what a fresh instance is good for
    stage.on_predict = broken
    fail(b, 10)
    b.until(lambda: ("breaker_open", "ok") in b.book.reloads)
    b.until(lambda: b.host.status().breaker == "half_open")
    b.infer(1), b.infer(2)
    assert b.host.status().breaker == "closed"
    (remedy,) = b.host.remedies()
    assert (remedy.cause, remedy.helped, remedy.outcome) == ("breaker_open", True, "the breaker closed")
    assert remedy.why == "breaker_open: 100% of 10 requests failed"
    assert remedy.reload_seconds is not None
    assert remedy.seconds is not None


def test_a_reload_that_does_not_help_leaves_it_open_for_longer_and_is_not_repeated(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, breaker_requests=10, heal_seconds=60.0).ready()

    def fails_on_requests(batch: list[float]) -> None:
        if batch != [1.0] and len(set(batch)) == 1 and batch[0] != 1.0:
            raise ZeroDivisionError("known inputs work, new ones do not")

    stage.on_predict = fails_on_requests
    for number in range(10):
        with pytest.raises(InferenceFailed):
            b.infer(float(number + 2))
    b.until(lambda: b.host.status().breaker == "half_open")
    with pytest.raises(InferenceFailed):
        b.infer(5)
    assert b.host.status().breaker == "open"
    (remedy,) = b.host.remedies()
    assert (remedy.helped, remedy.state) == (False, "done")
    for _ in range(5):
        clock.now += 1000
        with pytest.raises(InferenceFailed):
            b.infer(5)
    assert b.book.reloads == [("breaker_open", "ok")], "once"


def test_a_reload_that_fails_leaves_the_old_instance_and_a_longer_pause(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, breaker_requests=10).ready()
    stage.on_predict = broken
    fail(b, 10)
    b.until(lambda: bool(b.host.remedies()) and b.host.remedies()[0].state == "done")
    (remedy,) = b.host.remedies()
    assert remedy.helped is False
    assert "ZeroDivisionError" in str(remedy.outcome)
    clock.now += 11
    assert b.host.status().breaker == "open", "20 s now"
    assert b.book.reloads == [("breaker_open", "failed")]


def test_a_row_of_inputs_too_large_is_told_from_a_model_that_fits_nothing(bench: Make, stage: Stage) -> None:
    b = bench(breaker_ooms=3, breaker_open_seconds=300.0).ready()

    def large_ones_do_not_fit(batch: list[float]) -> None:
        if max(batch) > 100:
            raise MemoryError

    stage.on_predict = large_ones_do_not_fit
    before = b.host._fleet.engines[0].examination
    for _ in range(3):
        with pytest.raises(OutOfMemory):
            b.infer(1000)
    b.until(lambda: b.host._fleet.engines[0].examination is not before)
    b.host.check(1_000)
    assert b.host.status().breaker == "closed", "the golden input fits: nobody else is shut out"
    assert b.host.remedies() == []
    assert b.infer(2).outcome == "ok"
    stage.on_predict = no_room
    stage.on_load = lambda: setattr(stage, "on_predict", lambda batch: None)
    fail(b, 3, OutOfMemory)
    b.until(
        lambda: b.host._fleet.engines[0].examination is not None and not b.host._fleet.engines[0].examination.model_ok
    )
    b.host.check(2_000)
    b.until(lambda: bool(b.host.remedies()) and b.host.remedies()[0].state == "watching")
    assert b.host.remedies()[0].why == "breaker_open: 3 requests in a row ran out of memory"


def test_golden_inputs_that_fail_twice_have_the_model_reloaded(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}).ready()
    stage.on_predict = lambda batch: [float("nan")] * len(batch)
    stage.on_load = lambda: setattr(stage, "on_predict", lambda batch: None)
    b.host.check(1_000)
    assert b.host.remedies() == []
    clock.now += 11
    b.host.check(2_000)
    b.until(lambda: ("golden_failed", "ok") in b.book.reloads)
    clock.now += 11
    b.host.check(3_000)
    (remedy,) = b.host.remedies()
    assert (remedy.cause, remedy.helped) == ("golden_failed", True)


# --- what stands in ----------------------------------------------------------------------------------------------


def test_the_models_own_fallback_comes_first_and_is_marked(bench: Make, stage: Stage) -> None:
    b = bench(path=FORGIVING, breaker_requests=3, heal_seconds=0.0, default_reply='{"class": "unknown"}').ready()
    stage.on_predict = broken
    answers = [b.infer(float(number)) for number in range(5)]
    assert {(one.degraded, one.outcome, one.result["value"]) for one in answers} == {("fallback", "fallback", -1.0)}
    assert answers[0].reason == "ZeroDivisionError: every input fails"
    assert answers[4].reason == "breaker_open: 100% of 3 requests failed"
    assert answers[0].result_class is None, "statistics are about what the model said"
    assert b.book.outcomes == ["fallback"] * 5


def test_then_an_old_answer_then_the_default_then_the_refusal(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(
        host={"clock": clock}, cache_bytes=100_000, cache_seconds=60.0, breaker_requests=3, heal_seconds=0.0,
        default_reply="[1, 2]",
    ).ready()  # fmt: skip
    assert b.infer(4).cache == "miss"
    clock.now += 61
    stage.on_predict = broken
    old, none = b.infer(4), b.infer(5)
    assert (old.degraded, old.result["value"], old.outcome) == ("stale", 8.0, "stale")
    assert (none.degraded, none.result, none.json) == ("default", [1, 2], b"[1, 2]")
    assert b.book.outcomes == ["ok", "stale", "default"]


def test_a_fallback_without_an_answer_to_this_input_leaves_the_refusal(bench: Make, stage: Stage) -> None:
    b = bench(path=FORGIVING).ready()
    stage.on_predict = broken
    with pytest.raises(InferenceFailed):
        b.infer(404)
    with pytest.raises(InferenceFailed):
        b.infer(500)  # there the fallback itself raises
    with pytest.raises(BadInput):
        b.host.infer(b'"one"', "application/json", "r")


def test_a_full_queue_is_answered_by_what_stands_in(bench: Make, stage: Stage) -> None:
    b = bench(path=FORGIVING, queue_size=1).ready()
    sent = [b.occupy(), *b.send_waiting(1)]
    answer = b.infer(3)
    assert (answer.degraded, answer.reason) == ("fallback", "queue_full")
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in sent)


def test_while_the_model_loads_the_default_stands_in_but_not_for_a_stop(bench: Make, stage: Stage) -> None:
    stage.load_gate.clear()
    b = bench(default_reply="null").start()
    answer = b.infer(1)
    assert (answer.degraded, answer.result, answer.reason) == ("default", None, "model_loading")
    stage.load_gate.set()
    b.until(lambda: b.host.status().state == "ready")
    off = bench(default_reply="null", enabled=False)
    with pytest.raises(NotReady):
        off.infer(1)


def test_a_failure_that_has_nothing_to_stand_in_is_what_it_was(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.on_predict = broken
    fail(b, 1)
    assert b.book.outcomes == ["error"]


def test_a_request_of_several_inputs_has_a_fallback_for_all_of_them_or_none(bench: Make, stage: Stage) -> None:
    b = bench(path=FORGIVING, breaker_requests=2, heal_seconds=0.0).ready()
    stage.on_predict = broken
    first = b.host.exchange(Pair(), "r")
    assert (first.payload, first.degraded, first.outcome) == ([-1.0, -1.0], "fallback", "fallback")
    assert first.reason == "ZeroDivisionError: every input fails"
    with pytest.raises(InferenceFailed):
        b.host.exchange(Pair(1.0, 404.0), "r")
    assert b.host.exchange(Pair(), "r").reason == "breaker_open: 100% of 2 requests failed"
    assert b.book.outcomes == ["fallback", "error", "fallback"]


def test_a_stream_that_is_refused_is_one_event_with_what_stands_in(bench: Make, stage: Stage) -> None:
    b = bench(path=WAVERING, breaker_requests=2, heal_seconds=0.0, cache_bytes=100_000).ready()
    assert b.infer(404).cache == "miss"
    stage.on_step = lambda number: broken([])
    stage.on_predict = broken
    first = b.stream(3)
    (event,) = all_events(first)
    assert (event["result"]["value"], event["degraded"]) == (-1.0, "fallback")
    assert event["reason"] == "ZeroDivisionError: every input fails"
    assert (first.outcome, first.degraded, first.steps) == ("fallback", "fallback", 0)
    first.close()
    assert b.host.status().breaker == "open", "what stood in does not hide that the model failed"
    refused = b.stream(3)
    assert all_events(refused)[0]["reason"] == "breaker_open: 50% of 2 requests failed"
    refused.close()
    old = b.stream(404)
    assert (all_events(old)[0]["result"]["value"], old.degraded) == (808.0, "stale"), "what /predict has answered"
    old.close()
    with pytest.raises(BreakerOpen):
        b.stream(500)
    assert b.book.outcomes == ["ok", "fallback", "fallback", "stale", "rejected"]


def test_a_stream_whose_result_has_begun_to_come_ends_with_its_error(bench: Make, stage: Stage) -> None:
    b = bench(path=WAVERING).ready()

    def third(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError("too late")

    stage.on_step = third
    stream = b.stream(-3)  # every step of this one is a part of the result
    assert [stream.read(PATIENCE) != "end" for _ in range(2)] == [True, True]
    with pytest.raises(InferenceFailed):
        stream.read(PATIENCE)
    stream.close()
    assert b.book.outcomes == ["error"]


def test_a_stream_while_no_model_serves_is_answered_by_the_default(bench: Make, stage: Stage) -> None:
    stage.load_gate.clear()
    b = bench(default_reply='"later"').start()
    stream = b.stream(3)
    assert all_events(stream) == [{"result": "later", "degraded": "default", "reason": "model_loading"}]
    stream.close()
    assert b.book.outcomes == ["default"]
    stage.load_gate.set()
    b.until(lambda: b.host.status().state == "ready")


# --- the cache ---------------------------------------------------------------------------------------------------


def test_an_equal_request_is_answered_from_the_cache(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000).ready()
    first, second = b.infer(60), b.infer(60)
    assert (first.cache, second.cache) == ("miss", "hit")
    assert (second.result, second.json, second.result_class) == (first.result, first.json, "big")
    assert (second.outcome, second.compute_seconds, second.input) == ("cached", 0.0, {"digits": 4})
    assert len(stage.batches) == 1
    assert b.book.outcomes == ["ok", "cached"]
    assert b.host.infer(b"60.0", "text/json", "r").cache == "miss", "another content type is another question"
    samples = {sample.name: sample.value for sample in ModelCollector(b.host).collect()}
    assert (samples["inference_cache_hits_total"], samples["inference_cache_misses_total"]) == (1, 2)


def test_nothing_is_cached_unless_asked_for_nor_for_a_model_that_throws_dice(bench: Make, stage: Stage) -> None:
    plain = bench().ready()
    assert [plain.infer(1).cache, plain.infer(1).cache] == [None, None]
    dice = bench(path="tests.model.forgiving:Dice", cache_bytes=100_000).ready()
    assert [dice.infer(1).cache, dice.infer(1).cache] == [None, None]


def test_failures_are_not_cached(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000).ready()
    stage.on_predict = broken
    fail(b, 1)
    stage.on_predict = lambda batch: None
    assert b.infer(0).cache == "miss"


def test_a_reload_makes_what_was_answered_before_stale(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000).ready()
    b.infer(1)
    stage.golden = False
    stage.factor = 3.0
    assert b.host.reload("manual")
    b.until(lambda: b.host.status().state == "ready" and bool(b.book.reloads))
    answer = b.infer(1)
    assert (answer.cache, answer.result["value"]) == ("miss", 3.0)


def test_equal_requests_at_the_same_time_are_computed_once(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000).ready()
    held = b.occupy(7.0)
    together = [b.send(7.0) for _ in range(5)]
    stage.gate.set()
    answers: list[Answer[bytes]] = [future.result(PATIENCE) for future in (held, *together)]
    assert {one.result["value"] for one in answers} == {14.0}
    assert len(stage.batches) == 1
    assert sorted(b.book.outcomes) == ["cached"] * 5 + ["ok"]


def test_when_the_first_of_equal_requests_fails_the_others_try_for_themselves(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000, breaker_requests=0).ready()
    once = threading.Event()

    def fails_once(batch: list[float]) -> None:
        if not once.is_set():
            once.set()
            raise ZeroDivisionError("only the first time")

    stage.on_predict = fails_once
    held = b.occupy(7.0)
    other = b.send(7.0)
    stage.gate.set()
    with pytest.raises(InferenceFailed):
        held.result(PATIENCE)
    assert other.result(PATIENCE).result["value"] == 14.0


def test_a_request_of_several_inputs_is_cached_by_what_it_asks(bench: Make, stage: Stage) -> None:
    b = bench(cache_bytes=100_000).ready()
    first = b.host.exchange(Pair(asked=b"a"), "r")
    second = b.host.exchange(Pair(asked=b"a"), "r")
    assert (first.cache, second.cache, second.outcome) == ("miss", "hit", "cached")
    assert (second.payload, second.input) == (first.payload, {"inputs": 2})
    assert b.host.exchange(Pair(asked=b"b"), "r").cache == "miss"
    assert b.host.exchange(Pair(), "r").cache is None, "what cannot be told is not kept"
    assert len(stage.batches) == 3


# --- brown-out ---------------------------------------------------------------------------------------------------


def test_inputs_grow_lighter_while_the_queue_is_long_and_answers_say_so(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(
        host={"clock": clock}, path=FORGIVING, queue_size=4, cache_bytes=100_000, deadline_seconds=3600.0,
        shed_normal_ratio=1.0,
    ).ready()  # fmt: skip
    held = [b.occupy(), *b.send_waiting(1, 2)]
    assert b.host.status().brownout_level == 0.0
    clock.now += 1
    assert b.host.status().brownout_level == 0.25
    (late,) = b.send_waiting(8)
    stage.gate.set()
    answer = late.result(PATIENCE)
    assert (answer.brownout, answer.result["value"]) == (0.25, 12.0)
    assert all(future.result(PATIENCE).brownout == 0.0 for future in held)
    clock.now += 3600
    b.host.status()
    clock.now += 3600
    assert b.host.status().brownout_level == 0.0
    assert b.infer(8).result["value"] == 16.0, "a lighter answer is not kept for better days"


def test_a_model_that_cannot_be_lighter_is_left_alone(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, queue_size=4, deadline_seconds=3600.0, shed_normal_ratio=1.0).ready()
    held = [b.occupy(), *b.send_waiting(1, 2)]
    b.host.status()
    clock.now += 1
    held += b.send_waiting(8)
    stage.gate.set()
    assert all(future.result(PATIENCE).brownout == 0.0 for future in held)


def test_several_inputs_and_streams_grow_lighter_as_well(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(
        host={"clock": clock}, path=WAVERING, queue_size=4, deadline_seconds=3600.0, stream_seconds=3600.0,
        shed_normal_ratio=1.0,
    ).ready()  # fmt: skip
    held = [b.occupy(), *b.send_waiting(1)]
    b.host.status()
    stream_level = b.stream(8).brownout
    held += b.send_waiting(2)
    b.host.status()
    clock.now += 1
    assert b.host.status().brownout_level == 0.25
    late = b.stream(8)
    stage.gate.set()
    assert (stream_level, late.brownout) == (0.0, 0.25)
    assert len(all_events(late)) == 6, "a quarter fewer steps"
    assert all(future.result(PATIENCE).brownout == 0.0 for future in held)
    answer = b.host.exchange(Pair(8.0, 16.0), "r")
    assert (answer.payload, answer.brownout) == ([12.0, 24.0], 0.25)


def test_streams_that_take_their_places_count_as_a_long_queue(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, path=WAVERING, max_streams=4, stream_seconds=3600.0).ready()
    stage.gate.clear()
    first = [b.stream(8), b.stream(8)]
    b.host.status()
    clock.now += 1
    late = b.stream(8)
    assert [stream.brownout for stream in (*first, late)] == [0.0, 0.0, 0.25]
    assert b.host.status().brownout_level == 0.25
    stage.gate.set()
    assert [len(all_events(stream)) for stream in (*first, late)] == [8, 8, 6]


def test_a_queue_that_is_kept_short_since_it_overflowed_is_still_a_long_one(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, path=FORGIVING, queue_size=16, batch_size=1, deadline_seconds=3600.0).ready()
    held = [b.occupy(), *b.send_waiting(1, 2)]
    late = b.send_waiting(*range(3, 16), terms=Terms(timeout_seconds=0.5))
    for future in late:
        with pytest.raises(DeadlineExceeded):
            future.result(PATIENCE)
    assert b.host.status().queue_depth == 2
    b.host.status()
    clock.now += 1
    assert b.host.status().brownout_level == 0.25
    stage.gate.set()
    assert all(future.result(PATIENCE).outcome == "ok" for future in held)
