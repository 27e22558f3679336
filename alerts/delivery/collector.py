"""The outbox's figures as metrics, so that channels that take nothing are seen on the page and fire an alert."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from alerts.delivery.outbox import Outbox
from collectors.sample import Sample, make_labels


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class NoticeCollector:
    """Reads how notices stand. Named ``notices`` among the collectors; ``clock`` gives UTC milliseconds."""

    name = "notices"

    def __init__(self, outbox: Outbox, interval_seconds: float = 10.0, clock: Callable[[], int] = _wall_ms) -> None:
        self.interval_seconds = interval_seconds
        self._outbox = outbox
        self._clock = clock

    def collect(self) -> Iterable[Sample]:
        """A count for each state, how long the oldest has waited, and how notices ended. Raises StorageError."""
        counts, oldest_ms = self._outbox.figures()
        waited_ms = 0 if oldest_ms is None else max(0, self._clock() - oldest_ms)
        return [
            *(Sample("wakeless_notices", make_labels(state=state), float(count)) for state, count in counts.items()),
            Sample("wakeless_notice_wait_seconds", (), waited_ms / 1000),
            *(
                Sample("wakeless_notice_outcomes_total", make_labels(channel=channel, outcome=outcome), float(count))
                for (channel, outcome), count in sorted(self._outbox.totals().items())
            ),
        ]
