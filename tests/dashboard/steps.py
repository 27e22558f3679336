"""A model that streams, hosted by tests: it counts, each step as slow as its input says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from model import BadInput, Model, Step


class Counter(Model):
    """Takes ``{"to": 3, "pause": 0.1, "fail": 2}``; ``predict`` pauses once and answers ``to``."""

    name = "counter"
    version = "1"

    def load(self, device: str) -> None:
        self.never = threading.Event()

    def decode(self, body: bytes, content_type: str) -> Any:
        given = super().decode(body, content_type)
        if not isinstance(given, dict) or "to" not in given:
            raise BadInput("Say how far to count.", 422)
        return given

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        for given in batch:
            self.never.wait(given.get("pause", 0.0))
        return [{"at": given["to"]} for given in batch]

    def stream(self, input: Any) -> Iterator[Any]:
        for number in range(1, input["to"] + 1):
            self.never.wait(input.get("pause", 0.0))
            if number == input.get("fail"):
                raise ValueError(f"{number} is unlucky")
            yield Step(number, input["to"])
            yield {"at": number, "text": "x" * input.get("size", 0)}
