"""The same promises on a real GPU: memory figures, a real out-of-memory, a real lost context."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model.errors import OutOfMemory
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage

pytestmark = pytest.mark.gpu

Make = Callable[..., Bench]
GB = 10**9

#: Hosts a model whose predict trips a device-side assert, and exits with 70 as the server does when told it is fatal.
POISON = """
import os, threading, torch
from config import HealthSettings, ModelSettings
from model.host import ModelHost
from tests.model import stage as stages
from tests.model.conftest import Book

def fatal(reason):
    print(reason, flush=True)
    os._exit(70)

host = ModelHost(ModelSettings(path="tests.model.plugin:Multiplier", device="cuda"), HealthSettings(), Book(),
                 name="shop", on_change=lambda: changed.set(), on_fatal=fatal)
changed = threading.Event()
host.start()
while host.status().state != "ready":
    changed.wait(1)
    assert host.status().state != "failed", host.status()
def poison(batch):
    table = torch.zeros(4, device="cuda")
    return [float(table[torch.tensor([99], device="cuda")].sum())]
stages.current.on_predict = poison
host.infer(b"1.0", "application/json", "r")
"""


@pytest.fixture(autouse=True)
def _needs_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")


@pytest.fixture
def hog() -> Iterator[list[Any]]:
    """Tensors that fill the GPU; freed after the test."""
    import torch

    tensors: list[Any] = []
    yield tensors
    tensors.clear()
    torch.cuda.empty_cache()


def test_auto_takes_the_gpu_and_health_carries_its_memory(bench: Make) -> None:
    b = bench(device="auto").ready()
    b.host.check(1)
    assert b.host.status().device == "cuda:0"
    health = b.host.health()
    assert health.checks == {"api": True, "model": True, "gpu": True}
    assert health.gpu_memory is not None
    assert health.gpu_memory["total_gb"] > health.gpu_memory["reserved_gb"] >= health.gpu_memory["allocated_gb"] > 0


def test_a_real_out_of_memory_halves_the_batch_and_refuses_what_does_not_fit_alone(bench: Make, stage: Stage) -> None:
    import torch

    b = bench(device="cuda", batch_size=4).ready()
    free, _ = torch.cuda.mem_get_info()
    each = int(free * 0.4)

    def allocate(batch: list[float]) -> None:
        total = sum(each if number < 50 else 3 * each for number in batch)
        torch.empty(total, dtype=torch.uint8, device="cuda").zero_()

    stage.on_predict = allocate
    held = b.occupy()
    *fitting, large = b.send_waiting(1, 2, 3, 99)
    stage.gate.set()
    assert [future.result(PATIENCE).outcome for future in (held, *fitting)] == ["ok"] * 4
    with pytest.raises(OutOfMemory):
        large.result(PATIENCE)
    assert b.infer(5).outcome == "ok"


def test_too_little_free_memory_takes_readiness_away(bench: Make, hog: list[Any]) -> None:
    import torch

    b = bench(device="cuda").ready()
    free, _ = torch.cuda.mem_get_info()
    hog.append(torch.empty(free - GB, dtype=torch.uint8, device="cuda"))
    b.host.check(1)
    reason = b.host.health().ready.reason
    assert reason is not None
    assert reason.startswith("insufficient_gpu_memory: ")
    hog.clear()
    b.host.check(2)
    assert b.host.health().ready.ok


def test_reloads_give_the_old_weights_back(bench: Make) -> None:
    b = bench(device="cuda").ready()
    allocated = []
    for number in range(1, 5):
        assert b.host.reload("operator")
        b.until(lambda number=number: len(b.book.reloads) == number)  # type: ignore[misc]
        b.host.check(number)
        memory = b.host.health().gpu_memory
        assert memory is not None
        allocated.append(memory["allocated_gb"])
    # The first reload may add cuBLAS' workspace of the loading thread; the later ones reuse it.
    assert allocated[-1] <= allocated[0] + 0.01


def test_a_real_device_assert_ends_the_process_with_its_reason() -> None:
    done = subprocess.run([sys.executable, "-c", POISON], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 70, done.stderr
    assert "cuda_error: device_side_assert" in done.stdout


def several() -> list[str]:
    """All GPUs of this machine; a test that needs more than one is skipped."""
    import torch

    if (count := torch.cuda.device_count()) < 2:
        pytest.skip("there is one GPU only")
    return [f"cuda:{index}" for index in range(count)]


def test_a_gpu_that_is_named_and_the_cpu_serve_side_by_side(bench: Make, stage: Stage) -> None:
    b = bench(devices=["cuda:0", "cpu"], health={"min_free_gpu_bytes": 0}).start()
    b.until(lambda: [each.state for each in b.host.status().replicas] == ["ready", "ready"])
    b.ready()
    seen: list[str] = []
    stage.on_predict = lambda batch: seen.append(threading.current_thread().name)
    assert [b.infer(number).result["value"] for number in range(4)] == [0, 2, 4, 6]
    assert sorted(set(seen)) == ["model cpu", "model cuda:0"]
    assert b.host.health().checks["gpu"] is True


def test_each_gpu_has_a_replica_and_plain_cuda_means_its_own(bench: Make, stage: Stage) -> None:
    import torch

    devices = several()
    b = bench(devices=devices, health={"min_free_gpu_bytes": 0}).start()
    b.until(lambda: all(each.serving for each in b.host.status().replicas))
    b.ready()
    seen: dict[str, str] = {}

    def on_predict(batch: list[float]) -> None:
        seen[threading.current_thread().name.removeprefix("model ")] = str(torch.ones(1, device="cuda").device)

    stage.on_predict = on_predict
    for number in range(2 * len(devices)):
        assert b.infer(number).result["value"] == 2 * number
    assert seen == {device: device for device in devices}


def test_a_reload_on_several_gpus_loses_no_request(bench: Make, stage: Stage) -> None:
    devices = several()
    b = bench(devices=devices, queue_size=256, health={"min_free_gpu_bytes": 0}).start()
    b.until(lambda: all(each.serving for each in b.host.status().replicas))
    b.ready()
    stage.version = "2"
    assert b.host.reload("manual")
    sent = [b.send(number) for number in range(200)]
    assert [future.result(PATIENCE).result["value"] for future in sent] == [2 * number for number in range(200)]
    b.until(lambda: b.book.reloads == [("manual", "ok")] * len(devices))
    assert {each.version for each in b.host.status().replicas} == {"2"}
