"""The card detector with more doors than it has: tensors of numbers beside the image, and answers in steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model.builtin import CardDetector
from model.interface import BadInput
from model.signature import BODIES, Tensors, TensorSpec

STEPS = 40


class Guest(CardDetector):
    """What is sent to it may be wrong in as many ways as there are."""

    name = "guest"

    def inputs(self) -> Sequence[TensorSpec]:
        return (*BODIES, TensorSpec("scale", "FP32", (-1, 3)))

    def from_tensors(self, tensors: Tensors, parameters: Mapping[str, Any]) -> Sequence[Any]:
        bodies, scales = tensors[BODIES[0].name], tensors["scale"]
        if (scales < 0).any():
            raise BadInput("A scale is not negative.")
        return [self.decode(body, "") for body in bodies.flat]

    def stream(self, input: Any) -> Iterator[Any]:
        for step in range(STEPS):
            yield {"step": step, "class": self.predict([input])[0].kind}

    def encode(self, result: Any) -> dict[str, Any]:
        return result if isinstance(result, dict) else super().encode(result)
