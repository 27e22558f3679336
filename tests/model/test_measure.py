"""What a model is measured for before it serves, and what is suggested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from command import main
from config import HealthSettings, ModelSettings
from model.interface import Golden, Model
from model.loader import Instance, Loader
from model.measure import MOST_RUNS, Point, advise, measure


class Clock:
    """A clock that a model moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


clock = Clock()


class Timed(Model):
    """Takes 10 ms a batch and 1 ms an input, and has room for 16."""

    def load(self, device: str) -> None: ...

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        if len(batch) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        clock.now += 0.010 + 0.001 * len(batch)
        return batch

    def golden(self) -> Sequence[Golden]:
        return [(1, lambda answer: answer == 1)]


class Unproven(Timed):
    def golden(self) -> Sequence[Golden]:
        return []


class Moody(Timed):
    """Passes as often as a load asks: batches of 1, 2, 4 and 8, and the golden input. Never again."""

    def load(self, device: str) -> None:
        self.left = 5

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.left -= 1
        if self.left < 0:
            raise ValueError("in no mood")
        return batch


def load(kind: type[Model]) -> Instance:
    settings = ModelSettings(path=f"tests.model.test_measure:{kind.__name__}", device="cpu", batch_size=32)
    return Loader(settings, HealthSettings(), clock).load(lambda _: None)


def test_sizes_double_until_memory_ends() -> None:
    points = list(measure(load(Timed), 1, clock))
    assert [point.size for point in points] == [1, 2, 4, 8, 16]
    assert [point.median_seconds for point in points] == pytest.approx([0.011, 0.012, 0.014, 0.018, 0.026])
    assert points[0].per_second == pytest.approx(1 / 0.011)
    assert all(3 <= point.runs <= MOST_RUNS for point in points)
    assert points[0].gpu_bytes is None


def test_nothing_larger_than_asked_is_tried() -> None:
    assert [point.size for point in measure(load(Timed), 1, clock, largest=5)] == [1, 2, 4]


def point(size: int, milliseconds: float) -> Point:
    return Point(size, 10, milliseconds / 1e3, milliseconds / 1e3, None)


def test_the_smallest_batch_that_is_fast_enough_is_suggested() -> None:
    advice = advise([point(1, 10), point(2, 11), point(4, 12), point(8, 22), point(16, 44)], queue_size=64)
    assert advice.batch_size == 4  # 333 a second; 8 would make 364 and wait twice as long
    assert advice.batch_window_seconds == pytest.approx(0.0025)
    assert advice.deadline_seconds == 1.0  # 17 batches of 12 ms, twice, are less
    assert advice.watchdog_seconds == 10.0


def test_a_model_that_gains_nothing_does_not_wait() -> None:
    advice = advise([point(1, 1000), point(2, 2000)], queue_size=10)
    assert (advice.batch_size, advice.batch_window_seconds) == (1, 0.0)
    assert advice.deadline_seconds == 22.0  # ten before it and itself, twice
    assert advice.watchdog_seconds == 20.0


@pytest.mark.parametrize("size", [1, 7, 64, 1024])
def test_advice_is_always_a_valid_setting(size: int) -> None:
    for milliseconds in (1e-6, 0.37, 12.34, 59_999):
        advice = advise([point(size, milliseconds)], queue_size=1000)
        ModelSettings(batch_size=advice.batch_size, batch_window_seconds=advice.batch_window_seconds)
        assert advice.deadline_seconds >= milliseconds / 1e3
        assert advice.watchdog_seconds >= milliseconds / 1e3


Check = Callable[[str], tuple[int, str]]


@pytest.fixture
def check() -> Check:
    def run(name: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["model", "check", f"tests.model.test_measure:{name}", "--largest", "8"])
        return done.exit_code, done.output

    return run


def test_the_command_prints_a_table_and_settings(check: Check) -> None:
    status, said = check("Timed")
    assert status == 0
    assert "golden inputs: 1 passed" in said
    assert "\nmodel:\n  batch_size: 8\n  batch_window_seconds: " in said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Nope", "load_failed: no_such_class Nope"),
        ("Unproven", "there is no golden input to measure with"),
        ("Moody", "the model fails on its own golden input: ValueError: in no mood"),
    ],
)
def test_the_command_ends_with_a_reason(check: Check, name: str, why: str) -> None:
    status, said = check(name)
    assert status == 2
    assert why in said
