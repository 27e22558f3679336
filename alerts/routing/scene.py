"""What is so at one moment, as routes see it: which alerts fire, which have resolved, and what keeps notices back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from alerts.routing.inhibition import Inhibition
from alerts.routing.tree import Route, Routing
from alerts.state import Alert

#: The ids or names of silences and maintenance windows that cover a label set at a moment.
Muted = Callable[[Mapping[str, str], int], list[str]]
ReasonKind = Literal["inhibited", "time_interval", "silenced", "quiet_hours", "acknowledged"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an alert is not told now; ``names`` are those of the alert, the time intervals, or the silences behind it."""

    kind: ReasonKind
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, "names": list(self.names)}


@dataclass
class Scene:
    """``firing`` are the alerts that fire, ``rows`` those that were looked up because they do not fire any more."""

    routing: Routing
    now_ms: int
    firing: Mapping[str, Alert]
    muted: Muted
    rows: Mapping[str, Alert] = field(default_factory=dict)

    @cached_property
    def inhibition(self) -> Inhibition:
        """Built when it is first asked."""
        return Inhibition(self.routing.inhibit_rules, self.firing.values())

    def state_of(self, fingerprint: str, known: Alert) -> Alert:
        """An alert as it stands: firing, or resolved.

        While the database says that it fires, it does: the engine has not settled yet, as after a start.
        """
        firing = self.firing.get(fingerprint)
        if firing is not None:
            return firing
        row = self.rows.get(fingerprint)
        if row is not None and (row.is_firing or row.state == "resolved"):
            return row
        return replace(known, state="resolved", resolved_ms=self.now_ms)

    def reason(self, route: Route, alert: Alert) -> Reason | None:
        """Why an alert is not told by a route, in Alertmanager's order; None: it is."""
        inhibited = self.inhibition.find(alert.labels)
        if inhibited is not None:
            return Reason("inhibited", (inhibited.source.rule,))
        intervals = self.routing.muting_intervals(route, self.now_ms)
        if intervals:
            return Reason("time_interval", tuple(intervals))
        silences = self.muted(alert.labels, self.now_ms)
        if silences:
            return Reason("silenced", tuple(silences))
        if self.routing.is_quiet(route, alert.level, self.now_ms):
            names = [name for quiet in route.quiet_hours for name in quiet.time_intervals]
            return Reason("quiet_hours", tuple(name for name in names if self.routing.is_inside((name,), self.now_ms)))
        return None
