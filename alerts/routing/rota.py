"""On call by turns: which receiver a rota means at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes over for a stretch of time; the end is not included."""

    start_ms: int
    end_ms: int
    receiver: str


@dataclass(frozen=True, slots=True)
class Rota:
    """Receivers that take turns of ``days`` days each, the first from ``start`` on, a local time in ``zone``.

    Turns change at the same time of the day all year round, also where clocks are changed. Before ``start`` the turns
    are counted backwards.
    """

    name: str
    zone: tzinfo
    zone_name: str
    start: datetime  # without a zone of its own
    days: int
    receivers: tuple[str, ...]
    overrides: tuple[Override, ...] = ()

    def on_call(self, now_ms: int) -> str:
        """The receiver on call at a moment; the last override that holds it comes first."""
        for override in reversed(self.overrides):
            if override.start_ms <= now_ms < override.end_ms:
                return override.receiver
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone).replace(tzinfo=None)
        turn = (local - self.start).days // self.days  # timedelta.days is rounded down
        return self.receivers[turn % len(self.receivers)]
