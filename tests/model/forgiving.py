"""Models that answer when they cannot, take less when they must, or slip."""

from __future__ import annotations

from typing import Any

from tests.model.plugin import Multiplier


class Forgiving(Multiplier):
    """Knows something to say instead, and can make do with less."""

    def fallback(self, input: Any) -> Any:
        if input == 404:
            raise LookupError("nothing to say about this one")
        if input == 500:
            raise RuntimeError("the fallback slips")
        return -1.0

    def lighter(self, input: Any, level: float) -> Any:
        return input * (1.0 - level)


class Careless(Multiplier):
    """Lets what it cannot decode raise whatever it raises."""

    def decode(self, body: bytes, content_type: str) -> Any:
        return float(body)


class Dice(Multiplier):
    """Would answer otherwise the next time."""

    deterministic = False
