"""The tests' streaming model, with something to say instead and a way to do with less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.model import stage as stages
from tests.model.forgiving import Forgiving
from tests.model.streamer import Streamer


class Wavering(Streamer, Forgiving):
    """A negative number counts without progress in between."""

    def stream(self, input: Any) -> Iterator[Any]:
        if input > 0:
            yield from super().stream(input)
            return
        for number in range(1, int(-input) + 1):
            stages.current.on_step(number)
            yield self._multiply(number)
