"""How alerts and rules are doing, as metrics: how many alerts there are, and how late and how costly each group is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from alerts.engine import AlertEngine
from alerts.running import GroupState
from collectors.sample import Sample, make_labels

_STATES = ("pending", "firing", "acknowledged")


class AlertCollector:
    """Reads the state of the engine. Named ``alerts`` among the collectors."""

    name = "alerts"

    def __init__(self, engine: AlertEngine, interval_seconds: float = 10.0) -> None:
        self.interval_seconds = interval_seconds
        self._engine = engine

    def collect(self) -> Iterable[Sample]:
        """A count of alerts for each state, and figures for each group of rules."""
        counts: Counter[str] = Counter(alert.state for alert in self._engine.current())
        yield from (Sample("wakeless_alerts", make_labels(state=state), float(counts[state])) for state in _STATES)
        seen: Counter[str] = Counter()
        for group in self._engine.rules():
            name = f"{Path(group.file).name};{group.name}"  # without the folder: metrics tell no paths
            seen[name] += 1
            yield from _figures(group, name if seen[name] == 1 else f"{name};{seen[name]}")


def _figures(group: GroupState, name: str) -> Iterable[Sample]:
    labels = make_labels(rule_group=name)
    if group.last_evaluation_ms is not None:
        yield Sample("rule_group_last_evaluation_timestamp_seconds", labels, group.last_evaluation_ms / 1000)
        yield Sample("rule_group_last_duration_seconds", labels, group.duration_seconds)
        yield Sample("rule_group_lateness_seconds", labels, group.lateness_seconds)
    yield Sample("rule_group_iterations_missed_total", labels, float(group.missed))
    yield Sample("rule_evaluations_total", labels, float(group.evaluations))
    yield Sample("rule_evaluation_failures_total", labels, float(group.failures))
