"""Tell failures of a model apart by the remedy they need. Knows torch's errors without importing torch."""

from __future__ import annotations

import re
from typing import Literal

#: ``memory``: try less at a time. ``poisoned``: the CUDA context is lost, only a new process helps. ``error``: a bug.
Kind = Literal["memory", "poisoned", "error"]

#: What CUDA says when the context cannot be used again (the errors its manual calls sticky), and a slug for each.
_STICKY = {
    "device-side assert": "device_side_assert",
    "illegal memory access": "illegal_memory_access",
    "launch failure": "launch_failure",
    "launch timed out": "launch_timed_out",
    "misaligned address": "misaligned_address",
    "illegal instruction": "illegal_instruction",
    "invalid program counter": "invalid_program_counter",
    "operation not supported on global/shared address space": "invalid_address_space",
    "hardware stack error": "hardware_stack_error",
    "uncorrectable ecc error": "uncorrectable_ecc_error",
}
_CUDA = re.compile(r"\b(CUDA error|cuBLAS error|cuDNN error|CUBLAS_STATUS_|CUDNN_STATUS_)", re.IGNORECASE)
_CPU_MEMORY = re.compile(r"can't allocate memory|not enough memory", re.IGNORECASE)
_CUDA_MEMORY = re.compile(r"CUDA error: out of memory|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED", re.IGNORECASE)
_FOLDERS = re.compile(r"(?:/[^\s/:'\"]+)+/(?=[^\s/])")
_LONGEST = 200


class Poisoned(Exception):
    """The device cannot be used again by this process; ``reason`` is machine-readable, e.g. ``cuda_error: …``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LoadFailure(Exception):
    """A model that cannot be served: ``reason`` is machine-readable, ``suggestion`` a sentence for the operator."""

    def __init__(self, reason: str, suggestion: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


def classify(error: BaseException) -> Kind:
    """What kind of failure ``error`` is, by its type and, where torch leaves no choice, its words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "memory"
    text = str(error)
    if isinstance(error, RuntimeError) and (_CPU_MEMORY.search(text) or _CUDA_MEMORY.search(text)):
        return "memory"
    return "poisoned" if sticky(error) else "error"


def sticky(error: BaseException) -> str | None:
    """The slug of the sticky CUDA error that ``error`` reports, or ``None``."""
    text = str(error).lower()
    if not isinstance(error, RuntimeError) or "cuda" not in text:
        return None
    return next((slug for phrase, slug in _STICKY.items() if phrase in text), None)


def from_device(error: BaseException) -> bool:
    """Whether ``error`` comes from CUDA or a library on it, so that the device itself should be looked at."""
    return isinstance(error, RuntimeError) and _CUDA.search(str(error)) is not None


def brief(error: BaseException) -> str:
    """One short line for a person, without folders: it is shown where anyone may read."""
    text = _FOLDERS.sub("", " ".join(str(error).split()))
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
