"""A tiny model that fails on demand and has something to say instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model import Model
from tests.dashboard.tiny import ByteMean


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
