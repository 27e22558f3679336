"""The memory curve of one server process, so that its end can be told with what came before it."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

#: Every second of the last minute, and every tenth of the nine before.
FINE_SECONDS, COARSE_SECONDS, KEPT_SECONDS = 1.0, 10.0, 600.0
_FINE = 60
#: Points that go into the ledger.
_TOLD_FINE, _TOLD_COARSE = 15, 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MemoryCurve:
    """Samples ``(moment, resident bytes, GPU bytes)``; moments are monotonic seconds."""

    def __init__(self) -> None:
        self._fine: deque[tuple[float, int, int]] = deque(maxlen=_FINE)
        self._coarse: deque[tuple[float, int, int]] = deque(maxlen=round(KEPT_SECONDS / COARSE_SECONDS))

    def clear(self) -> None:
        """Another process begins."""
        self._fine.clear()
        self._coarse.clear()

    def add(self, now: float, resident_bytes: int, gpu_bytes: int) -> None:
        """Take a sample, at most one each second."""
        sample = (now, resident_bytes, gpu_bytes)
        if not self._fine or now - self._fine[-1][0] >= 0.9 * FINE_SECONDS:
            self._fine.append(sample)
        if not self._coarse or now - self._coarse[-1][0] >= COARSE_SECONDS:
            self._coarse.append(sample)

    def told(self, now: float) -> list[list[float]]:
        """``[seconds before now, resident MB, GPU MB]``, oldest first: each second of the last 15, then every tenth."""
        fine = list(self._fine)[-_TOLD_FINE:]
        coarse = [sample for sample in self._coarse if not fine or sample[0] < fine[0][0]][-_TOLD_COARSE:]
        return [
            [round(now - moment, 1), round(resident / 1e6, 1), round(gpu / 1e6, 1)]
            for moment, resident, gpu in [*coarse, *fine]
        ]


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """What a process holds in memory; ``None`` when it is gone."""
    try:
        fields = (proc / str(pid) / "statm").read_text(encoding="ascii").split()
        return int(fields[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None
