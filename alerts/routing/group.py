"""Alerts that are told together: what a group knows, and when its receivers hear of it again. Pure values, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from alerts.routing.tree import Route, labels_text
from alerts.state import Alert


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel was last told of a group: fingerprints of what fired and what had resolved, and when."""

    firing: frozenset[str]
    resolved: frozenset[str]
    time_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """One route's alerts with equal values of its ``group_by`` labels.

    ``key`` is unique, ``shown_key`` is Alertmanager's groupKey. ``members`` are alerts by fingerprint, as last seen.
    ``flushed_ms`` is None until the first flush. ``told`` is by channel. ``acks`` are acknowledgements that were told
    of, by fingerprint. ``since_ms``: since when those who were told have not acknowledged; ``climbed``: how many steps
    of the escalation were taken; ``sequence`` counts notices, so that each has a key of its own.
    """

    key: str
    route: Route
    labels: Mapping[str, str]
    created_ms: int
    next_ms: int
    members: Mapping[str, Alert] = field(default_factory=dict)
    flushed_ms: int | None = None
    told: Mapping[str, Told] = field(default_factory=dict)
    acks: Mapping[str, int] = field(default_factory=dict)
    since_ms: int | None = None
    climbed: int = 0
    sequence: int = 0

    @property
    def escalates_ms(self) -> int | None:
        """When the next step of the escalation is due; None: none is."""
        steps = self.route.escalation
        if self.since_ms is None or self.climbed >= len(steps):
            return None
        return self.since_ms + steps[self.climbed].after_ms

    @property
    def due_ms(self) -> int | None:
        """When something is to be done for it; None: nothing, it is empty."""
        if not self.members:
            return None
        escalates_ms = self.escalates_ms
        return self.next_ms if escalates_ms is None else min(self.next_ms, escalates_ms)

    def knows(self, fingerprint: str) -> bool:
        """Whether anybody was told that the alert fires, and not yet that it has resolved."""
        return any(fingerprint in told.firing for told in self.told.values())


def needs_notice(
    told: Told | None,
    firing: Set[str],
    resolved: Set[str],
    *,
    send_resolved: bool,
    is_repeat_due: bool,
) -> bool:
    """Whether a channel is to hear of a group (again), as Alertmanager's notification log decides.

    It is when something fires that it was not told of; when nothing fires any more of what it was told of; when more
    has resolved, and it wants to know; and when it is time to repeat what still fires.
    """
    if told is None:
        return bool(firing)
    if not firing <= told.firing:
        return True
    if not firing:
        return bool(told.firing)
    if send_resolved and not resolved <= told.resolved:
        return True
    return is_repeat_due


def group_key(route: Route, labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The key of the group into which a route puts an alert, and the labels that its alerts share."""
    shared = route.group_labels(labels)
    return f"{route.id}:{labels_text(shared)}", shared
