"""How much lighter inputs should be made while the queue is long: a level from 0 to 1 that rises and falls in steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

#: The level moves by so much at a time.
STEP = 0.25


@dataclass(frozen=True, slots=True)
class BrownoutPolicy:
    """At ``high`` (a share of the queue) the level rises every ``step_seconds``; at ``low`` it falls half as fast.

    Between the two it stays: that, and coming back slower than going, keeps it from swinging.
    """

    high: float = 0.5
    low: float = 0.2
    step_seconds: float = 1.0


class Brownout:
    """Looks at the queue whenever it is asked. ``fill`` says how full that is, from 0 to 1. Any thread may ask."""

    def __init__(self, policy: BrownoutPolicy, fill: Callable[[], float], clock: Callable[[], float]) -> None:
        self._policy = policy
        self._fill = fill
        self._clock = clock
        self._lock = threading.Lock()
        self._steps = 0
        self._since = clock()  # since when the queue has been on this side of its bounds, or the last step was made
        self._side = 0

    def level(self) -> float:
        """The level now."""
        with self._lock:
            now, fill = self._clock(), self._fill()
            side = 1 if fill >= self._policy.high else -1 if fill <= self._policy.low else 0
            if side != self._side:
                self._side, self._since = side, now
            pause = self._policy.step_seconds if side > 0 else 2 * self._policy.step_seconds
            while side and now - self._since >= pause and 0 <= self._steps + side <= round(1 / STEP):
                self._steps += side
                self._since += pause
                if side > 0:  # a rise has to be seen to be needed again; nobody looks while a server idles
                    self._since = now
            return self._steps * STEP
