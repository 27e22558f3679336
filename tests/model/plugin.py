"""A tiny real model: one linear layer that multiplies a number, and does what the stage says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch

from model import BadInput, Golden, Model
from tests.model import stage as stages


class Multiplier(Model):
    """Takes a JSON number, returns ``{"value": factor × number, "class": "big" or "small"}``."""

    name = "multiplier"

    def load(self, device: str) -> None:
        stage = stages.current
        self.version = stage.version
        stage.events.append("load")
        stage.threads.add(threading.current_thread().name)
        stage.load_entered.release()
        assert stage.load_gate.wait(stages.PATIENCE)
        stage.on_load()
        self.network = torch.nn.Linear(1, 1, bias=False).to(device)
        torch.nn.init.constant_(self.network.weight, stage.factor)
        self.network.train(stage.training)
        self.device = device

    def decode(self, body: bytes, content_type: str) -> Any:
        value = super().decode(body, content_type)
        if not isinstance(value, float):
            raise BadInput("Send one number with a decimal point.", 422)
        return value

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        stage = stages.current
        stage.events.append(f"predict {len(batch)}")
        stage.batches.append(list(batch))
        stage.entered.release()
        assert stage.gate.wait(stages.PATIENCE)
        answer = stage.on_predict(list(batch))
        if answer is not None:
            return answer  # type: ignore[no-any-return]
        values = self.network(torch.tensor(batch, device=self.device).unsqueeze(1))
        return values.squeeze(1).tolist()  # type: ignore[no-any-return]

    def encode(self, result: Any) -> Any:
        if result == -2.0:
            raise RuntimeError("minus two cannot be encoded")
        return stages.current.on_encode({"value": result, "class": "big" if result > 100 else "small"})

    def describe(self, input: Any) -> dict[str, Any]:
        return {"digits": len(repr(float(input)))}

    def golden(self) -> Sequence[Golden]:
        return [(1.0, lambda answer: answer["value"] == 2.0)] if stages.current.golden else []


class Unfinished(Model):
    """Lacks ``predict``."""

    def load(self, device: str) -> None: ...


class Stranger:
    """Is no model."""
