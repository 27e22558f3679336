"""A model whose code hangs or dies where no batch is: in decode, encode, load, and the steps of a stream."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model import Model, Step

#: Names a file; while it exists, loading the model holds the interpreter for ever.
TAR = "PITFALL_FILE"


class Pitfall(Model):
    """Answers ``{"value": 1}``; ``"decode": "hang-gil"`` has it fail there in that way, ``"step": 2`` in that step."""

    name = "pitfall"

    def load(self, device: str) -> None:
        if Path(os.environ[TAR]).exists():
            hold_the_interpreter()

    def decode(self, body: bytes, content_type: str) -> Any:
        given = super().decode(body, content_type)
        fall(given.get("decode"))
        return given

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return list(batch)

    def encode(self, result: Any) -> Any:
        fall(result.get("encode"))
        return result

    def stream(self, input: Any) -> Iterator[Any]:
        for number in range(1, 4):
            if number == input.get("step"):
                fall(input["peril"])
            yield Step(number, 3)
            yield {"at": number}


def fall(peril: str | None) -> None:
    """Do what the request says."""
    if peril == "hang-gil":
        hold_the_interpreter()
    elif peril == "hang":
        while True:
            time.sleep(3600)  # other threads get their turns
    elif peril == "segfault":
        ctypes.string_at(0)


def hold_the_interpreter() -> None:
    """A call into a library that does not come back and lets no other thread run."""
    while True:
        ctypes.PyDLL(None).sleep(3600)
