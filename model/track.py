"""What one version has shown lately: requests that failed, how long its batches take; and who does worse than whom."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Sequence

from model.logbook import Baseline

#: Requests and batches (of like size) that are remembered of each version.
_REQUESTS = 1000
_BATCHES = 64
#: So many failures, and so large a share of the requests, are too many if the other version has less than half of it.
MIN_FAILURES = 5
MIN_SHARE = 0.1
#: So many batches of like size are needed of both, and so many seconds between their medians, to call one slower.
MIN_BATCHES = 16
MIN_SECONDS = 0.005


class Track:
    """The last requests and batches of one version. Not thread-safe."""

    def __init__(self, known: Baseline | None = None) -> None:
        known = known or Baseline()
        self.failed: deque[bool] = deque(known.failed, _REQUESTS)
        #: Whether an answer had NaN in it; only of those that were looked at.
        self.nan: deque[bool] = deque(maxlen=_REQUESTS)
        #: How long batches took, by the binary digits of their size.
        self.seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_BATCHES))
        for kind, each in known.seconds.items():
            self.seconds[kind].extend(each)

    def batch(self, size: int, seconds: float) -> None:
        """A batch of ``size`` inputs took ``seconds``."""
        self.seconds[size.bit_length()].append(seconds)

    def baseline(self) -> Baseline:
        """The same, to be written down."""
        return Baseline(failed=list(self.failed), seconds={kind: list(each) for kind, each in self.seconds.items()})

    def worse(self, other: Track, latency_ratio: float, than: str) -> str | None:
        """Why this version should not serve, if ``other`` is what it is measured by; ``None``: it may.

        ``than`` names the other, as in ``failures: 40% of 20 requests failed, 0% before``. ``latency_ratio`` is how
        many times as long batches may take; 0: latency does not count.
        """
        return (
            _too_often("failures: {share:.0%} of {count} requests failed", self.failed, other.failed, than)
            or _too_often("nan: {share:.0%} of {count} answers have NaN in them", self.nan, other.nan, than)
            or self._slower(other, latency_ratio, than)
        )

    def _slower(self, other: Track, ratio: float, than: str) -> str | None:
        medians = [
            (statistics.median(seconds), statistics.median(known))
            for kind, seconds in self.seconds.items()
            if len(seconds) >= MIN_BATCHES and (known := other.known(kind)) is not None
        ]
        if not ratio or not medians:
            return None
        mine, theirs = (sum(column) for column in zip(*medians, strict=True))
        if mine < ratio * theirs or mine - theirs < MIN_SECONDS * len(medians):
            return None
        return f"latency: batches take {mine / max(theirs, 1e-9):.1f} times as long as {than}"

    def known(self, kind: int) -> Sequence[float] | None:
        """What batches of this size took; if too few are known, those of the next larger, which takes longer."""
        kinds = [one for one, seconds in self.seconds.items() if one >= kind and len(seconds) >= MIN_BATCHES]
        return self.seconds[min(kinds)] if kinds else None


def _too_often(words: str, mine: Sequence[bool], other: Sequence[bool], than: str) -> str | None:
    count, share, known = sum(mine), _share(mine), _share(other)
    if count < MIN_FAILURES or share < max(MIN_SHARE, 2 * known):
        return None
    return f"{words.format(share=share, count=len(mine))}, {known:.0%} {than}"


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
