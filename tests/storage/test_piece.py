"""Putting the parts of series together: what is remembered on the way."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from storage.piece import Assembler, Part


def test_moments_are_shared_by_series_and_let_go_of_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.piece._MOST_BYTES", 3 * 8 * 100)
    assembler = Assembler(0, 10_000)
    moments = []
    for number in range(10):
        times = np.arange(100, dtype=np.int64) + number
        (first, values), (second, _) = (
            assembler.join([Part(number, times, times.astype(np.float64))]) for _ in range(2)
        )
        assert first is second
        assert values.tolist() == times.tolist()
        moments.append(weakref.ref(times))
    del times, first, second, values
    assert sum(one() is not None for one in moments) <= 3
