"""Makes glibc give freed memory back. A burst of large uploads would otherwise stay in the process for good.

glibc raises the size above which it maps memory of its own after the first large free, so that later bodies lie in the
arenas of request threads, whose ends even ``malloc_trim`` leaves alone. On another libc both functions do nothing.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
#: Blocks from this size on are mapped, and unmapped when freed. Below it lie the tensors of a forward pass on the CPU,
#: which would pay for that with page faults (measured: 1 MiB costs 15 % of a batch of eight, 8 MiB nothing).
MAP_FROM_BYTES = 8 * 1024 * 1024
TRIM_FROM_BYTES = 16 * 1024 * 1024


def tune() -> None:
    """Fix the thresholds, and let all threads share one arena, which can be trimmed; Python's lock keeps them apart.

    Called once, before there are threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAP_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, TRIM_FROM_BYTES)
        mallopt(_M_ARENA_MAX, 1)


def trim() -> None:
    """Give back what is free; takes a few milliseconds without the interpreter's lock."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
