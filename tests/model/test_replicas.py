"""Several replicas of one model: the least loaded answers, and what befalls one is not the end of the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from config import ModelSettings
from model.device import Device, DeviceMemory
from model.errors import Draining, NotReady
from model.recorder import SharedRecorder
from model.status import Replica
from model.track import MIN_FAILURES
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage
from tests.model.test_versions import Shelf, fail, switch
from tests.model.test_versions import shelf as shelf

Make = Callable[..., Bench]
GB = 10**9
TWO = ["cpu:0", "cpu:1"]


def here() -> str:
    """The replica on whose thread this is called."""
    return threading.current_thread().name.removeprefix("model ").removesuffix("-load")


def replica(b: Bench, device: str) -> Replica:
    return next(each for each in b.host.status().replicas if each.device == device)


def all_serve(b: Bench) -> Bench:
    b.until(lambda: all(each.state == "ready" for each in b.host.status().replicas))
    return b.ready()


class Places:
    """Notes which replica computes what, and holds some of them."""

    def __init__(self, stage: Stage) -> None:
        self.seen: Counter[str] = Counter()
        self.held: dict[str, threading.Event] = {}
        self.entered = threading.Semaphore(0)
        stage.on_predict = self

    def __call__(self, batch: list[Any]) -> None:
        place = here()
        self.seen[place] += len(batch)
        if (gate := self.held.get(place)) is not None:
            self.entered.release()
            assert gate.wait(PATIENCE)


def started(bench: Make, **settings: Any) -> Bench:
    b = bench(devices=TWO, **settings).start()
    return all_serve(b)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices without room for a second instance beside the first, which took 3 of 4 GB."""
    seen: set[Device] = set()

    def memory(device: Device) -> DeviceMemory:
        if device in seen:
            return DeviceMemory(3 * GB, 3 * GB, 1 * GB, 4 * GB)
        seen.add(device)
        return DeviceMemory(0, 0, 4 * GB, 4 * GB)

    monkeypatch.setattr(Device, "memory", memory)


# --- who answers -----------------------------------------------------------------------------------------------------


def test_requests_one_at_a_time_take_turns(bench: Make, stage: Stage) -> None:
    b = started(bench)
    places = Places(stage)
    assert [b.infer(number).result["value"] for number in range(6)] == [0, 2, 4, 6, 8, 10]
    assert places.seen == {"cpu:0": 3, "cpu:1": 3}


def test_a_slow_replica_gets_less(bench: Make, stage: Stage) -> None:
    b = started(bench)
    places = Places(stage)
    places.held = {place: threading.Event() for place in TWO}
    slow = b.send(1)
    assert places.entered.acquire(timeout=PATIENCE)
    (busy,), (other,) = places.seen, set(TWO) - set(places.seen)
    places.held[other].set()
    for number in range(5):
        assert b.infer(number).result["value"] == 2 * number
    assert places.seen == {busy: 1, other: 5}
    places.held[busy].set()
    assert slow.result(PATIENCE).result["value"] == 2


def test_what_waits_counts_as_much_as_what_runs(bench: Make, stage: Stage) -> None:
    b = started(bench, batch_size=1)
    places = Places(stage)
    places.held = {place: threading.Event() for place in TWO}
    sent = [b.send(number) for number in range(6)]
    b.until(lambda: b.host.status().queue_depth == 4)
    assert {each.queue_depth for each in b.host.status().replicas} == {2}
    assert {each.in_flight for each in b.host.status().replicas} == {1}
    assert (b.host.status().queue_size, b.host.status().in_flight) == (128, 2)
    for gate in places.held.values():
        gate.set()
    assert [future.result(PATIENCE).result["value"] for future in sent] == [0, 2, 4, 6, 8, 10]


def test_a_drain_finishes_what_every_replica_has(bench: Make, stage: Stage) -> None:
    b = started(bench)
    places = Places(stage)
    places.held = {place: threading.Event() for place in TWO}
    sent = [b.send(number) for number in range(4)]
    for _ in TWO:
        assert places.entered.acquire(timeout=PATIENCE)
    stop = threading.Thread(target=b.host.stop, args=(PATIENCE,))
    stop.start()
    b.until(lambda: b.host.status().state == "draining")
    with pytest.raises(Draining):
        b.infer(9)
    for gate in places.held.values():
        gate.set()
    stop.join(PATIENCE)
    assert [future.result(PATIENCE).outcome for future in sent] == ["ok"] * 4
    assert {each.state for each in b.host.status().replicas} == {"stopped"}


# --- loads -----------------------------------------------------------------------------------------------------------


