"""A tiny real model, hosted by tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from model import BadInput, Model


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
