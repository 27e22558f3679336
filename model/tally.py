"""Counts what became of one version's requests, in bounded memory however many there are."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass

#: Durations are counted in buckets, each so many times as wide as the one before: figures are right within 2 %.
_RATIO = 1.04
_LEAST_SECONDS = 1e-6
_MOST_SECONDS = 1e5
#: Classes that are counted by name; what is answered beyond them is one class more.
MAX_CLASSES = 100
OTHER_CLASS = "(other)"
#: Outcomes that are the model's own doing, well or not; others (the queue's, the caller's, the cache's) are not. Where
#: something had to stand in for its answer there was none.
WELL = frozenset({"ok"})
FAILED = frozenset({"error", "oom", "timeout", "fallback", "stale", "default"})


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of one version. Times in seconds; without an answer there are none."""

    requests: int
    outcomes: dict[str, int]
    #: Requests that the model answered or failed on, and those it failed on.
    judged: int
    failed: int
    #: Answers with NaN in them.
    nan: int
    #: How many requests per second ended, since the count began.
    rate: float
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    classes: dict[str, int]


class Tally:
    """One side of a comparison. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._durations: Counter[int] = Counter()
        self._nan = 0

    def add(self, outcome: str, seconds: float, result_class: str | None) -> None:
        """A request ended. Only what the model answered itself counts as a duration and for its class."""
        with self._lock:
            self._outcomes[outcome] += 1
            if outcome in WELL:
                self._durations[_bucket(seconds)] += 1
                if result_class is not None:
                    known = result_class in self._classes or len(self._classes) < MAX_CLASSES
                    self._classes[result_class if known else OTHER_CLASS] += 1

    def add_nan(self) -> None:
        """An answer had NaN in it."""
        with self._lock:
            self._nan += 1

    def figures(self, seconds: float) -> Figures:
        """What was counted in ``seconds``."""
        with self._lock:
            outcomes, classes, durations = dict(self._outcomes), dict(self._classes), dict(self._durations)
            nan = self._nan
        requests = sum(outcomes.values())
        failed = sum(count for outcome, count in outcomes.items() if outcome in FAILED)
        answered = sum(durations.values())
        p50, p95, p99 = (_quantile(durations, answered, share) for share in (0.5, 0.95, 0.99))
        return Figures(
            requests=requests,
            outcomes=outcomes,
            judged=answered + failed,
            failed=failed,
            nan=nan,
            rate=requests / seconds if seconds > 0 else 0.0,
            p50_seconds=p50,
            p95_seconds=p95,
            p99_seconds=p99,
            classes=classes,
        )

    def durations(self) -> dict[int, int]:
        """How many answers fell into each bucket; a higher number is a longer time."""
        with self._lock:
            return dict(self._durations)


def _bucket(seconds: float) -> int:
    kept = min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS)
    return round(math.log(kept / _LEAST_SECONDS, _RATIO))


def _quantile(durations: dict[int, int], count: int, share: float) -> float | None:
    """The duration that ``share`` of all do not exceed: the middle of its bucket."""
    left = math.ceil(share * count)
    for bucket in sorted(durations):
        left -= durations[bucket]
        if left <= 0 and count:
            return float(_LEAST_SECONDS * _RATIO**bucket)
    return None
