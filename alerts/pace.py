"""How the engine's own rhythm and a rule's words make up the patience of a rule."""

from __future__ import annotations

from typing import NamedTuple

from alerts.rule import AnyRule, Group, Rule
from alerts.state import Flapping, Timing


class Pace(NamedTuple):
    """What all rules have in common. ``interval_ms`` lies between two runs of the engine; 0: unknown."""

    interval_ms: int = 0
    flapping: Flapping | None = None

    def interval_of(self, group: Group) -> int:
        """Milliseconds between two evaluations of a group."""
        return round((group.interval_seconds or 0) * 1000) or self.interval_ms

    def timing(self, group: Group, rule: AnyRule) -> Timing:
        """The patience of a rule."""
        if not isinstance(rule, Rule):
            return Timing(0, 0)
        return Timing(
            for_ms=round(rule.for_seconds * 1000),
            keep_ms=round(rule.keep_firing_seconds * 1000),
            in_a_row=rule.patience.in_a_row,
            interval_ms=self.interval_of(group),
            flapping=self.flapping,
        )
