"""A model is warmed up with the batches that requests will bring, for as long as there is time and memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from model import Golden, Model
from model.device import Device
from model.warmup import WarmUp, warm_up
from tests.model.conftest import Bench, Clock
from tests.model.stage import Stage

Make = Callable[..., Bench]


class Sums(Model):
    """Adds up rows of numbers; rows of different lengths are of different buckets. Notes every batch it sees."""

    name = "sums"

    def __init__(self, most: int = 1000) -> None:
        self.seen: list[tuple[int, int]] = []
        self.most = most

    def load(self, device: str) -> None:
        self.network = torch.nn.Linear(1, 1).to(device).eval()

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        rows = torch.tensor(batch)
        self.seen.append(tuple(rows.shape))  # type: ignore[arg-type]
        if rows.numel() > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return rows.sum(dim=1).tolist()

    def bucket(self, input: Any) -> int:
        return len(input)

    def golden(self) -> Sequence[Golden]:
        return [([1.0, 2.0], bool), ([3.0, 4.0], bool), ([1.0, 2.0, 3.0], bool)]


def warmed(model: Sums, batch_size: int, seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> WarmUp:
    device = Device.choose("cpu", require_gpu=False, cpu_threads=1)
    return warm_up(model, device, tuple(model.golden()), batch_size=batch_size, seconds=seconds, clock=clock)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8, 9))]
)
def test_every_size_is_run_up_to_the_largest_with_an_input_of_each_bucket(
    batch_size: int, sizes: tuple[int, ...]
) -> None:
    model = Sums()
    assert warmed(model, batch_size) == WarmUp(batch_size, sizes)
    assert model.seen == [(size, width) for size in sizes for width in (2, 3)]


def test_what_does_not_fit_in_any_bucket_lowers_the_limit() -> None:
    model = Sums(most=10)
    assert warmed(model, 8) == WarmUp(2, (1, 2), "out_of_memory")
    assert model.seen[-1] == (4, 3), "four rows of two would have fitted"


def test_one_input_that_does_not_fit_is_a_failure_of_the_load() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        warmed(Sums(most=1), 8)


def test_without_time_only_one_input_is_run() -> None:
    model = Sums()
    assert warmed(model, 8, seconds=0) == WarmUp(8, (1,))


def test_it_ends_when_its_time_is_over_and_lowers_no_limit() -> None:
    clock = itertools.count(0, 10).__next__
    assert warmed(Sums(), 64, seconds=25.0, clock=clock) == WarmUp(64, (1, 2, 4), "too_slow")


def test_a_host_shows_which_sizes_were_run(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=6).start()
    b.until(lambda: b.host.status().state == "ready")
    status = b.host.status()
    assert (status.batch_limit, status.warmed, status.warm_up_cut_short) == (6, (1, 2, 4, 6), None)
    assert [len(batch) for batch in stage.batches] == [1, 2, 4, 6, 1], "the last one is the golden pair"


def test_what_does_not_fit_is_never_put_into_one_batch(bench: Make, stage: Stage) -> None:
    def predict(batch: list[float]) -> None:
        if len(batch) > 4:
            raise MemoryError

    stage.on_predict = predict
    b = bench(batch_size=16).ready()
    status = b.host.status()
    assert (status.batch_limit, status.warmed, status.warm_up_cut_short) == (4, (1, 2, 4), "out_of_memory")
    held = b.occupy()
    sent = b.send_waiting(*range(1, 9))
    stage.gate.set()
    assert [future.result(20).result["value"] for future in [held, *sent]] == [2 * number for number in range(9)]
    assert [len(batch) for batch in stage.batches] == [1, 4, 4]


def test_a_slow_model_is_ready_before_its_largest_batch_was_run(bench: Make, stage: Stage) -> None:
    clock = Clock()

    def predict(batch: list[float]) -> None:
        clock.now += 20

    stage.on_predict = predict
    b = bench(batch_size=16, host={"clock": clock}).start()
    b.until(lambda: b.host.status().state == "ready")
    status = b.host.status()
    assert (status.batch_limit, status.warmed, status.warm_up_cut_short) == (16, (1, 2), "too_slow")
    assert b.infer(1).outcome == "ok"
