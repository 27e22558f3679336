"""Reloads under traffic: nothing is lost, and what fails to load never replaces what serves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import pytest

from model.device import Device, DeviceMemory
from model.errors import InferenceFailed, NotReady
from model.queue import Errand
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]
GB = 10**9


def test_the_old_instance_serves_until_the_new_one_is_ready_and_none_is_lost(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.version, stage.load_gate = "2", type(stage.load_gate)()
    assert b.host.reload("operator")
    assert stage.load_entered.acquire(timeout=PATIENCE)
    assert b.host.status().state == "reloading"
    assert b.host.health().ready.ok, "the old instance serves"
    assert b.infer(1).version == "1"
    waiting = [b.occupy(), *b.send_waiting(1, 2, 3)]
    stage.load_gate.set()
    assert stage.entered.acquire(timeout=PATIENCE), "the new instance warms up while the old one is busy"
    stage.gate.set()
    b.until(lambda: b.host.status().state == "ready")
    assert [future.result(PATIENCE).result["value"] for future in waiting] == [0, 2, 4, 6]
    assert b.infer(1).version == "2"
    assert b.book.reloads == [("operator", "ok")]
    assert set(b.book.outcomes) == {"ok"}


def test_traffic_from_many_threads_loses_nothing_over_several_reloads(bench: Make) -> None:
    b = bench(queue_size=64).ready()
    for number in range(3):
        sent = [b.send(each) for each in range(40)]
        assert b.host.reload("operator")
        sent += [b.send(each) for each in range(40)]
        assert [future.result(PATIENCE).result["value"] for future in sent] == [2.0 * (each % 40) for each in range(80)]
        b.until(lambda: len(b.book.reloads) == number + 1)  # noqa: B023 - called before the loop goes on
        assert b.host.status().state == "ready"


def test_a_second_reload_is_refused_while_one_is_under_way(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.load_gate.clear()
    assert b.host.reload("operator")
    assert not b.host.reload("operator")
    stage.load_gate.set()
    b.until(lambda: b.host.status().state == "ready")


def test_a_reload_that_fails_keeps_the_old_instance_and_says_why(bench: Make, stage: Stage) -> None:
    b = bench().ready()

    def no_weights() -> None:
        raise FileNotFoundError("/srv/models/card/weights.safetensors is missing")

    stage.on_load = no_weights
    assert b.host.reload("alert")
    b.until(lambda: b.host.status().state == "ready")
    status = b.host.status()
    assert status.reason == "reload_failed: load_failed: FileNotFoundError: weights.safetensors is missing"
    assert status.suggestion
    assert b.infer(1).outcome == "ok"
    assert b.host.health().ready.ok
    assert b.book.reloads == [("alert", "failed")]


def test_a_reload_whose_golden_answer_is_wrong_never_serves(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.factor = 3.0
    assert b.host.reload("operator")
    b.until(lambda: b.host.status().state == "ready")
    assert b.host.status().reason == "reload_failed: golden_failed: pair 1 of 1"
    assert b.infer(1).result["value"] == 2.0


def test_a_failed_first_load_can_be_tried_again(bench: Make, stage: Stage) -> None:
    stage.factor = 3.0
    b = bench().start()
    b.until(lambda: b.host.status().state == "failed")
    with pytest.raises(NotReady) as refused:
        b.infer(1)
    assert refused.value.reason == "golden_failed: pair 1 of 1"
    health = b.host.health()
    assert (health.live.ok, health.startup.ok, health.ready.ok) == (True, False, False)
    stage.factor = 2.0
    assert b.host.reload("operator")
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(1).outcome == "ok"
    assert b.host.health().startup.ok


def test_a_first_load_that_hangs_needs_a_new_process(bench: Make, stage: Stage, tmp_path: Path) -> None:
    clock = Clock()
    stage.load_gate.clear()
    with (tmp_path / "stacks").open("w+") as stacks:
        b = bench(host={"clock": clock, "stack_file": stacks}, load_seconds=600.0).start()
        assert stage.load_entered.acquire(timeout=PATIENCE)
        clock.now += 599
        b.host.check(1_000, wait_seconds=0)
        assert (b.fatal, b.host.status().state, b.host.health().live.ok) == ([], "loading", True)
        clock.now += 2
        b.host.check(2_000, wait_seconds=0)
        b.host.check(3_000, wait_seconds=0)
        assert b.fatal == ["hang: loading for 601s"]
        assert (b.host.status().state, b.host.status().reason) == ("failed", "hang: loading for 601s")
        assert not b.host.health().live.ok
        stacks.seek(0)
        assert "in load" in stacks.read()


def test_a_reload_that_hangs_is_given_up_while_the_old_instance_serves(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, load_seconds=600.0).ready()
    stage.load_gate.clear()
    stage.version = "2"
    assert b.host.reload("operator")
    assert stage.load_entered.acquire(timeout=PATIENCE)
    clock.now += 601
    b.host.check(1_000, wait_seconds=0)
    status = b.host.status()
    assert (status.state, status.reason) == ("ready", "reload_failed: hang: loading for 601s")
    assert status.suggestion
    assert b.fatal == []
    assert b.infer(1).version == "1"
    stage.version = "3"
    assert b.host.reload("operator"), "one that hangs must not stand in the way of the next"
    assert stage.load_entered.acquire(timeout=PATIENCE)
    stage.load_gate.set()
    b.until(lambda: len(b.book.reloads) == 2)
    assert b.book.reloads == [("operator", "failed"), ("operator", "ok")]
    assert b.infer(1).version == "3", "what comes too late is dropped"


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that has no room for a second instance (the first took 3 of its 4 GB)."""
    # before and after the first load; from then on the same figures
    memory = chain([DeviceMemory(0, 0, 4 * GB, 4 * GB)], repeat(DeviceMemory(3 * GB, 3 * GB, 1 * GB, 4 * GB)))
    monkeypatch.setattr(Device, "memory", lambda self: next(memory))


