"""The host's metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable

from collectors.catalogue import family_of
from model.collector import ModelCollector
from tests.model.conftest import Bench
from tests.model.stage import Stage

Make = Callable[..., Bench]


def values(b: Bench) -> dict[str, float]:
    """Samples by their selector text."""
    return {
        sample.name + "".join(f"/{name}={value}" for name, value in sample.labels): sample.value
        for sample in ModelCollector(b.host).collect()
    }


def test_a_serving_model_is_up_and_says_what_it_is(bench: Make, stage: Stage) -> None:
    b = bench().ready()
    held = b.occupy()
    b.send_waiting(1, 2)
    got = values(b)
    assert got["up/job=shop"] == got["model_ready"] == got["health_ready"] == 1
    assert got["model_info/device=cpu/dtype=float32/model=multiplier/version=1"] == 1
    assert (got["inference_queue_depth"], got["inference_in_flight"]) == (2, 1)
    assert got["inference_progress_age_seconds"] > 0
    assert got["model_load_duration_seconds"] > 0
    assert {name for name in got if name.startswith("health_check_up")} == {
        f"health_check_up/check={check}" for check in ("live", "startup", "ready", "api", "model")
    }, "there is no GPU, so there is no verdict on one"
    stage.gate.set()
    held.result(20)


def test_a_failed_model_is_down(bench: Make, stage: Stage) -> None:
    stage.factor = 3.0
    b = bench().start()
    b.until(lambda: b.host.status().state == "failed")
    got = values(b)
    assert (got["up/job=shop"], got["model_ready"], got["health_check_up/check=live"]) == (0, 0, 1)
    assert got["inference_progress_age_seconds"] == 0
    assert not any(name.startswith("model_info") for name in got)


def test_safe_mode_is_down_and_a_host_without_a_model_by_choice_is_silent(bench: Make) -> None:
    assert values(bench(host={"disabled": "safe_mode: 5 crashes"}))["up/job=shop"] == 0
    assert values(bench(enabled=False)) == {}


def test_every_sample_is_in_the_catalogue(bench: Make) -> None:
    b = bench().ready()
    assert [sample.name for sample in ModelCollector(b.host).collect() if family_of(sample.name) is None] == []


def test_each_replica_has_its_own_values(bench: Make, stage: Stage) -> None:
    def on_load() -> None:
        if "cpu:1" in threading.current_thread().name:
            raise OSError("no memory bus")

    stage.on_load = on_load
    b = bench(devices=["cpu:0", "cpu:1"]).start()
    b.until(lambda: {each.state for each in b.host.status().replicas} == {"ready", "failed"})
    got = values(b)
    assert (got["model_replica_up/device=cpu:0"], got["model_replica_up/device=cpu:1"]) == (1, 0)
    assert got["model_replica_requests/device=cpu:0"] == 0
    assert [name for name in got if name.startswith("model_info")] == [
        "model_info/device=cpu:0/dtype=float32/model=multiplier/version=1"
    ]
    assert got["model_ready"] == got["up/job=shop"] == 1
    assert {name for name in got if family_of(name.partition("/")[0]) is None} == set()