def test_the_first_replica_serves_while_the_second_still_loads(bench: Make, stage: Stage) -> None:
    gate = threading.Event()

    def on_load() -> None:
        assert here() == "cpu:0" or gate.wait(PATIENCE)

    stage.on_load = on_load
    b = bench(devices=TWO).start()
    b.until(lambda: b.host.status().state == "ready")
    b.until(lambda: replica(b, "cpu:1").progress == "loading weights")
    assert b.infer(1).outcome == "ok"
    status, ready = b.host.status(), b.host.health().ready
    assert status.reason == ready.reason == "fewer_replicas: 1 of 2 serve; cpu:1 model_loading"
    assert ready.ok
    assert not b.host.reload("manual"), "one load at a time"
    gate.set()
    b.until(lambda: replica(b, "cpu:1").serving)
    assert (b.host.status().device, b.host.status().reason, b.host.health().ready.reason) == (
        "cpu:0, cpu:1",
        None,
        None,
    )


def test_a_replica_that_cannot_be_loaded_leaves_the_others_serving(bench: Make, stage: Stage) -> None:
    def on_load() -> None:
        if here() == "cpu:1":
            raise OSError("no memory bus")

    stage.on_load = on_load
    b = bench(devices=TWO).start()
    b.until(lambda: replica(b, "cpu:1").state == "failed")
    assert b.infer(1).outcome == "ok"
    health, why = b.host.health(), "cpu:1 load_failed: OSError: no memory bus"
    assert (health.live.ok, health.startup.ok, health.ready.ok, health.checks["model"]) == (True, True, True, True)
    assert health.ready.reason == f"fewer_replicas: 1 of 2 serve; {why}"
    assert b.host.status().reason == health.ready.reason
    assert b.host.status().suggestion
    assert not b.fatal
    stage.on_load = lambda: None
    assert b.host.reload("manual")
    b.until(lambda: len(b.book.reloads) == 2)
    b.until(lambda: replica(b, "cpu:1").serving)
    assert b.host.health().ready.reason is None


def test_when_the_first_cannot_be_loaded_the_second_is_tried(bench: Make, stage: Stage) -> None:
    def on_load() -> None:
        if here() == "cpu:0":
            raise OSError("gone")

    stage.on_load = on_load
    b = bench(devices=TWO).start()
    b.until(lambda: b.host.status().state == "ready")
    assert (b.infer(1).outcome, b.host.status().device) == ("ok", "cpu:1")


def test_when_none_can_be_loaded_nothing_is_ready(bench: Make, stage: Stage) -> None:
    stage.factor = 3.0
    b = bench(devices=TWO).start()
    b.until(lambda: b.host.status().state == "failed")
    assert b.host.status().reason == "golden_failed: pair 1 of 1"
    with pytest.raises(NotReady):
        b.infer(1)
    assert not b.host.health().ready.ok


def test_a_reload_goes_from_one_to_the_next_and_loses_no_request(bench: Make, stage: Stage) -> None:
    b = started(bench)
    loads, most = [0], [0]

    def on_load() -> None:
        loads[0] += 1
        most[0] = max(most[0], sum(each.state in ("loading", "reloading") for each in b.host.status().replicas))

    stage.on_load, stage.version = on_load, "2"
    done, failed = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            try:
                assert b.infer(4).result["value"] == 8
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails of it
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert b.host.reload("manual")
    b.until(lambda: b.book.reloads == [("manual", "ok")] * 2)
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert (failed, set(b.book.outcomes)) == ([], {"ok"})
    assert (loads, most) == ([2], [1])
    assert {each.version for each in b.host.status().replicas} == {"2"}


def test_where_two_instances_do_not_fit_the_others_answer_during_the_pause(
    bench: Make, stage: Stage, tight: None
) -> None:
    b = started(bench, health={"min_free_gpu_bytes": 0})
    gate, loading = threading.Event(), threading.Semaphore(0)

    def on_load() -> None:
        loading.release()
        assert gate.wait(PATIENCE)

    stage.on_load = on_load
    places = Places(stage)
    assert b.host.reload("manual")
    assert loading.acquire(timeout=PATIENCE)
    assert b.host.health().ready.ok
    assert [b.infer(number).outcome for number in range(4)] == ["ok"] * 4
    assert len(places.seen) == 1, "the one that is loaded anew has no instance"
    gate.set()
    b.until(lambda: b.book.reloads == [("manual", "ok")] * 2)
    b.until(lambda: all(each.serving for each in b.host.status().replicas))