@pytest.mark.usefixtures("small_gpu")
def test_without_room_for_two_the_service_pauses_and_waiting_requests_are_kept(bench: Make, stage: Stage) -> None:
    b = bench(health={"min_free_gpu_bytes": 0, "stall_seconds": 0.001}).ready()
    held = b.occupy()
    waiting = b.send_waiting(1, 2)
    stage.load_gate.clear()
    stage.version = "2"
    assert b.host.reload("operator")
    stage.gate.set()
    assert stage.load_entered.acquire(timeout=PATIENCE)
    assert held.result(PATIENCE).version == "1"
    health = b.host.health()
    assert (health.ready.ok, health.ready.reason) == (False, "model_reloading")
    assert health.live.ok, "a declared pause is no stall"
    with pytest.raises(NotReady) as refused:
        b.infer(9)
    assert refused.value.reason == "model_reloading"
    stage.load_gate.set()
    assert [future.result(PATIENCE).version for future in waiting] == ["2", "2"]
    assert b.host.health().ready.ok


@pytest.mark.usefixtures("small_gpu")
def test_a_reload_that_hangs_in_a_pause_needs_a_new_process(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, load_seconds=600.0).ready()
    stage.load_gate.clear()
    assert b.host.reload("operator")
    assert stage.load_entered.acquire(timeout=PATIENCE)
    clock.now += 601
    b.host.check(1_000, wait_seconds=0)
    assert b.fatal == ["hang: loading for 601s"]


