"""What a notice says, as data: which alerts of one group, to whom, and why now. Words are put to it per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from alerts.state import Alert

#: Why people hear of it: alerts of the group fire or have resolved; a person took them on; nobody did, so it goes up;
#: what could not be said for a while; something was done about it; somebody tries the channel; a report is due.
MessageKind = Literal["alerts", "acknowledged", "escalation", "summary", "action", "test", "report"]


@dataclass(frozen=True, slots=True)
class Action:
    """What was done about an alert on its own; ``helped`` None: not known yet."""

    action: str
    state: str
    time_ms: int
    outcome: str = ""
    helped: bool | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One alert as a notice tells of it. ``firing`` says whether it did when the notice was made."""

    id: int
    fingerprint: str
    rule: str
    firing: bool
    severity: str
    level: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float | None
    active_ms: int
    firing_ms: int | None
    resolved_ms: int | None
    ended_by: str | None = None
    no_data_ms: int | None = None
    flaps: int = 0
    ack_by: str | None = None
    ack_reason: str | None = None
    generator_url: str | None = None
    actions: tuple[Action, ...] = ()

    @classmethod
    def of(cls, alert: Alert, actions: Sequence[Action] = ()) -> Fact:
        """An alert as it stands."""
        shared = {field.name for field in fields(cls)} - {"firing", "actions", "labels", "annotations"}
        return cls(
            firing=alert.is_firing,
            actions=tuple(actions),
            labels=dict(alert.labels),
            annotations=dict(alert.annotations),
            **{name: getattr(alert, name) for name in shared},
        )

    def text(self, name: str, language: str) -> str:
        """An annotation in a language (``summary_zh`` before ``summary``); a summary is never empty."""
        fallback = self.rule if name == "summary" else ""
        return self.annotations.get(f"{name}_{language}") or self.annotations.get(name) or fallback


@dataclass(frozen=True, slots=True)
class Message:
    """One notice to one channel. ``labels`` are those by which its alerts were grouped.

    ``note`` is a sentence for kinds that need one; ``stands_for`` is how many notices it takes the place of.
    ``report`` is what :mod:`alerts.delivery.reporting` tells, of a message of that kind.
    """

    kind: MessageKind
    receiver: str
    group_key: str
    labels: Mapping[str, str]
    alerts: tuple[Fact, ...]
    time_ms: int
    note: str = ""
    stands_for: int = 1
    report: Mapping[str, Any] | None = None

    @property
    def firing(self) -> list[Fact]:
        """Those of its alerts that fire."""
        return [fact for fact in self.alerts if fact.firing]

    @property
    def resolved(self) -> list[Fact]:
        """Those that do not any more."""
        return [fact for fact in self.alerts if not fact.firing]

    @property
    def level(self) -> int:
        """The most urgent level of the alerts that fire, else of all; 1 without any."""
        return max((fact.level for fact in self.firing or self.alerts), default=1)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can carry it; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """What :meth:`as_dict` gave."""
        alerts = tuple(
            Fact(**{**fact, "actions": tuple(Action(**action) for action in fact["actions"])})
            for fact in data["alerts"]
        )
        return cls(**{**data, "alerts": alerts})
