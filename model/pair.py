"""The version that serves and the canary beside it: who takes which request, and what was seen of both."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from model.breaker import Verdict
from model.comparison import Comparison, compare
from model.loader import Instance
from model.split import place
from model.tally import Tally
from model.track import Track

#: Verdicts that say something of a version. What ran out of memory counts here: the other side has the same inputs.
_JUDGED = ("ok", "failed", "memory")


@dataclass(slots=True)
class _Side:
    tally: Tally
    track: Track


class Pair:
    """Any thread may call. ``percent`` of the requests, 0 to 100, are the canary's; it may be set at any time."""

    def __init__(self, canary: Instance, serving: Instance, percent: float) -> None:
        self.canary = canary
        self.percent = percent
        self._versions = (serving.version, canary.version)
        self._lock = threading.Lock()
        #: Whether the canary has ever answered NaN.
        self.nan = False
        self._serving, self._canary = _Side(Tally(), Track()), _Side(Tally(), Track())

    def wants(self, key: str) -> bool:
        """Whether the canary takes the requests of this key."""
        return self.percent > 0 and place(key, self.canary.version) < self.percent

    def finished(self, version: str, outcome: str, seconds: float, result_class: str | None) -> None:
        """A request of one of the two ended."""
        side = self._side(version)
        if side is not None:
            side.tally.add(outcome, seconds, result_class)

    def answered(self, instance: Instance, *, nan: bool) -> None:
        """One of the two made an answer, with NaN in it or not."""
        side = self._side(instance.version)
        if side is None:
            return
        if nan:
            side.tally.add_nan()
        with self._lock:
            side.track.nan.append(nan)
            self.nan = self.nan or (nan and instance is self.canary)

    def witness(self, instance: Instance, verdict: Verdict) -> None:
        """One of the two was asked for something, and this came of it."""
        side = self._side(instance.version)
        if side is not None and verdict in _JUDGED:
            with self._lock:
                side.track.failed.append(verdict != "ok")

    def batch(self, instance: Instance, size: int, seconds: float) -> None:
        """A batch of one of the two succeeded."""
        side = self._side(instance.version)
        if side is not None:
            with self._lock:
                side.track.batch(size, seconds)

    def verdict(self, latency_ratio: float) -> str | None:
        """Why the canary should go, e.g. ``failures: 100% of 5 requests failed, 0% in version 3``."""
        with self._lock:
            return self._canary.track.worse(self._serving.track, latency_ratio, f"in version {self._versions[0]}")

    def comparison(self, seconds: float) -> Comparison:
        """Both sides in numbers, counted for ``seconds``."""
        return compare(self._serving.tally, self._canary.tally, seconds)

    def _side(self, version: str) -> _Side | None:
        """``None`` for a version that is neither, such as one that a switch has just replaced."""
        if version == self._versions[1]:
            return self._canary
        return self._serving if version == self._versions[0] else None
