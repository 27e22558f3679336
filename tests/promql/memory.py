"""A source of series in memory, for tests: the slow and obvious way to select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import re2

from collectors.sample import Hints, Labels, Matcher, Series, Times

Points = Sequence[tuple[int, float]]


def matches(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether a series with ``labels`` is meant by all ``matchers``; an absent label is the empty string."""
    values = dict(labels)
    for name, op, wanted in matchers:
        value = values.get(name, "")
        if op in ("=", "!="):
            found = value == wanted
        else:
            options = re2.Options()
            options.dot_nl = True
            found = re2.compile(wanted, options).fullmatch(value) is not None
        if found != (op in ("=", "=~")):
            return False
    return True


class MemorySource:
    """Series held as label sets with their points. A ``generous`` source gives all of a series, whatever is asked."""

    def __init__(self, series: Iterable[tuple[Labels, Points]] = (), *, generous: bool = False) -> None:
        self.points: dict[Labels, dict[int, float]] = {}
        self._generous = generous
        for labels, points in series:
            self.add(labels, points)

    def add(self, labels: Labels, points: Points) -> None:
        """Add points (ms, value) to a series; stale markers keep their bits."""
        self.points.setdefault(tuple(sorted(labels)), {}).update(points)

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        shared: dict[tuple[int, ...], Times] = {}
        for labels, points in self.points.items():
            if not matches(matchers, labels):
                continue
            first = hints.start_ms - hints.range_ms
            inside = tuple(sorted(time for time in points if self._generous or first < time <= hints.end_ms))
            times = shared.setdefault(inside, np.array(inside, dtype=np.int64))
            yield Series(labels, times, np.array([points[time] for time in inside], dtype=np.float64))
