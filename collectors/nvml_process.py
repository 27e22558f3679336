"""Which process holds how much GPU memory. Listing takes milliseconds, so it has its own collector and is slow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from collectors.nvml_session import Device, NvmlSession, text
from collectors.sample import Sample

#: Most processes told of each GPU, largest first: a limit on the number of series.
MAX_PROCESSES = 20
_LISTS = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
_UNKNOWN = "(unknown)"


class NvmlProcessCollector:
    """Reads the process lists of every GPU through NVML; names come from NVML too, without path or arguments."""

    def __init__(self, session: NvmlSession, interval_seconds: float = 10.0) -> None:
        self.name = "nvml_process"
        self.interval_seconds = interval_seconds
        self._session = session

    @property
    def absent_reason(self) -> str | None:
        """Why there are no GPUs to read; None while there are."""
        return self._session.absent_reason

    def collect(self) -> Iterable[Sample]:
        """The memory of each process, GPU by GPU, largest first."""
        for device in self._session.devices():
            held = sorted(self._held(device).items(), key=lambda entry: (-entry[1], entry[0]))
            for pid, size in held[:MAX_PROCESSES]:
                labels = (*device.labels, ("pid", str(pid)), ("process", self._name(pid)))
                yield Sample("gpu_process_memory_used_bytes", tuple(sorted(labels)), float(size))

    def _held(self, device: Device) -> dict[int, int]:
        """Bytes by process id. A process in both lists has the same memory in each, so it counts once."""
        held: dict[int, int] = {}
        for function in _LISTS:
            for process in self._session.ask(getattr(self._session.library, function), device.handle) or []:
                if process.usedGpuMemory is not None:
                    held[process.pid] = max(process.usedGpuMemory, held.get(process.pid, 0))
        return held

    def _name(self, pid: int) -> str:
        name = self._session.ask(self._session.library.nvmlSystemGetProcessName, pid)
        words = text(name).split() if name is not None else []
        return PurePath(words[0]).name if words else _UNKNOWN
