"""What callers of one version could notice of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model.contract import Contract, differences
from model.signature import TensorSpec

OLD = Contract(
    name="pets",
    version="1",
    inputs=(TensorSpec("x", "FP32", (-1, 3)),),
    outputs=(TensorSpec("y", "FP32", (-1, -1)),),
    dtype="float32",
    classes=frozenset({"cat", "dog"}),
    bodies=frozenset({"application/json"}),
    fields=frozenset({"class"}),
)


def spec(name: str = "x", datatype: str = "FP32", shape: tuple[int, ...] = (-1, 3)) -> tuple[TensorSpec, ...]:
    return (TensorSpec(name, datatype, shape),)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"inputs": spec(shape=(-1, -1))},
        {"outputs": spec("y", shape=(-1, 5))},
        {"outputs": (*OLD.outputs, TensorSpec("z", "INT8", (-1,)))},
        {"dtype": None},
        {"classes": None},
        {"bodies": frozenset({"application/json", "image/png"})},
        {"fields": frozenset({"class", "score"})},
    ],
)
def test_more_and_unknown_are_no_harm(change: dict[str, Any]) -> None:
    assert differences(OLD, replace(OLD, version="2", **change)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "birds"}, "the model's name: pets, now birds"),
        ({"inputs": spec(shape=(-1, 4))}, "input x: FP32 [-1, 3], now FP32 [-1, 4]"),
        ({"inputs": spec(datatype="FP16")}, "input x: FP32 [-1, 3], now FP16 [-1, 3]"),
        ({"inputs": spec(shape=(-1, 3, 3))}, "input x: FP32 [-1, 3], now FP32 [-1, 3, 3]"),
        ({"outputs": spec("y", shape=(-1,))}, "output y: FP32 [-1, -1], now FP32 [-1]"),
        ({"outputs": spec("z")}, "no output y any more"),
        ({"dtype": "float16"}, "the network's type: float32, now float16"),
        ({"classes": frozenset({"cat"})}, "no class dog any more"),
        ({"classes": frozenset({"cat", "dog", "emu"})}, "a new class emu"),
        ({"bodies": frozenset({"image/png"})}, "no content type application/json any more"),
        ({"fields": frozenset({"score"})}, "no field of a result class any more"),
    ],
)
def test_what_a_caller_could_notice_is_said(change: dict[str, Any], said: str) -> None:
    assert differences(OLD, replace(OLD, version="2", **change)) == [said]


def test_two_that_call_themselves_the_same_version_could_not_be_told_apart() -> None:
    (said,) = differences(OLD, OLD)
    assert said.startswith("both call themselves version 1")


def test_an_output_that_was_of_one_size_must_stay_so() -> None:
    old = replace(OLD, outputs=spec("y"))
    (said,) = differences(old, replace(old, version="2", outputs=spec("y", shape=(-1, -1))))
    assert said == "output y: FP32 [-1, 3], now FP32 [-1, -1]"
