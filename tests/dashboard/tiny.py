"""A tiny real model, hosted by tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from model import BadInput, Model, Schema, TensorSpec


class ByteMean(Model):
    """Averages the bytes of its input with a real ``nn.Module``."""

    name = "byte-mean"
    version = "7"

    def load(self, device: str) -> None:
        self.net = torch.nn.Linear(1, 1, bias=False).to(device).eval()
        torch.nn.init.ones_(self.net.weight)
        self.device = device

    def decode(self, body: bytes, content_type: str) -> Any:
        if body.startswith(b"bad"):
            raise BadInput("This is no picture of a card.", 415)
        return [sum(body) / len(body), len(body), content_type]

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        means = torch.tensor([[mean] for mean, _, _ in batch], device=self.device)
        with torch.inference_mode():
            answers = self.net(means).squeeze(1).tolist()
        return [
            {"class": "low" if value < 100 else "high", "mean": value, "bytes": size, "type": kind}
            for value, (_, size, kind) in zip(answers, batch, strict=True)
        ]

    def encode(self, result: Any) -> Any:
        return torch.ones(2) if result["bytes"] == len("tensor") else result

    def describe(self, input: Any) -> dict[str, Any]:
        return {"bytes": input[1]}


class Scale(Model):
    """Tensors in, tensors out: doubles ``x`` of three numbers, and says of each row whether its sum is positive."""

    name = "scale"
    version = "3"

    def load(self, device: str) -> None:
        self.net = torch.nn.Linear(3, 3, bias=False).to(device).eval()
        with torch.no_grad():
            self.net.weight.copy_(2 * torch.eye(3))

    def inputs(self) -> Sequence[TensorSpec]:
        return (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("label", "BYTES", (-1, 1)))

    def outputs(self) -> Sequence[TensorSpec]:
        return (
            TensorSpec("y", "FP32", (-1, 3)),
            TensorSpec("half", "BF16", (-1, 3)),
            TensorSpec("positive", "BOOL", (-1,)),
            TensorSpec("label", "BYTES", (-1,)),
        )

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        found = self.net(torch.stack([torch.from_numpy(row["x"]) for row in batch])).numpy()
        return [
            {
                "y": y,
                "half": y / 4,
                "positive": y.sum() > 0,
                "label": row["label"][0],
                "class": "positive" if y.sum() > 0 else "negative",
            }
            for y, row in zip(found, batch, strict=True)
        ]

    def decode(self, body: bytes, content_type: str) -> Any:
        return {"x": np.array(super().decode(body, content_type), dtype=np.float32), "label": [b"json"]}

    def encode(self, result: Any) -> Any:
        return result | {"label": result["label"].decode(errors="replace")}

    def schema(self) -> Schema:
        numbers = {"type": "array", "items": {"$ref": "#/$defs/Number"}, "minItems": 3, "maxItems": 3}
        return Schema(
            request={"application/json": numbers | {"$defs": {"Number": {"type": "number"}}}},
            result={"type": "object", "properties": {"y": numbers}, "$defs": {"Number": {"type": "number"}}},
        )
