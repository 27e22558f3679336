"""What would a silence hide? Asked before it is made, of the alerts at hand and of those of the last days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerts.silencing.matching import LabelMatcher, match_all
from alerts.state import Alert

#: How far back is looked, and at how many alerts at most, the newest first.
DAYS = 7
MAX_ALERTS = 5000


@dataclass(frozen=True, slots=True)
class Preview:
    """``now`` are alerts that would be hidden; ``recent`` is how often each rule's would have been, most often first.

    ``complete`` is False when there were more alerts than are looked at.
    """

    now: tuple[Alert, ...]
    recent: tuple[tuple[str, int], ...]
    complete: bool

    @property
    def total(self) -> int:
        """How many alerts of the last days it would have hidden."""
        return sum(count for _, count in self.recent)


def preview(matchers: Sequence[LabelMatcher], current: Iterable[Alert], past: Sequence[Alert]) -> Preview:
    """What these matchers hide of ``current`` and of ``past``."""
    counts = Counter(alert.rule for alert in past if match_all(matchers, alert.labels))
    return Preview(
        tuple(alert for alert in current if match_all(matchers, alert.labels)),
        tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        len(past) < MAX_ALERTS,
    )
