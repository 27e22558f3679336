"""Health that is never fooled: busy is not dead, idle is not dead, a wedged device is not alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from config import HealthSettings, ModelSettings
from model.device import DeviceMemory
from model.errors import InferenceFailed, NotReady
from model.examiner import Examination
from model.health import Facts, judge
from model.progress import Progress
from model.state import Standing
from model.status import Check, State
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]
GB = 10**9
ROOMY = DeviceMemory(allocated=1 * GB, reserved=2 * GB, free=5 * GB, total=8 * GB)
FULL = DeviceMemory(allocated=7 * GB, reserved=7 * GB + GB // 2, free=GB // 4, total=8 * GB)

WELL = Facts(
    now_ms=1_000,
    standing=Standing("ready", None, None, 500, loaded_once=True),
    serving=True,
    on_gpu=True,
    examination=Examination(900, 0.01, True, True, ROOMY),
    age_seconds=None,
)


def standing(state: State, reason: str | None = None, **changes: object) -> Standing:
    return replace(WELL.standing, state=state, reason=reason, **changes)  # type: ignore[arg-type]


def found(**changes: object) -> Examination:
    assert WELL.examination is not None
    return replace(WELL.examination, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "live", "startup", "ready", "reason"),
    [
        ({}, True, True, True, None),
        ({"age_seconds": 29.0}, True, True, True, None),
        ({"age_seconds": 61.0}, False, True, True, None),
        ({"standing": standing("loading", "model_loading", loaded_once=False), "serving": False, "examination": None},
         True, False, False, "model_loading"),
        ({"standing": standing("reloading", "model_reloading")}, True, True, True, None),
        ({"standing": standing("reloading", "model_reloading"), "serving": False, "age_seconds": 99.0},
         True, True, False, "model_reloading"),
        ({"standing": standing("failed", "load_failed: no_such_module shop", loaded_once=False), "serving": False},
         True, False, False, "load_failed: no_such_module shop"),
        ({"standing": standing("failed", "cuda_error: launch_failure", fatal="cuda_error: launch_failure")},
         False, True, False, "cuda_error: launch_failure"),
        ({"standing": standing("draining", "draining")}, True, True, False, "draining"),
        ({"standing": standing("ready", "reload_failed: golden_failed: pair 1 of 1")}, True, True, True, None),
        ({"examination": found(model_ok=False, reason="golden_failed: pair 1 of 3")},
         True, True, False, "golden_failed: pair 1 of 3"),
        ({"examination": found(gpu_ok=False, memory=None, reason="cuda_unavailable: RuntimeError")},
         True, True, False, "cuda_unavailable: RuntimeError"),
        ({"examination": found(memory=FULL)}, True, True, False, "insufficient_gpu_memory: 0.8GB free"),
    ],
)  # fmt: skip
def test_the_verdicts_follow_from_the_facts(
    changes: dict[str, object], live: bool, startup: bool, ready: bool, reason: str | None
) -> None:
    health = judge(replace(WELL, **changes), ModelSettings(), HealthSettings())  # type: ignore[arg-type]
    assert (health.live.ok, health.startup.ok, health.ready.ok) == (live, startup, ready)
    assert health.ready.reason == reason
    assert ready or health.ready.suggestion or "examination" in changes or "standing" in changes


def test_the_summary_names_api_model_and_gpu_and_carries_the_gpus_memory() -> None:
    health = judge(WELL, ModelSettings(), HealthSettings())
    assert health.checks == {"api": True, "model": True, "gpu": True}
    assert health.gpu_memory == {"allocated_gb": 1.0, "reserved_gb": 2.0, "total_gb": 8.0}


def test_a_missing_gpu_fails_health_only_where_one_is_required() -> None:
    without = replace(WELL, on_gpu=False, examination=found(gpu_ok=None, memory=None))
    assert judge(without, ModelSettings(), HealthSettings()).checks["gpu"] == "absent"
    assert judge(without, ModelSettings(), HealthSettings(require_gpu=True)).checks["gpu"] is False
    assert judge(without, ModelSettings(), HealthSettings()).gpu_memory is None


def test_idle_for_hours_is_alive() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.begin("batch", 1)
    progress.end(success=True)
    clock.now += 10_000
    assert progress.age(None) is None
    assert progress.age(clock.now - 1) == 1, "the wait counts from the request, not from the idle time before it"


def test_saturated_but_moving_is_alive() -> None:
    clock = Clock()
    progress = Progress(clock)
    came = clock.now
    for _ in range(100):
        progress.begin("batch", 8)
        clock.now += 1
        progress.end(success=True)
    progress.begin("batch", 8)
    assert progress.age(came) == 0, "the oldest request has waited 100 s, but batches end all the time"


def test_the_time_to_come_back_is_what_the_queue_will_take() -> None:
    clock = Clock()
    progress = Progress(clock)
    assert progress.drain_seconds(64, 8) == 1, "nothing is known yet"
    progress.begin("batch", 8)
    clock.now += 2.0
    progress.end(success=True)
    progress.begin("batch", 8)
    assert progress.drain_seconds(64, 8) == 18
    assert progress.drain_seconds(1, 8) == 4


def test_a_busy_model_is_not_failed_by_a_check_that_gets_no_turn(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    held = b.occupy()
    b.host.check(1_000, wait_seconds=0)
    b.host.check(2_000, wait_seconds=0)
    health = b.host.health()
    assert health.live.ok
    assert health.ready.ok
    stage.gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    b.until(lambda: b.host.health().ready.checked_ms == 1_000)
    assert stage.events.count("predict 1") == 2, "one request and one golden input: the second check did not pile up"


def test_a_check_is_a_golden_inference_unless_a_request_was_just_answered(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, health={"interval_seconds": 10.0}).ready()
    b.host.check(1_000)
    assert stage.batches == [[1.0]]
    b.infer(5)
    b.host.check(2_000)
    assert stage.batches == [[1.0], [5.0]]
    assert b.host.health().ready.checked_ms == 2_000
    clock.now += 11
    b.host.check(3_000)
    assert stage.batches == [[1.0], [5.0], [1.0]]
    assert b.book.outcomes == ["ok"], "checks are no requests"


def test_a_model_that_answers_is_still_asked_for_what_is_known_once_in_six_intervals(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, health={"interval_seconds": 10.0}).ready()
    stage.on_predict = lambda batch: [3.0 * number for number in batch]  # answers come, and they are wrong
    for number in range(1, 8):
        clock.now += 9
        assert b.infer(5).outcome == "ok"
        b.host.check(number)
        assert b.host.health().ready.ok is (number < 7)
    assert b.host.health().ready.reason == "golden_failed: pair 1 of 1"


def test_a_check_that_never_gets_its_turn_goes_before_the_requests_after_three_intervals(
    bench: Make, stage: Stage
) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, health={"interval_seconds": 10.0}, batch_size=1, deadline_seconds=3600.0).ready()

    def broken(batch: list[float]) -> None:
        raise ZeroDivisionError("every input fails")

    stage.on_predict = broken
    held = b.occupy()
    waiting = b.send_waiting(5, 6)
    b.host.check(1_000, wait_seconds=0)
    clock.now += 29
    b.host.check(2_000, wait_seconds=0)
    clock.now += 2
    b.host.check(3_000, wait_seconds=0)
    b.host.check(4_000, wait_seconds=0)
    stage.gate.set()
    for future in (held, *waiting):
        with pytest.raises(InferenceFailed):
            future.result(PATIENCE)
    ready = b.host.health().ready
    assert (ready.ok, ready.reason, ready.checked_ms) == (
        False,
        "golden_failed: ZeroDivisionError: every input fails",
        3_000,
    )
    assert stage.batches == [[0.0], [1.0], [5.0], [6.0]], "one golden input, between two batches"


def test_a_golden_input_that_begins_to_fail_takes_readiness_away_until_it_holds_again(
    bench: Make, stage: Stage
) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}).ready()
    stage.on_predict = lambda batch: [float("nan")] * len(batch)
    b.host.check(1_000)
    health = b.host.health()
    assert (health.ready.ok, health.ready.reason) == (False, "golden_failed: pair 1 of 1")
    assert health.live.ok
    assert health.checks["model"] is False
    stage.on_predict = lambda batch: None
    b.infer(1)
    b.host.check(2_000)
    assert b.host.health().ready.ok


def test_work_without_progress_is_not_alive(bench: Make, stage: Stage) -> None:
    clock = Clock()
    b = bench(host={"clock": clock}, health={"stall_seconds": 30.0}, watchdog_seconds=3600).ready()
    held = b.occupy()
    clock.now += 29
    assert b.host.health().live.ok
    clock.now += 2
    live = b.host.health().live
    assert (live.ok, live.reason) == (False, "stalled: no progress for 31s")
    assert b.host.health().checks["model"] is False
    stage.gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    b.until(lambda: b.host.health().live.ok)


def test_a_hang_is_noticed_dumped_and_reported_once(bench: Make, stage: Stage, tmp_path: Path) -> None:
    clock = Clock()
    with (tmp_path / "stacks").open("w+") as stacks:
        host = {"clock": clock, "stack_file": stacks}
        b = bench(host=host, watchdog_seconds=50.0, health={"stall_seconds": 3600.0}).ready()
        b.occupy()
        (waiting,) = b.send_waiting(1)
        b.host.check(1_000, wait_seconds=0)
        assert not b.fatal
        clock.now += 51
        b.host.check(2_000, wait_seconds=0)
        b.host.check(3_000, wait_seconds=0)
        assert b.fatal == ["hang: a batch of 1 running for 51s"]
        assert (b.host.health().live.ok, b.host.health().live.reason) == (False, b.fatal[0])
        with pytest.raises(NotReady):
            waiting.result(PATIENCE)
        with pytest.raises(NotReady):
            b.infer(1)
        assert not b.host.reload("operator"), "only a new process helps"
        stacks.seek(0)
        assert "in predict" in stacks.read()


def test_the_watchdog_looks_by_itself(bench: Make, tmp_path: Path) -> None:
    with (tmp_path / "stacks").open("w+") as stacks:
        b = bench(host={"stack_file": stacks}, watchdog_seconds=0.2).ready()
        b.occupy()
        b.until(lambda: bool(b.fatal))
        assert b.fatal[0].startswith("hang: a batch of 1")


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        ("CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronous", "device_side_assert"),
        ("CUDA error: an illegal memory access was encountered", "illegal_memory_access"),
        ("CUDA error: unspecified launch failure", "launch_failure"),
    ],
)
def test_a_lost_cuda_context_is_fatal_at_once_and_nothing_is_retried(
    bench: Make, stage: Stage, words: str, slug: str
) -> None:
    b = bench(batch_size=4).ready()

    def poisoned(batch: list[float]) -> None:
        if len(batch) > 1:
            raise RuntimeError(words)

    stage.on_predict = poisoned
    held = b.occupy()
    one, two = b.send_waiting(1, 2)
    stage.gate.set()
    assert held.result(PATIENCE).outcome == "ok"
    for future in (one, two):
        with pytest.raises(InferenceFailed):
            future.result(PATIENCE)
    b.until(lambda: b.fatal == [f"cuda_error: {slug}"])
    assert [len(batch) for batch in stage.batches] == [1, 2]
    assert not b.host.health().live.ok
    assert not b.host.reload("operator")


def test_health_is_read_without_touching_the_model(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    verdicts: list[Check] = [b.host.health().ready for _ in range(50)]
    assert all(verdict.ok for verdict in verdicts)
    assert stage.events == []
