"""Models whose pace is known: they wait for as long as a device would compute, and leave the cores to the server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from model import Model
from model.interface import Golden


class Heavy(Model):
    """50 ms for a batch, whatever is in it, as a GPU takes them that is not full yet."""

    name, version = "heavy", "1"
    seconds = 0.05

    def load(self, device: str) -> None:
        """Nothing to load."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        time.sleep(self.seconds)
        return list(batch)

    def golden(self) -> Sequence[Golden]:
        return [({"value": 1}, lambda answer: answer == {"value": 1})]


class Light(Heavy):
    """Less than a millisecond for a batch: nearly all of a request's time is the server's."""

    name = "light"
    seconds = 0.0005
