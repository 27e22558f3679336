"""Whether the newest rules are in force, as a metric, so that a mistake in a file fires an alert."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from alerts.ruling.source import RuleSource
from collectors.sample import Sample, make_labels


class RuleCollector:
    """Reads how the rule files stand. Named ``rules`` among the collectors."""

    name = "rules"

    def __init__(self, source: RuleSource, interval_seconds: float = 10.0) -> None:
        self.interval_seconds = interval_seconds
        self._source = source

    def collect(self) -> Iterable[Sample]:
        """1 for each file whose newest text is refused, 0 for the others. Files are called by their names alone."""
        refused: dict[str, float] = {}
        for state in self._source.states():
            name = PurePath(state.path).name
            refused[name] = max(refused.get(name, 0.0), float(bool(state.problems)))
        return [Sample("wakeless_rule_file_refused", make_labels(file=name), value) for name, value in refused.items()]