@pytest.mark.usefixtures("small_gpu")
def test_a_failed_reload_in_a_pause_refuses_what_waits(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    held = b.occupy()
    (waiting,) = b.send_waiting(1)
    stage.factor = 3.0
    stage.load_gate.clear()
    assert b.host.reload("operator")
    stage.gate.set()
    assert stage.load_entered.acquire(timeout=PATIENCE)
    stage.load_gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    with pytest.raises(NotReady) as refused:
        waiting.result(PATIENCE)
    assert refused.value.reason == "golden_failed: pair 1 of 1"
    assert b.host.status().state == "failed"


# --- the model thread dies meanwhile -----------------------------------------------------------------------------


def dying(b: Bench, stage: Stage) -> None:
    """A batch ends the thread of the replica that takes it."""

    def leave(batch: list[float]) -> None:
        if batch == [13.0]:
            raise SystemExit("goodbye")

    stage.on_predict = leave
    with pytest.raises(InferenceFailed):
        b.infer(13)


def test_a_reload_whose_thread_dies_has_failed_and_the_next_one_serves(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.load_gate.clear()
    assert b.host.reload("operator")
    assert stage.load_entered.acquire(timeout=PATIENCE)
    dying(b, stage)
    b.until(lambda: b.host.status().state == "failed")
    assert b.host.status().reason == "model_thread_died: SystemExit: goodbye"
    assert b.book.reloads == [("operator", "failed")]
    stage.load_gate.set()
    assert b.host.reload("again")
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(1).result["value"] == 2.0
    assert b.book.reloads == [("operator", "failed"), ("again", "ok")]


def test_a_reload_that_is_asked_for_as_the_thread_dies_has_one_of_its_own(bench: Make, stage: Stage) -> None:
    asked: list[bool] = []

    def note() -> None:
        if b.host.status().state == "failed" and not asked:
            asked.append(b.host.reload("operator"))

    b = bench(host={"on_change": note}).ready()
    dying(b, stage)
    b.until(lambda: b.host.status().state == "ready" and b.book.reloads == [("operator", "ok")])
    assert asked == [True]
    assert b.infer(1).result["value"] == 2.0


def test_what_was_loaded_for_a_thread_that_has_died_does_not_come_into_service_later(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    stage.version = "2"
    gate, lined_up, queue = threading.Event(), threading.Event(), b.host._fleet.engines[0].queue
    submit = queue.submit

    def leave(batch: list[float]) -> None:
        if threading.current_thread().name == "model":
            assert gate.wait(PATIENCE)
            raise SystemExit

    def note(errand: Errand, *, urgent: bool) -> bool:
        found = submit(errand, urgent=urgent)
        lined_up.set()
        return found

    queue.submit = note  # type: ignore[method-assign]
    stage.on_predict = leave
    held = b.send(13)
    b.until(lambda: b.host.status().in_flight == 1)
    assert b.host.reload("operator")
    assert lined_up.wait(PATIENCE)
    gate.set()
    with pytest.raises(InferenceFailed):
        held.result(PATIENCE)
    b.until(lambda: b.host.status().state == "failed")
    stage.version, stage.on_predict = "3", lambda batch: None
    assert b.host.reload("again")
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(1).version == "3"
    assert b.book.announced == [("multiplier", "1"), ("multiplier", "3")]


@pytest.mark.usefixtures("small_gpu")
def test_a_load_in_a_pause_that_ends_the_thread_has_failed(bench: Make, stage: Stage) -> None:
    b = bench(health={"min_free_gpu_bytes": 0}).ready()
    stage.on_load = _leave
    assert b.host.reload("operator")
    b.until(lambda: b.host.status().state == "failed")
    assert b.book.reloads == [("operator", "failed")]
    stage.on_load = lambda: None
    assert b.host.reload("again")
    b.until(lambda: b.host.status().state == "ready")


def test_of_several_replicas_one_that_dies_in_a_reload_does_not_keep_the_next_one_from_beginning(
    bench: Make, stage: Stage
) -> None:
    b = bench(devices=["cpu:0", "cpu:1"]).start()
    b.until(lambda: [each.state for each in b.host.status().replicas] == ["ready", "ready"])
    b.ready()
    stage.load_gate.clear()
    assert b.host.reload("operator")
    assert stage.load_entered.acquire(timeout=PATIENCE)

    def leave(batch: list[float]) -> None:
        if threading.current_thread().name == "model cpu:0":
            raise SystemExit("goodbye")

    stage.on_predict = leave
    failed = [sent.exception(PATIENCE) for sent in [b.send(number) for number in range(4)]]
    assert any(failed)
    b.until(lambda: b.host.status().replicas[0].state == "failed")
    stage.on_predict = lambda batch: None
    stage.load_gate.set()
    b.until(lambda: b.host.reload("again"))
    b.until(lambda: [each.state for each in b.host.status().replicas] == ["ready", "ready"])


def _leave(*_: object) -> None:
    raise SystemExit("goodbye")