def test_what_a_replica_has_is_answered_before_it_pauses(bench: Make, stage: Stage, tight: None) -> None:
    b = started(bench, batch_size=1, health={"min_free_gpu_bytes": 0})
    places = Places(stage)
    places.held = {place: threading.Event() for place in TWO}
    sent = [b.send(number) for number in range(4)]
    for _ in TWO:
        assert places.entered.acquire(timeout=PATIENCE)
    b.until(lambda: b.host.status().queue_depth == 2)
    assert b.host.reload("manual")
    for gate in places.held.values():
        gate.set()
    assert [future.result(PATIENCE).outcome for future in sent] == ["ok"] * 4
    b.until(lambda: b.book.reloads == [("manual", "ok")] * 2)
    assert set(b.book.outcomes) == {"ok"}


def test_a_first_load_that_hangs_beside_others_is_given_up(bench: Make, stage: Stage) -> None:
    clock, gate = Clock(), threading.Event()

    def on_load() -> None:
        assert here() != "cpu:1" or gate.wait(PATIENCE)

    stage.on_load = on_load
    b = bench(devices=[*TWO, "cpu:2"], host={"clock": clock}, load_seconds=600.0).start()
    b.until(lambda: replica(b, "cpu:1").progress == "loading weights")
    clock.now += 601
    b.host.check(1_000, wait_seconds=0)
    assert (replica(b, "cpu:1").state, replica(b, "cpu:1").reason) == ("failed", "hang: loading for 601s")
    assert (b.fatal, b.host.health().live.ok) == ([], True)
    b.until(lambda: replica(b, "cpu:2").serving)
    gate.set()  # it comes back after all, and its thread is free again
    b.until(lambda: b.host.reload("manual") and b.host.status().state == "reloading")
    b.until(lambda: not any(each.state == "reloading" for each in b.host.status().replicas))
    b.until(lambda: b.host.reload("manual"))
    b.until(lambda: all(each.serving for each in b.host.status().replicas))


# --- failures of one -------------------------------------------------------------------------------------------------


def test_a_replica_that_fails_its_requests_is_left_alone(bench: Make, stage: Stage) -> None:
    b = started(bench, breaker_requests=4, heal_seconds=0)

    def on_predict(batch: list[Any]) -> None:
        if here() == "cpu:1":
            raise RuntimeError("a bad row of memory")

    stage.on_predict = on_predict
    ask_until(b, lambda: replica(b, "cpu:1").breaker == "open")
    assert [_outcome(b) for _ in range(6)] == ["ok"] * 6
    assert b.host.health().ready.ok
    assert (b.host.health().ready.reason or "").startswith("fewer_replicas: 1 of 2 serve; cpu:1 breaker_open: ")
    assert (b.host.status().breaker, replica(b, "cpu:0").breaker) == ("open", "closed")


def ask_until(b: Bench, condition: Callable[[], bool]) -> None:
    """Send one request after the other until the condition holds."""

    def asked() -> bool:
        _outcome(b)
        return condition()

    b.until(asked)


def _outcome(b: Bench) -> str:
    try:
        return b.infer(1).outcome
    except Exception as error:  # noqa: BLE001 - its kind is what is looked at
        return type(error).__name__


def test_only_the_replica_that_fails_is_loaded_anew(bench: Make, stage: Stage) -> None:
    b = started(bench, breaker_requests=4)
    loaded: list[str] = []
    stage.on_load = lambda: loaded.append(here())

    def on_predict(batch: list[Any]) -> None:
        if here() == "cpu:1" and not loaded:
            raise RuntimeError("a bad row of memory")

    stage.on_predict = on_predict
    ask_until(b, lambda: b.book.reloads == [("breaker_open", "ok")])
    assert loaded == ["cpu:1"]
    assert [remedy.cause for remedy in b.host.remedies()] == ["breaker_open"]
    b.until(lambda: all(each.serving for each in b.host.status().replicas))


def test_a_lost_context_is_the_end_of_the_process_for_all(bench: Make, stage: Stage) -> None:
    b = started(bench)
    places = Places(stage)
    places.held = {place: threading.Event() for place in TWO}

    def on_predict(batch: list[Any]) -> None:
        places(batch)
        if here() == "cpu:1":
            raise RuntimeError("CUDA error: device-side assert triggered")

    stage.on_predict = on_predict
    sent = [b.send(number) for number in range(2)]
    for _ in TWO:
        assert places.entered.acquire(timeout=PATIENCE)
    places.held["cpu:1"].set()
    b.until(lambda: b.fatal == ["cuda_error: device_side_assert"])
    places.held["cpu:0"].set()
    assert sorted(future.exception(PATIENCE) is None for future in sent) == [False, True]
    with pytest.raises(NotReady) as refused:
        b.infer(1)
    assert refused.value.reason == "cuda_error: device_side_assert"
    assert not b.host.health().live.ok
    assert b.fatal == ["cuda_error: device_side_assert"]


