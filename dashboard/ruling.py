"""Rules and alerts in the form of the Prometheus API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alerts.rule import Rule
from collectors.sample import Matcher
from dashboard.envelope import exponential, rfc3339
from storage.matcher import compile_matcher, matches_all

if TYPE_CHECKING:
    from alerts.running import GroupState, RuleState
    from alerts.state import Alert
    from alerts.template import Template

#: The worst state of a rule's alerts is the rule's own.
_ORDER = ("firing", "pending", "inactive")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rules are wanted; empty sets and an empty ``kind`` mean all."""

    kind: str = ""
    rules: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    #: Selectors of which one must hold for a rule's labels.
    matchers: tuple[tuple[Matcher, ...], ...] = ()
    alerts: bool = True

    def has_group(self, group: GroupState) -> bool:
        """Whether a group is wanted."""
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def has_rule(self, state: RuleState) -> bool:
        """Whether a rule is wanted."""
        kind = "alert" if isinstance(state.rule, Rule) else "record"
        if self.kind not in ("", kind) or (self.rules and state.rule.name not in self.rules):
            return False
        if not self.matchers:
            return True
        labels = tuple((name, _text(label)) for name, label in state.rule.labels.items())
        return any(matches_all(labels, [(one.name, compile_matcher(one)) for one in some]) for some in self.matchers)


def page(states: Iterable[GroupState], choice: Choice, size: int | None, token: str) -> dict[str, Any]:
    """The wanted groups with their wanted rules, at most ``size`` of them, from the one that ``token`` names on.

    Groups without a wanted rule are left out. Raises ``LookupError`` for a token that names no group.
    """
    wanted = [state for state in states if choice.has_group(state)]
    tokens = [_token(state) for state in wanted]
    if token and token not in tokens:
        raise LookupError("group_next_token names no group: the rules may have changed meanwhile")
    first = tokens.index(token) if token else 0
    found: list[dict[str, Any]] = []
    for number, state in enumerate(wanted[first:], first):
        if size is not None and len(found) == size:
            return {"groups": found, "groupNextToken": tokens[number]}
        if rules := [_rule(rule, with_alerts=choice.alerts) for rule in state.rules if choice.has_rule(rule)]:
            found.append(_group(state, rules))
    return {"groups": found}


def alert(one: Alert) -> dict[str, Any]:
    """One alert. Prometheus knows no acknowledgement: an acknowledged alert is firing."""
    return {
        "labels": {"alertname": one.rule} | dict(one.labels),
        "annotations": dict(one.annotations),
        "state": "firing" if one.is_firing else one.state,
        "activeAt": rfc3339(one.active_ms),
        "value": exponential(one.value),
    }


def _token(state: GroupState) -> str:
    return hashlib.sha256(f"{state.file};{state.name}".encode()).hexdigest()[:40]


def _text(label: Template | str) -> str:
    return label if isinstance(label, str) else label.text


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
    if state.no_data_ms is not None:  # ours alone: Prometheus does not tell a rule that has nothing to look at
        common["noDataSince"] = rfc3339(state.no_data_ms)
    if not isinstance(rule, Rule):
        return common | {"labels": dict(rule.labels), "type": "recording"}
    states = {"firing" if one.is_firing else one.state for one in state.alerts}
    return common | {
        "state": next((name for name in _ORDER if name in states), "inactive"),
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing_seconds,
        "labels": {name: _text(template) for name, template in rule.labels.items()},
        "annotations": {name: template.text for name, template in rule.annotations.items()},
        "alerts": [alert(one) for one in state.alerts] if with_alerts else [],
        "type": "alerting",
    }
