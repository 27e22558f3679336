"""A tiny model that fails on demand and has something to say instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from model import Model
from tests.dashboard.steps import Counter
from tests.dashboard.tiny import ByteMean, Scale


class Yielding(ByteMean):
    """Raises while ``broken``; its fallback knows the size of the input."""

    broken = False

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        if type(self).broken:
            raise ZeroDivisionError("every input fails")
        return super().predict(batch)

    def fallback(self, input: Any) -> Any:
        return {"class": "unknown", "bytes": input[1]}


class Silent(Yielding):
    """Has nothing to say instead."""

    fallback = Model.fallback


class Unlucky(Scale):
    """Raises where a row begins with 13; its fallback is zeros, but for 14 there is none. Takes less under load."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        if any(row["x"][0] in (13, 14) for row in batch):
            raise ZeroDivisionError("unlucky")
        return super().predict(batch)

    def fallback(self, input: Any) -> Any:
        if input["x"][0] == 14:
            raise LookupError("nothing to say")
        zeros = np.zeros(3, dtype=np.float32)
        return {"y": zeros, "half": zeros, "positive": False, "label": input["label"][0]}

    def lighter(self, input: Any, level: float) -> Any:
        return input | {"x": input["x"] * np.float32(1 - level)}


class Patient(Counter):
    """Counts, but its streams fail at once, and then it says how far it would have come."""

    def stream(self, input: Any) -> Iterator[Any]:
        yield from super().stream(input | {"fail": 1})

    def fallback(self, input: Any) -> Any:
        return {"at": 0, "of": input["to"]}
