"""Batches are compared with the best that the model has shown, size by size."""

from __future__ import annotations

import pytest

from model.drift import BLOCK, LatencyDrift


def feed(drift: LatencyDrift, size: int, seconds: float, blocks: int = 1) -> LatencyDrift:
    for _ in range(blocks * BLOCK):
        drift.observe(size, seconds)
    return drift


def test_nothing_is_said_before_there_is_something_to_say() -> None:
    drift = LatencyDrift()
    for _ in range(BLOCK - 1):
        drift.observe(1, 0.1)
    assert drift.ratio() is None


def test_a_model_that_grows_slow_shows_it() -> None:
    drift = feed(LatencyDrift(), 1, 0.01, blocks=3)
    assert drift.ratio() == 1.0
    assert feed(drift, 1, 0.025).ratio() == pytest.approx(2.5)
    assert feed(drift, 1, 0.01).ratio() == 1.0


def test_a_slow_start_is_not_taken_for_the_best() -> None:
    drift = feed(LatencyDrift(), 1, 0.5)
    feed(drift, 1, 0.01)
    assert feed(drift, 1, 0.02).ratio() == pytest.approx(2.0)


def test_larger_batches_are_not_slower_ones() -> None:
    drift = feed(LatencyDrift(), 1, 0.01)
    assert feed(drift, 8, 0.08).ratio() == 1.0


def test_single_slow_batches_change_nothing() -> None:
    drift = feed(LatencyDrift(), 1, 0.01)
    for number in range(BLOCK):
        drift.observe(1, 5.0 if number % 4 == 0 else 0.01)
    assert drift.ratio() == 1.0


def test_a_fresh_instance_is_measured_against_the_old_one_and_a_new_version_is_not() -> None:
    drift = feed(LatencyDrift(), 1, 0.01)
    drift.restart(keep_best=True)
    assert drift.ratio() is None
    assert feed(drift, 1, 0.03).ratio() == pytest.approx(3.0)
    drift.restart(keep_best=False)
    assert feed(drift, 1, 0.03).ratio() == 1.0
