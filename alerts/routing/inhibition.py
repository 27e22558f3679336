"""One cause, one message: which alerts are not told because another fires that explains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from alerts.routing.tree import InhibitRule
from alerts.silencing.matching import match_all
from alerts.state import Alert


class Inhibited(NamedTuple):
    """Why an alert is not told: the rule, and the alert that explains it."""

    rule: InhibitRule
    source: Alert


class _Sources(NamedTuple):
    """The alerts that fire and match a rule's source, by their values of its ``equal`` labels."""

    any: dict[tuple[str, ...], Alert]
    one_sided: dict[tuple[str, ...], Alert]  # those that the rule's target does not match


class Inhibition:
    """What fires now, looked up by the rules. An alert that matches both sides of a rule never inhibits its like."""

    def __init__(self, rules: Sequence[InhibitRule], firing: Iterable[Alert]) -> None:
        self._rules = [(rule, _Sources({}, {})) for rule in rules]
        if not rules:
            return
        for alert in firing:
            for rule, sources in self._rules:
                if match_all(rule.source, alert.labels):
                    key = _key(rule, alert.labels)
                    sources.any.setdefault(key, alert)
                    if not match_all(rule.target, alert.labels):
                        sources.one_sided.setdefault(key, alert)

    def find(self, labels: Mapping[str, str]) -> Inhibited | None:
        """What inhibits an alert with these labels, or None."""
        for rule, sources in self._rules:
            if not sources.any or not match_all(rule.target, labels):
                continue
            both_sides = match_all(rule.source, labels)
            source = (sources.one_sided if both_sides else sources.any).get(_key(rule, labels))
            if source is not None:
                return Inhibited(rule, source)
        return None


def _key(rule: InhibitRule, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
