"""Series in memory for rule tests and previews: given ones, and those that rules write as they are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from collectors.sample import METRIC_NAME, STALE, Hints, Labels, Matcher, Sample, Series, Times, Values
from storage.matcher import compile_matcher, matches_all


class _Track:
    """A series that grows; its arrays have room to spare."""

    def __init__(self, times: Times, values: Values) -> None:
        self._times, self._values = times, values
        self.count = len(times)

    def append(self, time_ms: int, value: float) -> None:
        if self.count and self._times[self.count - 1] == time_ms:
            self._values[self.count - 1] = value
            return
        if self.count == len(self._times):
            room = max(16, self.count)
            self._times = np.concatenate([self._times[: self.count], np.zeros(room, dtype=np.int64)])
            self._values = np.concatenate([self._values[: self.count], np.zeros(room)])
        self._times[self.count], self._values[self.count] = time_ms, value
        self.count += 1

    def between(self, first_ms: int, last_ms: int) -> tuple[Times, Values]:
        times = self._times[: self.count]
        start, end = np.searchsorted(times, [first_ms, last_ms + 1])
        return times[start:end], self._values[start:end]


class MemorySeries:
    """A :class:`promql.SeriesSource`. ``now_ms`` hides what comes later."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._tracks: dict[Labels, _Track] = {}
        self._written: dict[str, set[Labels]] = {}

    def add(self, labels: Labels, times: Times, values: Values) -> None:
        """Take in a whole series, in the place of one with these labels that is there already."""
        self._tracks[labels] = _Track(times, values)

    def write(self, time_ms: int, source: str, samples: Iterable[Sample]) -> None:
        """What a rule gave at a moment; what ``source`` gave before and does not give now ends here."""
        now: set[Labels] = set()
        for sample in samples:
            labels = tuple(sorted([(METRIC_NAME, sample.name), *sample.labels]))
            now.add(labels)
            self._append(labels, time_ms, sample.value)
        for labels in self._written.get(source, set()) - now:
            self._append(labels, time_ms, STALE)
        self._written[source] = now

    def _append(self, labels: Labels, time_ms: int, value: float) -> None:
        track = self._tracks.get(labels)
        if track is None:
            track = self._tracks[labels] = _Track(np.zeros(0, dtype=np.int64), np.zeros(0))
        track.append(time_ms, value)

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        """See :class:`promql.SeriesSource`."""
        tests: list[tuple[str, Callable[[str], bool]]] = [(one.name, compile_matcher(one)) for one in matchers]
        first_ms, last_ms = hints.start_ms - hints.range_ms + 1, min(hints.end_ms, self.now_ms)
        for labels, track in self._tracks.items():
            if matches_all(labels, tests):
                yield Series(labels, *track.between(first_ms, last_ms))
