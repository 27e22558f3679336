"""Why somebody did or did not hear of an alert: its routes, their receivers, and what keeps it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.routing.group import Group, group_key
from alerts.routing.scene import Reason, Scene
from alerts.routing.tree import Route
from alerts.state import Alert, fingerprint, level_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """One route that takes an alert. ``told_ms`` is when each channel was last told that it fires.

    ``group_ms`` are the times of its group: when it was made, when it tells next; None where there is no such group.
    """

    route: str
    matchers: str
    receiver: str
    on_call: str
    channels: tuple[str, ...]
    group_labels: Mapping[str, str]
    muted_by: tuple[Reason, ...]
    told_ms: Mapping[str, int]
    created_ms: int | None = None
    next_ms: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return fields | {
            "channels": list(self.channels),
            "group_labels": dict(self.group_labels),
            "muted_by": [reason.as_dict() for reason in self.muted_by],
            "told_ms": dict(self.told_ms),
        }


def explain(labels: Mapping[str, str], scene: Scene, groups: Mapping[str, Group]) -> list[Explanation]:
    """One explanation for each route that takes an alert with these labels, in the order of the file."""
    name = fingerprint(tuple(sorted(labels.items())))
    alert = scene.firing.get(name) or _imagined(name, labels, scene.now_ms)
    return [_explain(route, alert, scene, groups) for route in scene.routing.root.find(labels)]


def _explain(route: Route, alert: Alert, scene: Scene, groups: Mapping[str, Group]) -> Explanation:
    key, shared = group_key(route, alert.labels)
    group = groups.get(key)
    receiver = scene.routing.receiver(route.receiver, scene.now_ms)
    reasons = [scene.reason(route, alert)]
    if alert.state == "acknowledged":
        reasons.append(Reason("acknowledged", (alert.ack_by or "",)))
    told = group.told if group is not None else {}
    return Explanation(
        route=route.path,
        matchers=route.key,
        receiver=route.receiver,
        on_call=receiver.name,
        channels=receiver.channels,
        group_labels=shared,
        muted_by=tuple(reason for reason in reasons if reason is not None),
        told_ms={name: known.time_ms for name, known in told.items() if alert.fingerprint in known.firing},
        created_ms=group.created_ms if group is not None else None,
        next_ms=group.due_ms if group is not None else None,
    )


def _imagined(name: str, labels: Mapping[str, str], now_ms: int) -> Alert:
    """An alert as it would be if it fired now with these labels."""
    return Alert(
        id=0,
        fingerprint=name,
        rule=labels.get("alertname", ""),
        group="",
        state="firing",
        severity=labels.get("severity", "none"),
        level=level_of(labels),
        labels=labels,
        annotations={},
        value=None,
        active_ms=now_ms,
        firing_ms=now_ms,
        resolved_ms=None,
        seen_ms=now_ms,
    )
