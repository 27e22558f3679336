"""The settings that make a model faster, or do not: each does what it says, and what fails is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from model import Model
from model.device import Device
from tests.model.conftest import Bench
from tests.model.stage import Stage
from tests.model.test_stream import STREAMER, events

Make = Callable[..., Bench]


def seen(stage: Stage) -> list[tuple[bool, bool]]:
    """Whether inference mode and autocast were on, at each predict and step from now on."""
    found: list[tuple[bool, bool]] = []

    def note(_: Any) -> None:
        found.append((torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")))

    stage.on_predict = stage.on_step = note
    return found


@pytest.mark.parametrize(("autocast", "on"), [("off", False), ("bfloat16", True), ("float16", True)])
def test_predict_and_stream_run_in_inference_mode_and_under_autocast_as_asked(
    bench: Make, stage: Stage, autocast: str, on: bool
) -> None:
    b = bench(path=STREAMER, autocast=autocast).ready()
    found = seen(stage)
    assert b.infer(3).result["value"] == 6.0
    assert events(b.stream(1)) == [("data", {"value": 2.0, "class": "small"})]
    assert found == [(True, on), (True, on)]
    assert not torch.is_autocast_enabled("cpu")


def test_networks_are_compiled_before_the_warm_up_and_not_unless_asked(
    bench: Make, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(Device, "compile", lambda self, model: compiled.append(model.name))
    bench().ready()
    assert compiled == []
    b = bench(compile=True).start()
    b.until(lambda: b.host.status().state == "ready")
    assert compiled == ["multiplier"]
    assert "compiling" in b.progress


def test_a_network_that_cannot_be_compiled_is_served_as_it_was_written(
    bench: Make, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(
        Device,
        "compile",
        lambda self, model: setattr(model.network, "_compiled_call_impl", broken),
    )
    b = bench(compile=True).ready()
    assert b.infer(3).result["value"] == 6.0


@pytest.mark.long
def test_a_compiled_network_answers_the_same(bench: Make, stage: Stage) -> None:
    b = bench(compile=True).start()
    b.until(lambda: b.host.status().state in ("ready", "failed"))
    assert b.infer(3).result["value"] == 6.0


class Stacker(Model):
    """Only here for ``gather``."""

    def load(self, device: str) -> None: ...

    def predict(self, batch: Any) -> Any: ...


@pytest.mark.parametrize("pinned", [False, True])
def test_gather_stacks_tensors_of_one_shape(pinned: bool) -> None:
    model = Stacker()
    model.pin_memory = pinned
    batch = model.gather([torch.ones(2, 3), torch.zeros(2, 3)], "cpu")
    assert batch.shape == (2, 2, 3)
    assert batch.sum() == 6


@pytest.mark.gpu
@pytest.mark.parametrize("pinned", [False, True])
def test_gather_brings_a_batch_to_the_gpu(pinned: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    model = Stacker()
    model.pin_memory = pinned
    batch = model.gather([torch.full((2, 3), float(number), dtype=torch.float16) for number in range(4)], "cuda:0")
    assert (batch.device.type, batch.dtype, batch.shape) == ("cuda", torch.float16, (4, 2, 3))
    assert batch.sum().item() == 36
