"""History as OpenMetrics text with timestamps, one series after the other, so that it can move to another place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Protocol

from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Series, stale_mask
from storage.export import Selectors, selector_text
from storage.text import second_texts, value_texts

#: Lines made at once.
_LINES = 20_000


class SeriesSource(Protocol):
    """What is dumped: :class:`storage.series.SeriesStore`, or anything that answers like it."""

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        """The series that the matchers mean, one after the other."""
        ...

    def labels(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """The label sets of all matching series in the window (inclusive)."""
        ...


def openmetrics(
    source: SeriesSource,
    selectors: Selectors,
    start_ms: int,
    end_ms: int,
    progress: Callable[[float], None] | None = None,
) -> Iterator[bytes]:
    """All samples of all series that any selector means, in the window (inclusive); ends with ``# EOF``.

    Each metric's series stand together. Stale markers are left out, since the format has none. Yields UTF-8 text;
    ``progress`` is told which share of the series is done.
    """
    found = {labels for matchers in selectors for labels in source.labels(matchers, start_ms, end_ms)}
    hints = Hints(end_ms, end_ms, 0, end_ms - start_ms + 1)
    done: set[Labels] = set()
    for name in sorted({dict(labels)[METRIC_NAME] for labels in found}):
        for matchers in selectors:
            for series in source.stream([*matchers, Matcher(METRIC_NAME, "=", name)], hints):
                if series.labels not in done:
                    done.add(series.labels)
                    yield from dump_lines(series)
                    if progress:
                        progress(len(done) / len(found))
    yield b"# EOF\n"


def dump_lines(series: Series) -> Iterator[bytes]:
    """One line for each sample that is no stale marker."""
    alive = ~stale_mask(series.values)
    times, values = series.times[alive], series.values[alive]
    start = f"{selector_text(series.labels)} ".encode()
    for first in range(0, len(times), _LINES):
        texts = value_texts(values[first : first + _LINES]), second_texts(times[first : first + _LINES])
        count = len(texts[0])
        lines = zip(repeat(start, count), texts[0], repeat(b" ", count), texts[1], repeat(b"\n", count), strict=True)
        yield b"".join(chain.from_iterable(lines))
