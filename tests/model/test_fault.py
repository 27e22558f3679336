"""Failures are told apart by the remedy they need."""

from __future__ import annotations

import pytest
import torch

from model.fault import brief, classify, from_device, sticky


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "memory"),
        (RuntimeError("CUDA error: out of memory"), "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "memory"),
        (MemoryError(), "memory"),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), "poisoned"),
        (RuntimeError("CUDA error: misaligned address"), "poisoned"),
        (RuntimeError("CUDA error: invalid configuration argument"), "error"),
        (ValueError("device-side assert is what my CUDA tutorial is about"), "error"),
        (RuntimeError("mat1 and mat2 must have the same dtype"), "error"),
    ],
)
def test_the_kind_decides_the_remedy(error: Exception, kind: str) -> None:
    assert classify(error) == kind


def test_a_real_allocation_that_cannot_succeed_is_a_memory_failure() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(10**15)
    assert classify(failed.value) == "memory"


def test_an_unknown_cuda_error_makes_the_device_suspect_but_is_not_sticky() -> None:
    error = RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
    assert from_device(error)
    assert sticky(error) is None


def test_a_brief_is_one_short_line_without_folders() -> None:
    text = brief(FileNotFoundError("no /srv/secret/place/weights.bin\nsecond line " + "x" * 500))
    assert text.startswith("FileNotFoundError: no weights.bin second line")
    assert len(text) <= 200
    assert "secret" not in text
