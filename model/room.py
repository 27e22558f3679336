"""Whether a second instance of a model has room beside the first."""

from __future__ import annotations

from pathlib import Path

import psutil

from model.loader import Instance

#: How much more memory than the serving instance took must be available to load another one beside it.
ROOM = 1.25
#: The limit and the use of the control group that a container runs in.
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")
_STAT = Path("/sys/fs/cgroup/memory.stat")


def lack_on_gpu(serving: Instance) -> str | None:
    """Why there is none on the GPU, e.g. ``insufficient_gpu_memory: about 2.5 GB needed, 1.1 GB free``.

    What is needed is what loading and warming up the one that serves took.
    """
    memory = serving.device.memory()
    return None if memory is None else _short("insufficient_gpu_memory", serving.gpu_bytes, memory.available)


def lack(serving: Instance) -> str | None:
    """As :func:`lack_on_gpu`, and on a CPU by its weights, which is the least that another one can take."""
    device = serving.device
    if device.memory() is not None:
        return lack_on_gpu(serving)
    weights = sum(
        each.numel() * each.element_size()
        for network in device.networks(serving.model)
        for each in (*network.parameters(), *network.buffers())
    )
    return _short("insufficient_memory", weights, _available())


def _short(word: str, needed: int, available: int) -> str | None:
    if available >= needed * ROOM:
        return None
    return f"{word}: about {needed * ROOM / 1e9:.1f} GB needed, {available / 1e9:.1f} GB free"


def _available() -> int:
    """Bytes that this process may still take."""
    machine = int(psutil.virtual_memory().available)
    try:
        free = int(_LIMIT.read_text()) - int(_USED.read_text())
    except (OSError, ValueError):  # no such group, or one without a limit
        return machine
    return min(machine, free + _reclaimable())


def _reclaimable() -> int:
    """Bytes of files among what the group uses that go when room is needed; in the end they fill every group."""
    try:
        figures = dict(line.split(maxsplit=1) for line in _STAT.read_text().splitlines())
        return int(figures["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0
