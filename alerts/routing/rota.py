"""On call by turns: which receiver a rota means at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo


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
        return self.receivers[self._turn(now_ms) % len(self.receivers)]

    def handover(self, now_ms: int) -> tuple[int, str] | None:
        """When somebody else comes on call, and who; None: nobody does."""
        current = self.on_call(now_ms)
        for moment_ms in sorted(self._boundaries(now_ms)):
            receiver = self.on_call(moment_ms)
            if receiver != current:
                return moment_ms, receiver
        return None

    def _boundaries(self, now_ms: int) -> set[int]:
        """The moments after this one at which the receiver may change, over one whole round and all overrides."""
        found = {moment for override in self.overrides for moment in (override.start_ms, override.end_ms)}
        latest_ms = max([now_ms, *found])
        for base_ms in (now_ms, latest_ms):
            turn = self._turn(base_ms)
            for ahead in range(1, len(self.receivers) + 1):
                local = self.start + timedelta(days=(turn + ahead) * self.days)
                found.add(round(local.replace(tzinfo=self.zone).timestamp() * 1000))
        return {moment for moment in found if moment > now_ms}

    def _turn(self, now_ms: int) -> int:
        local = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone).replace(tzinfo=None)
        return (local - self.start).days // self.days  # timedelta.days is rounded down
