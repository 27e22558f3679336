"""Models that misbehave on purpose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from model import Model


class SlowModel(Model):
    """Takes as long as it is told: ``{"seconds": 1.5}``."""

    name = "slow"

    def load(self, device: str) -> None:
        """Nothing to load."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        time.sleep(max(item["seconds"] for item in batch))  # this is the model's work, not a wait
        return list(batch)


class ExitingModel(SlowModel):
    """Ends the process when it is told to: ``{"exit": 2}``, in ``decode`` with ``{"raise": true}``."""

    def decode(self, body: bytes, content_type: str) -> Any:
        given = super().decode(body, content_type)
        if given.get("raise"):
            raise SystemExit(2)
        return given

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        for item in batch:
            if "exit" in item:
                os._exit(item["exit"])
        return list(batch)


class CrashingModel(SlowModel):
    """Takes the process with it when loaded, as a broken CUDA extension does."""

    def load(self, device: str) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)
