"""The tests' model once more, with answers in steps and with buckets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch

from model import Step
from tests.model import stage as stages
from tests.model.plugin import Multiplier


class Streamer(Multiplier):
    """Streams as many numbers as its input says, each preceded by how far it is; and has buckets as the stage says."""

    def stream(self, input: Any) -> Iterator[Any]:
        stage = stages.current
        total = int(input)
        try:
            for number in range(1, total + 1):
                stage.events.append(f"step {number} of {total}")
                stage.threads.add(threading.current_thread().name)
                stage.entered.release()
                assert stage.gate.wait(stages.PATIENCE)
                stage.on_step(number)
                yield Step(number, total) if number < total else self._multiply(number)
        finally:
            stage.events.append(f"closed {total}")
            stage.threads.add(threading.current_thread().name)

    def _multiply(self, number: int) -> float:
        assert torch.is_inference_mode_enabled()
        return float(self.network(torch.tensor([[float(number)]], device=self.device)).item())

    def bucket(self, input: Any) -> Any:
        return stages.current.bucket(input)
