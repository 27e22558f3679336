"""Takes samples that others send, until the next tick fetches them: remote write and OTLP end here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from collectors.sample import METRIC_NAME, Labels, Sample, Tick, make_labels
from targets.scrape.cohort import GRACE_MS, Cohorts, Key

#: Samples that wait for the tick, at most: those of a large sender that has been cut off for a while …
MOST_PENDING = 400_000
#: … and the moments that they are of.
MOST_MOMENTS = 20_000
#: Samples that one tick writes, or as many as there may be series: more would hold up all others.
TICK_SAMPLES = 20_000
#: Samples that are taken in one go, between which a tick may come.
_SLICE = 2_000
#: Nothing is taken that is older: it would lie among what is already sealed.
OLDEST_MS = 3_600_000
#: … or further ahead: until that moment its series could take nothing else.
AHEAD_MS = 300_000
#: A source under which the counts below are kept.
REPORT = "ingest"

#: How a sample fared; all but the first two mean that it is not kept.
Result = Literal["accepted", "duplicate", "out_of_order", "too_old", "too_new", "too_many_series"]
RESULTS: tuple[Result, ...] = ("accepted", "duplicate", "out_of_order", "too_old", "too_new", "too_many_series")

Point = tuple[Labels, int, float]


class InboxFull(Exception):
    """More has been sent than could be written; the sender should try again in some seconds."""


@dataclass(slots=True)
class Receipt:
    """What became of the samples of one request, and the first that was refused, with its time."""

    counts: Counter[Result] = field(default_factory=Counter)
    example: tuple[Result, Labels, int] | None = None

    @property
    def taken(self) -> int:
        """Samples that are kept, or were already."""
        return self.counts["accepted"] + self.counts["duplicate"]

    @property
    def refused(self) -> int:
        """Samples that are not."""
        return self.counts.total() - self.taken


class Inbox:
    """Safe for threads. ``max_series`` may be live at once; the others are refused, those that are known go on.

    Labels include ``__name__``. A series without ``instance`` gets that of its ``kind``: those without any are the
    series of Wakeless' own machine.
    """

    def __init__(self, max_series: int, *, grace_ms: int = GRACE_MS) -> None:
        self._max_series = max_series
        self._grace_ms = grace_ms
        self._cohorts = Cohorts("ingest")
        self._lock = threading.Lock()
        self._totals: dict[str, Counter[Result]] = {}
        #: Samples up to here have been taken by a process before this one, or its history has ended here.
        self.floor_ms = -1

    def accept(self, samples: Iterable[Point], now_ms: int) -> int:
        """Take samples; returns how many are kept. Raises :class:`InboxFull`."""
        return self.take(samples, now_ms).taken

    def take(self, samples: Iterable[Point], now_ms: int, kind: str = "remote_write") -> Receipt:
        """The same, telling more. A stale marker ends its series. Raises :class:`InboxFull` before it takes any."""
        receipt = Receipt()
        if self._cohorts.pending >= MOST_PENDING or self._cohorts.moments >= MOST_MOMENTS:
            raise InboxFull
        keyed = ((_key(labels, kind), time_ms, value) for labels, time_ms, value in samples)
        fresh: list[tuple[Key, int, float]] = []
        while some := list(islice(keyed, _SLICE)):
            with self._lock:
                for key, time_ms, value in some:
                    if key in self._cohorts:  # first: those that are new join the company of those that are known
                        self._add(receipt, key, time_ms, value, now_ms)
                    else:
                        fresh.append((key, time_ms, value))
        for begin in range(0, len(fresh), _SLICE):
            with self._lock:
                for key, time_ms, value in fresh[begin : begin + _SLICE]:
                    self._add(receipt, key, time_ms, value, now_ms)
        with self._lock:
            self._totals.setdefault(kind, Counter()).update(receipt.counts)
        return receipt

    def collect(self, now_ms: int) -> list[Tick]:
        """What is to be written: each moment once it is complete, or has waited long enough. Much goes over ticks."""
        with self._lock:
            ticks = self._cohorts.flush(now_ms, self._grace_ms, max(TICK_SAMPLES, self._max_series))
            if self._totals:
                ticks.append(Tick(REPORT, now_ms, tuple(self._reports())))
        return ticks

    def counts(self) -> Mapping[str, Mapping[Result, int]]:
        """Samples since this process started, by kind and result."""
        with self._lock:
            return {kind: dict(counts) for kind, counts in self._totals.items()}

    # --- with the lock held ---------------------------------------------------------------------------------------

    def _add(self, receipt: Receipt, key: Key, time_ms: int, value: float, now_ms: int) -> None:
        result = self._result(key, time_ms, value, now_ms)
        receipt.counts[result] += 1
        if receipt.example is None and result not in ("accepted", "duplicate"):
            receipt.example = result, ((METRIC_NAME, key.name), *key.labels), time_ms

    def _result(self, key: Key, time_ms: int, value: float, now_ms: int) -> Result:
        if time_ms <= max(self.floor_ms, now_ms - OLDEST_MS):
            return "too_old"
        if time_ms > now_ms + AHEAD_MS:
            return "too_new"
        if key not in self._cohorts and self._cohorts.live >= self._max_series:
            return "too_many_series"
        labels = dict(key.labels)
        group = labels.get("job", ""), labels["instance"]
        return self._cohorts.add(group, key, time_ms, value, now_ms)

    def _reports(self) -> list[Sample]:
        return [
            Sample("ingest_samples_total", make_labels(kind=kind, result=result), float(counts[result]))
            for kind, counts in self._totals.items()
            for result in RESULTS
        ]


def _key(labels: Labels, kind: str) -> Key:
    name = next(value for label, value in labels if label == METRIC_NAME)
    others = tuple(pair for pair in labels if pair[0] != METRIC_NAME)
    if not any(label == "instance" for label, _ in others):
        others = tuple(sorted((*others, ("instance", kind))))
    return Key(name, others)
