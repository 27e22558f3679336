"""Models that answer when they cannot, take less when they must, or slip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model import stage as stages
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


class Stuck(Multiplier):
    """Does not come back from decode while the gate is closed."""

    def decode(self, body: bytes, content_type: str) -> Any:
        stage = stages.current
        stage.entered.release()
        assert stage.gate.wait(stages.PATIENCE)
        return super().decode(body, content_type)


class Mute(Multiplier):
    """Does not come back from encode while the gate is closed."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return [2.0 * number for number in batch]

    def encode(self, result: Any) -> Any:
        stage = stages.current
        stage.entered.release()
        assert stage.gate.wait(stages.PATIENCE)
        return super().encode(result)
