"""The device that the model runs on: what the host itself asks of torch. Used by the threads that load and predict."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from model.fault import brief
from model.interface import Model
from model.preload import preload_torch

log = structlog.get_logger(__name__)

_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_GB = 1e9
Found = TypeVar("Found")


class NoDevice(Exception):
    """The device that the settings ask for cannot be used; the text is for a person."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes on a GPU: ``allocated`` by tensors, ``reserved`` by torch's allocator, ``free`` for anybody, ``total``."""

    allocated: int
    reserved: int
    free: int
    total: int

    @property
    def available(self) -> int:
        """What the model could still take: free on the card, or held by the allocator and unused."""
        return self.free + self.reserved - self.allocated

    def as_gb(self) -> dict[str, float]:
        """The three figures that health answers carry, in 10⁹ bytes."""
        return {
            "allocated_gb": round(self.allocated / _GB, 3),
            "reserved_gb": round(self.reserved / _GB, 3),
            "total_gb": round(self.total / _GB, 3),
        }


def prepare_allocator() -> None:
    """Let torch's CUDA allocator grow its segments, which keeps fragmentation low; read when CUDA starts."""
    if not any(os.environ.get(variable) for variable in _ALLOCATOR_VARIABLES):
        os.environ["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"


def _import_torch(cpu_threads: int, sharing: int) -> Any:
    """Torch, told how many threads it may use on the CPU; one core is left to the rest of the server."""
    preload_torch()
    import torch  # here, on the model thread: the server answers long before these 300 MB and 2 s are spent

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cpu_threads or max(1, (cores - 1) // sharing))
    return torch


class Device:
    """One device: ``name`` is ``cpu`` or ``cuda:0``, as torch has it. Made by :meth:`choose` or :meth:`at`.

    ``label`` is what it is called: one of several replicas on the CPU may be ``cpu:1``.
    """

    def __init__(self, torch: Any, name: str, autocast: str = "off", label: str | None = None) -> None:
        self._torch = torch
        self.name = name
        self.label = label or name
        self._autocast = None if autocast == "off" else getattr(torch, autocast)

    @classmethod
    def choose(cls, wanted: str, *, require_gpu: bool, cpu_threads: int, autocast: str = "off") -> Device:
        """Import torch and pick the device: ``auto`` takes CUDA when a tensor really works there.

        ``cpu_threads`` 0 leaves one core to the rest of the server; ``autocast`` is ``off`` or a type to compute with.
        Raises :class:`NoDevice`.
        """
        torch = _import_torch(cpu_threads, 1)
        needs_gpu = wanted == "cuda" or require_gpu
        if wanted == "cpu" and not require_gpu:
            return cls(torch, "cpu", autocast)
        problem = "model.device is cpu" if wanted == "cpu" else cls._cuda_problem(torch)
        if problem is None:
            return cls(torch, "cuda:0", autocast)
        if needs_gpu:
            raise NoDevice(problem)
        log.info("cuda_not_used", why=problem)
        return cls(torch, "cpu", autocast)

    @classmethod
    def at(cls, place: str, *, require_gpu: bool, cpu_threads: int, sharing: int = 1, autocast: str = "off") -> Device:
        """The device that ``place`` names: ``cpu``, ``cpu:N`` or ``cuda:N``. Raises :class:`NoDevice`.

        ``sharing`` is how many replicas share the CPU's cores.
        """
        torch = _import_torch(cpu_threads, sharing)
        if place.startswith("cpu"):
            if require_gpu:
                raise NoDevice(f"model.devices has {place}, and health.require_gpu is set")
            return cls(torch, "cpu", autocast, place)
        problem = cls._cuda_problem(torch, int(place.partition(":")[2]))
        if problem is not None:
            raise NoDevice(problem)
        return cls(torch, place, autocast)

    @classmethod
    def _cuda_problem(cls, torch: Any, index: int = 0) -> str | None:
        """Why CUDA cannot be used, or ``None`` when it can."""
        if not torch.cuda.is_available():
            return "torch finds no usable CUDA device"
        if index >= (count := torch.cuda.device_count()):
            return f"torch finds no CUDA device {index}, only 0 to {count - 1}"
        try:
            cls(torch, f"cuda:{index}").probe()
        except Exception as error:  # noqa: BLE001 - drivers fail in every way there is; each means the same here
            return f"CUDA is there, but a tensor on it fails ({brief(error)})"
        return None

    @property
    def is_gpu(self) -> bool:
        """Whether this is a GPU."""
        return self.name != "cpu"

    def probe(self) -> None:
        """Allocate a small tensor, compute on it and wait for the result; raises whatever the device raises."""
        total = float(self._torch.ones(16, device=self.name).sum().item())
        if total != 16.0:
            raise RuntimeError(f"the device computed 16 × 1 = {total}")

    def predict(self, model: Model, batch: Sequence[Any]) -> Sequence[Any]:
        """``model.predict`` as the settings want it run."""
        return self.run(lambda: model.predict(batch))

    def current(self) -> AbstractContextManager[Any]:
        """Within it plain ``cuda`` means this GPU. The first one is meant anyway."""
        if self.name in ("cpu", "cuda:0"):
            return nullcontext()
        return self._torch.cuda.device(self.name)  # type: ignore[no-any-return]

    def run(self, call: Callable[[], Found]) -> Found:
        """``call()`` without autograd's bookkeeping, and under autocast if the settings say so."""
        with self.current(), self._torch.inference_mode():
            if self._autocast is None:
                return call()
            with self._torch.autocast(self.name.partition(":")[0], dtype=self._autocast):
                return call()

    def compile(self, model: Model) -> None:
        """Have torch compile the model's networks, each in its first forward pass; :meth:`uncompile` takes it back."""
        for network in self.networks(model):
            network.compile()

    def uncompile(self, model: Model) -> None:
        """Run the model's networks as they were written."""
        for network in self.networks(model):
            network._compiled_call_impl = None  # torch has no call for it; this is what Module.compile sets

    def memory(self) -> DeviceMemory | None:
        """The GPU's memory; ``None`` on the CPU."""
        if not self.is_gpu:
            return None
        cuda = self._torch.cuda
        free, total = cuda.mem_get_info(self.name)
        return DeviceMemory(cuda.memory_allocated(self.name), cuda.memory_reserved(self.name), free, total)

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.is_gpu:
            self._torch.cuda.synchronize(self.name)

    def reset_peak(self) -> None:
        """Begin to watch :meth:`peak_bytes` anew."""
        if self.is_gpu:
            self._torch.cuda.reset_peak_memory_stats(self.name)

    def peak_bytes(self) -> int | None:
        """The most bytes that tensors took since; ``None`` on the CPU."""
        return int(self._torch.cuda.max_memory_allocated(self.name)) if self.is_gpu else None

    def release(self) -> None:
        """Give back whatever nothing refers to any more. Call it outside ``except``: a traceback holds its tensors."""
        gc.collect()
        if self.is_gpu:
            with self.current():
                self._torch.cuda.empty_cache()

    def networks(self, model: Model) -> list[Any]:
        """The ``torch.nn.Module`` objects that the model holds as attributes."""
        return [value for value in vars(model).values() if isinstance(value, self._torch.nn.Module)]

    def in_eval(self, model: Model) -> bool:
        """Whether none of the model's networks is in training mode."""
        return not any(network.training for network in self.networks(model))

    def dtype_of(self, model: Model) -> str | None:
        """The type of the model's first parameter, e.g. ``float32``; ``None`` when it holds no network."""
        for network in self.networks(model):
            parameter = next(network.parameters(), None)
            if parameter is not None:
                return str(parameter.dtype).removeprefix("torch.")
        return None
