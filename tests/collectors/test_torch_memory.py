"""Torch's memory, without ever importing torch."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from collectors.sample import Sample, make_labels
from collectors.torch_memory import TorchMemoryCollector


def pool(current: int, peak: int) -> dict[str, dict[str, int]]:
    return {"all": {"current": current, "peak": peak}, "small_pool": {"current": 0, "peak": 0}}


class Cuda:
    """``torch.cuda`` of a machine with two GPUs, of which this process uses the second."""

    def __init__(self) -> None:
        self.initialized = True
        self.asked_for_free: list[int] = []

    def is_initialized(self) -> bool:
        return self.initialized

    def device_count(self) -> int:
        return 2

    def memory_stats_as_nested_dict(self, device: int) -> dict[str, Any]:
        used = device == 1
        return {
            "allocated_bytes": pool(300, 500) if used else pool(0, 0),
            "reserved_bytes": pool(400, 600) if used else pool(0, 0),
            "inactive_split_bytes": pool(0, 10),
            "num_ooms": 0,
            "num_alloc_retries": 2,
        }

    def mem_get_info(self, device: int) -> tuple[int, int]:
        self.asked_for_free.append(device)
        return 0, 24_000

    def get_device_properties(self, device: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=f"uuid-{device}")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    torch = ModuleType("torch")
    made = torch.cuda = Cuda()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    return made


def test_reading_does_not_import_torch() -> None:
    code = (
        "import sys\nfrom collectors.torch_memory import TorchMemoryCollector\n"
        "assert list(TorchMemoryCollector().collect()) == []\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_only_gpus_that_this_process_uses_are_told_or_touched(cuda: Cuda) -> None:
    labels = make_labels(gpu=1)
    assert list(TorchMemoryCollector().collect()) == [
        Sample("torch_cuda_memory_allocated_bytes", labels, 300),
        Sample("torch_cuda_memory_reserved_bytes", labels, 400),
        Sample("torch_cuda_memory_inactive_split_bytes", labels, 0),
        Sample("torch_cuda_memory_max_allocated_bytes", labels, 500),
        Sample("torch_cuda_memory_free_bytes", labels, 0),
        Sample("torch_cuda_memory_total_bytes", labels, 24_000),
        Sample("torch_cuda_ooms_total", labels, 0),
        Sample("torch_cuda_alloc_retries_total", labels, 2),
        Sample("gpu_memory_allocated_bytes", labels, 300),
    ]
    assert cuda.asked_for_free == [1]


def test_a_gpu_has_the_label_that_nvml_gives_it(cuda: Cuda) -> None:
    collector = TorchMemoryCollector(index_of={"GPU-uuid-1": "3"}.get)
    assert {sample.labels for sample in collector.collect()} == {make_labels(gpu=3)}


def test_before_cuda_is_in_use_there_is_nothing(cuda: Cuda) -> None:
    cuda.initialized = False
    assert list(TorchMemoryCollector().collect()) == []


def test_a_torch_that_is_still_being_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert list(TorchMemoryCollector().collect()) == []
    torch.cuda = ModuleType("torch.cuda")  # type: ignore[attr-defined]
    assert list(TorchMemoryCollector().collect()) == []


def test_a_broken_context_is_an_error(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(cuda, "mem_get_info", fail)
    with pytest.raises(RuntimeError, match="device-side assert"):
        list(TorchMemoryCollector().collect())


@pytest.mark.gpu
def test_a_real_allocation_is_seen() -> None:
    import torch  # this test alone needs it, on a machine with a GPU

    kept = torch.zeros(1 << 20, device="cuda")
    found = {sample.name: sample.value for sample in TorchMemoryCollector().collect()}
    assert found["gpu_memory_allocated_bytes"] >= kept.numel() * 4
    assert found["torch_cuda_memory_total_bytes"] > found["torch_cuda_memory_free_bytes"] > 0
