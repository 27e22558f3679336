"""Whether the newest rules and routing are in force, as a metric, so that a mistake in a file fires an alert."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from alerts.routing.source import RoutingSource
from alerts.ruling.source import RuleSource
from collectors.sample import Sample, make_labels


class RuleCollector:
    """Reads how the files of rules and of routing stand. Named ``rules`` among the collectors."""

    name = "rules"

    def __init__(
        self, source: RuleSource, routing: RoutingSource | None = None, interval_seconds: float = 10.0
    ) -> None:
        self.interval_seconds = interval_seconds
        self._source = source
        self._routing = routing

    def collect(self) -> Iterable[Sample]:
        """1 for each file whose newest text is refused, 0 for the others. Files are called by their names alone."""
        refused: dict[str, float] = {}
        for state in self._source.states():
            name = PurePath(state.path).name
            refused[name] = max(refused.get(name, 0.0), float(bool(state.problems)))
        if self._routing is not None and self._routing.path is not None:
            refused[self._routing.path.name] = float(bool(self._routing.problems))
        return [Sample("wakeless_rule_file_refused", make_labels(file=name), value) for name, value in refused.items()]
