"""Rules and alerts in the form of the Prometheus API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alerts.rule import Rule
from dashboard.envelope import exponential, rfc3339

if TYPE_CHECKING:
    from alerts.running import GroupState, RuleState
    from alerts.state import Alert

#: The worst state of a rule's alerts is the rule's own.
_ORDER = ("firing", "pending", "inactive")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rules are wanted; empty sets and an empty ``kind`` mean all."""

    kind: str = ""
    rules: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    alerts: bool = True

    def has_group(self, group: GroupState) -> bool:
        """Whether a group is wanted."""
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def has_rule(self, state: RuleState) -> bool:
        """Whether a rule is wanted."""
        kind = "alert" if isinstance(state.rule, Rule) else "record"
        return self.kind in ("", kind) and (not self.rules or state.rule.name in self.rules)


def groups(states: Iterable[GroupState], choice: Choice) -> list[dict[str, Any]]:
    """The wanted groups; those without a wanted rule are left out when rules were chosen."""
    found = []
    for state in states:
        if not choice.has_group(state):
            continue
        rules = [_rule(rule, with_alerts=choice.alerts) for rule in state.rules if choice.has_rule(rule)]
        if rules or not (choice.kind or choice.rules):
            found.append(_group(state, rules))
    return found


def alert(one: Alert) -> dict[str, Any]:
    """One alert. Prometheus knows no acknowledgement: an acknowledged alert is firing."""
    return {
        "labels": {"alertname": one.rule} | dict(one.labels),
        "annotations": dict(one.annotations),
        "state": "firing" if one.is_firing else one.state,
        "activeAt": rfc3339(one.active_ms),
        "value": exponential(one.value),
    }


def _group(state: GroupState, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": state.name,
        "file": state.file,
        "rules": rules,
        "interval": state.interval_seconds or 0,
        "limit": 0,
        "evaluationTime": state.duration_seconds,
        "lastEvaluation": rfc3339(state.last_evaluation_ms),
    }


def _rule(state: RuleState, *, with_alerts: bool) -> dict[str, Any]:
    rule = state.rule
    common: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "health": state.health,
        "evaluationTime": state.duration_seconds,
        "lastEvaluation": rfc3339(state.last_evaluation_ms),
    }
    if state.error:
        common["lastError"] = state.error
    if not isinstance(rule, Rule):
        return common | {"labels": dict(rule.labels), "type": "recording"}
    states = {"firing" if one.is_firing else one.state for one in state.alerts}
    return common | {
        "state": next((name for name in _ORDER if name in states), "inactive"),
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing_seconds,
        "labels": {name: template.text for name, template in rule.labels.items()},
        "annotations": {name: template.text for name, template in rule.annotations.items()},
        "alerts": [alert(one) for one in state.alerts] if with_alerts else [],
        "type": "alerting",
    }
