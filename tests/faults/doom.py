"""Models that take their process with them, in ways that a person can mend."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model import Model

#: Names a file; while it exists, loading the model is deadly.
CURSE = "CURSE_FILE"


class Cursed(Model):
    """A segmentation fault at every load, until its cause is taken away."""

    name = "cursed"

    def load(self, device: str) -> None:
        if Path(os.environ[CURSE]).exists():
            os.kill(os.getpid(), signal.SIGSEGV)

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return list(batch)


class Countdown(Model):
    """Answers twice; the third input ends the process."""

    name = "countdown"

    def load(self, device: str) -> None:
        self.left = 3

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.left -= len(batch)
        if self.left <= 0:
            os.write(2, b"terminate called after throwing an instance of 'c10::Error'\n")
            os.abort()
        return list(batch)


class Weightless(Model):
    """Its weights are not where they should be."""

    name = "weightless"

    def load(self, device: str) -> None:
        Path("/nonexistent/weights.safetensors").read_bytes()

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return list(batch)
