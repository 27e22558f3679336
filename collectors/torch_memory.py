"""What torch's allocator holds on each GPU. Never imports torch: it only looks at one that the model has brought."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from collectors.sample import Labels, Sample, make_labels


def _no_index(uuid: str) -> str | None:
    return None


class TorchMemoryCollector:
    """Reads ``torch.cuda`` once CUDA is in use by this process; before that it yields nothing.

    ``index_of`` maps a GPU's UUID to the label it has with NVML, so that both speak of the same card however
    ``CUDA_VISIBLE_DEVICES`` is set; without an answer torch's own number is used.
    """

    def __init__(self, interval_seconds: float = 1.0, index_of: Callable[[str], str | None] = _no_index) -> None:
        self.name = "torch_memory"
        self.interval_seconds = interval_seconds
        self._index_of = index_of
        self._labels: dict[int, Labels] = {}

    def collect(self) -> Iterable[Sample]:
        """Memory of each GPU on which this process has allocated anything. Raises what CUDA raises."""
        torch = sys.modules.get("torch")
        cuda = getattr(torch, "cuda", None)  # absent while the model thread is still importing torch
        is_initialized = getattr(cuda, "is_initialized", None)
        if cuda is None or is_initialized is None or not is_initialized():
            return
        for device in range(cuda.device_count()):
            stats = cuda.memory_stats_as_nested_dict(device)
            if stats and _pool(stats, "reserved_bytes", "peak") > 0:
                yield from self._device(cuda, device, stats)

    def _device(self, cuda: Any, device: int, stats: dict[str, Any]) -> Iterator[Sample]:
        """One GPU that holds a context of ours: asking another for its free memory would create one (~500 MB)."""
        labels = self._labels_of(cuda, device)
        allocated = _pool(stats, "allocated_bytes")
        free, total = cuda.mem_get_info(device)
        yield Sample("torch_cuda_memory_allocated_bytes", labels, allocated)
        yield Sample("torch_cuda_memory_reserved_bytes", labels, _pool(stats, "reserved_bytes"))
        yield Sample("torch_cuda_memory_inactive_split_bytes", labels, _pool(stats, "inactive_split_bytes"))
        yield Sample("torch_cuda_memory_max_allocated_bytes", labels, _pool(stats, "allocated_bytes", "peak"))
        yield Sample("torch_cuda_memory_free_bytes", labels, float(free))
        yield Sample("torch_cuda_memory_total_bytes", labels, float(total))
        yield Sample("torch_cuda_ooms_total", labels, float(stats["num_ooms"]))
        yield Sample("torch_cuda_alloc_retries_total", labels, float(stats["num_alloc_retries"]))
        yield Sample("gpu_memory_allocated_bytes", labels, allocated)

    def _labels_of(self, cuda: Any, device: int) -> Labels:
        known = self._labels.get(device)
        if known is None:
            uuid = getattr(cuda.get_device_properties(device), "uuid", None)
            index = self._index_of(f"GPU-{uuid}") if uuid is not None else None
            known = self._labels[device] = make_labels(gpu=device if index is None else index)
        return known


def _pool(stats: dict[str, Any], name: str, what: str = "current") -> float:
    """One number of the allocator's statistics over both of its pools."""
    return float(stats[name]["all"][what])
