"""The machine: processors, memory, disks, network, pressure."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import structlog

from collectors.sample import Labels, Sample, make_labels

_log = structlog.get_logger(__name__)

PRESSURE_RESOURCES = ("cpu", "io", "memory")
#: Modes of CPU time. Guest time is left out: the kernel counts it under user and nice already.
_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_IDLE_MODES = frozenset({"idle", "iowait"})
#: No disks: loop devices, memory, optical and floppy drives.
_NOT_A_DISK = re.compile(r"(loop|ram|zram|sr|fd)\d+")
#: The machine's own loop, and the plumbing of containers and virtual machines, which repeats other devices' traffic.
_NOT_A_NETWORK = re.compile(r"lo\d*|(veth|docker|br-|virbr|cni|flannel|cali|ifb|dummy).*")


class _CpuTimes(NamedTuple):
    busy: float
    total: float


class HostCollector:
    """Reads the machine through psutil. What a machine does not have is left out.

    ``system_root`` and ``pressure_root`` stand for /sys and /proc/pressure; ``clock`` gives seconds that never go back.
    """

    def __init__(
        self,
        interval_seconds: float = 1.0,
        *,
        system_root: Path = Path("/sys"),
        pressure_root: Path = Path("/proc/pressure"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = "host"
        self.interval_seconds = interval_seconds
        self._block = system_root / "block"
        self._pressure_files = {resource: pressure_root / resource for resource in PRESSURE_RESOURCES}
        self._clock = clock
        self._cpu_before: list[_CpuTimes] = []
        self._pressure_before: dict[str, tuple[float, int]] = {}
        self._disks: dict[str, Labels | None] = {}
        self._networks: dict[str, Labels | None] = {}
        self._refused: set[str] = set()

    def collect(self) -> Iterable[Sample]:
        """All values of this moment. Ratios over time begin with the second run."""
        for part in (self._cpu, self._load, self._memory, self._disk, self._network, self._pressure, self._uptime):
            try:
                yield from part()
            except (OSError, psutil.Error, NotImplementedError) as error:
                self._note(part.__name__.strip("_"), error)

    def _note(self, part: str, error: Exception) -> None:
        """Say once that a part of the machine cannot be read (a container may hide it)."""
        if part not in self._refused:
            self._refused.add(part)
            _log.warning("host_part_unreadable", part=part, error=str(error))

    def _cpu(self) -> Iterator[Sample]:
        cores = psutil.cpu_times(percpu=True)
        modes = [mode for mode in _CPU_MODES if hasattr(cores[0], mode)]
        now = []
        sums = dict.fromkeys(modes, 0.0)
        for core in cores:
            total = busy = 0.0
            for mode in modes:
                seconds: float = getattr(core, mode)
                sums[mode] += seconds
                total += seconds
                if mode not in _IDLE_MODES:
                    busy += seconds
            now.append(_CpuTimes(busy, total))
        for mode in modes:
            yield Sample("cpu_seconds_total", (("mode", mode),), sums[mode])
        before, self._cpu_before = self._cpu_before, now
        if len(before) == len(now):
            yield from _utilization(before, now)

    def _load(self) -> Iterator[Sample]:
        for name, value in zip(("load1", "load5", "load15"), os.getloadavg(), strict=True):
            yield Sample(name, (), value)

    def _memory(self) -> Iterator[Sample]:
        memory = psutil.virtual_memory()
        yield Sample("memory_used_bytes", (), float(memory.total - memory.available))
        yield Sample("memory_available_bytes", (), float(memory.available))
        yield Sample("memory_total_bytes", (), float(memory.total))
        yield Sample("swap_used_bytes", (), float(psutil.swap_memory().used))

    def _disk(self) -> Iterator[Sample]:
        for device, count in sorted(psutil.disk_io_counters(perdisk=True).items()):
            labels = self._disk_labels(device)
            if labels is None:
                continue
            yield Sample("disk_read_bytes_total", labels, float(count.read_bytes))
            yield Sample("disk_written_bytes_total", labels, float(count.write_bytes))
            busy_ms = getattr(count, "busy_time", None)
            if busy_ms is not None:
                yield Sample("disk_io_time_seconds_total", labels, busy_ms / 1000)

    def _disk_labels(self, device: str) -> Labels | None:
        """Labels of a whole physical disk; None for a partition and for what lies on top of other disks (RAID, LVM)."""
        if device not in self._disks:
            entry = self._block / device.replace("/", "!")
            layered = any((entry / "slaves").iterdir()) if (entry / "slaves").is_dir() else False
            whole = entry.exists() if self._block.is_dir() else True
            is_disk = whole and not layered and not _NOT_A_DISK.fullmatch(device)
            self._disks[device] = make_labels(device=device) if is_disk else None
        return self._disks[device]

    def _network(self) -> Iterator[Sample]:
        for device, count in sorted(psutil.net_io_counters(pernic=True).items()):
            if device not in self._networks:
                self._networks[device] = None if _NOT_A_NETWORK.fullmatch(device) else make_labels(device=device)
            labels = self._networks[device]
            if labels is None:
                continue
            yield Sample("network_receive_bytes_total", labels, float(count.bytes_recv))
            yield Sample("network_transmit_bytes_total", labels, float(count.bytes_sent))
            yield Sample("network_errors_total", (*labels, ("direction", "receive")), float(count.errin))
            yield Sample("network_errors_total", (*labels, ("direction", "transmit")), float(count.errout))

    def _pressure(self) -> Iterator[Sample]:
        for resource, file in self._pressure_files.items():
            try:
                total = _stall_microseconds(file.read_bytes())
            except FileNotFoundError:
                continue  # a kernel without pressure information
            now = self._clock()
            before = self._pressure_before.get(resource)
            self._pressure_before[resource] = now, total
            if before is not None and now > before[0]:
                ratio = (total - before[1]) / 1e6 / (now - before[0])
                yield Sample("pressure_ratio", (("resource", resource),), min(max(ratio, 0.0), 1.0))

    def _uptime(self) -> Iterator[Sample]:
        if hasattr(time, "CLOCK_BOOTTIME"):
            yield Sample("host_uptime_seconds", (), time.clock_gettime(time.CLOCK_BOOTTIME))
        else:
            yield Sample("host_uptime_seconds", (), time.time() - psutil.boot_time())


def _utilization(before: list[_CpuTimes], now: list[_CpuTimes]) -> Iterator[Sample]:
    """Busy share of all cores together and of each, between two readings. A core without any progress is left out."""
    busy = sum(core.busy for core in now) - sum(core.busy for core in before)
    total = sum(core.total for core in now) - sum(core.total for core in before)
    if total > 0:
        yield Sample("cpu_utilization_ratio", (), min(max(busy / total, 0.0), 1.0))
    for number, (old, new) in enumerate(zip(before, now, strict=True)):
        if new.total > old.total:
            share = (new.busy - old.busy) / (new.total - old.total)
            yield Sample("cpu_core_utilization_ratio", (("core", str(number)),), min(max(share, 0.0), 1.0))


def _stall_microseconds(text: bytes) -> int:
    """Time in which some task waited, since boot, from a file of /proc/pressure. ``OSError`` if it says none."""
    for line in text.splitlines():
        if line.startswith(b"some "):
            return int(line.rpartition(b"total=")[2])
    raise OSError("no line 'some' in the pressure file")