NOT_ON_THE_SECOND = """
    load_anywhere = load

    def load(self, device):
        import threading
        if "cpu:1" in threading.current_thread().name:
            raise OSError("no room")
        self.load_anywhere(device)
"""


# --- versions --------------------------------------------------------------------------------------------------------


def test_a_switch_brings_another_version_to_all_replicas(bench: Make, shelf: Shelf) -> None:
    b = bench(devices=TWO, **shelf.settings()).start()
    all_serve(b)
    shelf.put("2")
    assert switch(b, "2").state == "done"
    assert {each.version for each in b.host.status().replicas} == {"2"}
    assert b.infer(3).result["value"] == 6


def test_a_version_that_the_first_replica_refuses_reaches_none(bench: Make, shelf: Shelf) -> None:
    b = bench(devices=TWO, **shelf.settings()).start()
    all_serve(b)
    shelf.put("2", golden=7.0)
    found = switch(b, "2")
    assert (found.state, found.reason) == ("failed", "golden_failed: pair 1 of 1")
    assert {(each.version, each.serving) for each in b.host.status().replicas} == {("1", True)}


def test_a_replica_that_cannot_follow_to_another_version_serves_no_more(bench: Make, shelf: Shelf) -> None:
    b = bench(devices=TWO, **shelf.settings()).start()
    all_serve(b)
    shelf.put("2", more=NOT_ON_THE_SECOND)
    assert switch(b, "2").state == "done"
    b.until(lambda: replica(b, "cpu:1").state == "failed")
    assert (replica(b, "cpu:0").version, replica(b, "cpu:1").version) == ("2", None)
    assert [b.infer(2).result["value"] for _ in range(4)] == [4] * 4
    assert (b.host.status().reason or "").startswith("fewer_replicas: 1 of 2 serve; cpu:1 load_failed: OSError")


def test_a_version_that_fails_is_taken_back_everywhere(bench: Make, shelf: Shelf) -> None:
    b = bench(devices=TWO, **shelf.settings()).start()
    all_serve(b)
    shelf.put("2", poison=(13.0,))
    assert switch(b, "2").state == "done"
    fail(b, MIN_FAILURES)
    b.until(lambda: b.host.versions().serving == "1")
    b.until(lambda: [(each.version, each.serving) for each in b.host.status().replicas] == [("1", True)] * 2)
    assert b.infer(13).result["value"] == 13
    assert [remedy.action for remedy in b.host.remedies()] == ["rollback"]


# --- settings, and the black box -------------------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [["gpu:0"], ["cuda"], ["cuda:x"], ["cuda:0", "cuda:0"], ["cpu:0 "]])
def test_a_place_that_is_none_is_refused(devices: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no device|there twice"):
        ModelSettings(devices=devices)


def test_a_gpu_that_is_not_there_is_named(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    b = bench(device="auto", devices=["cpu", "cuda:7"]).start()
    b.until(lambda: replica(b, "cuda:7").state == "failed")
    assert replica(b, "cuda:7").reason == "cuda_unavailable"
    assert "torch finds no CUDA device 7" in (replica(b, "cuda:7").suggestion or "")
    assert b.infer(1).outcome == "ok"


class Box:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def begin(self, what: str, size: int, request_ids: Sequence[str], shapes: Sequence[str]) -> None:
        self.notes.append(what)

    def end(self) -> None:
        self.notes.append("end")

    def shapes(self, inputs: Sequence[Any]) -> Sequence[str]:
        return [str(len(inputs))]

    def enter(self, what: str, request_id: str) -> int:
        self.notes.append(f"enter {what}")
        return 7

    def leave(self, place: int) -> None:
        self.notes.append(f"leave {place}")


def test_of_several_calls_the_oldest_that_still_runs_is_noted() -> None:
    box = Box()
    shared = SharedRecorder(box)
    one, two = shared.part(), shared.part()
    one.begin("hangs", 1, [], [])
    for _ in range(3):
        two.begin("passes", 1, [], [])
        two.end()
    assert box.notes == ["hangs"]
    two.begin("goes on", 1, [], [])
    one.end()
    assert box.notes == ["hangs", "end", "goes on"]
    two.end()
    two.leave(one.enter("decode", "request-1"))
    assert box.notes[3:] == ["end", "enter decode", "leave 7"]
    assert two.shapes([1, 2]) == ["2"]
