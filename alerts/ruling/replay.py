"""Rules evaluated one moment after the other without a database: for rule tests and previews."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from alerts.evaluation import Origin
from alerts.group import Group, Rule
from alerts.ruling.memory import MemorySeries
from alerts.running import Means, RunningGroup, RunningRule
from alerts.state import Alert
from alerts.step import Step
from collectors.sample import Sample
from promql import Engine


class Failure(NamedTuple):
    """A rule that could not be evaluated."""

    rule: str
    time_ms: int
    error: str


class Replay:
    """The state machine of some groups, at every ``step``; nothing is said to flap here.

    With ``memory``, recording rules write into it, and alerts do as ``ALERTS`` and ``ALERTS_FOR_STATE``.
    """

    def __init__(
        self, groups: Sequence[Group], promql: Engine, memory: MemorySeries | None = None, origin: Origin | None = None
    ) -> None:
        # Whoever replays says when: intervals are of the clock on the wall.
        self._groups = [RunningGroup.of(replace(group, interval_seconds=None)) for group in groups]
        self._memory = memory
        self._means = Means(promql, origin or Origin(), None if memory is None else memory.write)
        self._begun_ms: int | None = None

    def step(self, now_ms: int) -> list[Step]:
        """Evaluate every rule once; returns how its alerts moved."""
        begun_ms = self._begun_ms = now_ms if self._begun_ms is None else self._begun_ms
        moved: list[Step] = []
        for rule in self._rules():
            steps = rule.run(self._means, now_ms, begun_ms)
            for step in steps:
                step.follow(step.after)
            moved += steps
            if self._memory is not None and isinstance(rule.rule, Rule) and rule.error is None:
                self._memory.write(now_ms, f"{rule.source}/ALERTS", _series_of(rule))
        return moved

    def failures(self) -> list[Failure]:
        """The rules whose last evaluation failed."""
        rules = self._rules()
        return [Failure(rule.rule.name, rule.last_ms or 0, rule.error) for rule in rules if rule.error is not None]

    def alerts(self, name: str) -> list[tuple[Rule, Alert]]:
        """The firing alerts of all rules called ``name``."""
        return [
            (rule.rule, track.alert)
            for rule in self._rules()
            if isinstance(rule.rule, Rule) and rule.rule.name == name
            for track in rule.tracks.values()
            if track.alert.is_firing
        ]

    def _rules(self) -> Iterator[RunningRule]:
        return (rule for group in self._groups for rule in group.rules)


def _series_of(rule: RunningRule) -> Iterator[Sample]:
    """A rule's alerts as Prometheus records them."""
    for labels, track in rule.tracks.items():
        state = "firing" if track.alert.is_firing else "pending"
        yield Sample("ALERTS", tuple(sorted([*labels, ("alertstate", state)])), 1.0)
        yield Sample("ALERTS_FOR_STATE", labels, track.alert.active_ms / 1000)
