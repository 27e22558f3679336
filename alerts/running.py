"""Rules at work: one query after the other, and how each rule's alerts would move. Nothing is written here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import structlog

from alerts.evaluation import EvaluationError, Origin, breaches, samples
from alerts.rule import AnyRule, Group, Recording, Rule
from alerts.state import Alert, Breach, Timing, Track, begin, hold, miss
from collectors.sample import Labels, Sample
from promql import Engine, QueryError

log = structlog.get_logger(__name__)

#: Takes what a recording rule gives: the time, the name of the source, and its samples.
Record: TypeAlias = Callable[[int, str, list[Sample]], None]
Health = Literal["unknown", "ok", "err"]

#: A group is due this much early, so that a scheduler's jitter does not cost it a whole round.
_JITTER_MS = 500


class RuleState(NamedTuple):
    """How one rule is doing. ``alerts`` are its pending and firing ones; a recording rule has none."""

    rule: AnyRule
    health: Health
    error: str | None
    last_evaluation_ms: int | None
    duration_seconds: float
    alerts: tuple[Alert, ...]


class GroupState(NamedTuple):
    """How one group of rules is doing; ``interval_seconds`` None: every run of the engine."""

    name: str
    file: str
    interval_seconds: float | None
    last_evaluation_ms: int | None
    duration_seconds: float
    rules: tuple[RuleState, ...]


class Means(NamedTuple):
    """What rules need to be evaluated."""

    promql: Engine
    origin: Origin
    record: Record | None


class Step(NamedTuple):
    """How one alert moves. ``owner`` None: its rule is gone; ``before`` None: it is new; ``after`` None: dropped."""

    owner: RunningRule | None
    labels: Labels
    before: Track | None
    after: Track | None


@dataclass(slots=True, eq=False)
class RunningRule:
    """One rule, its alerts by their labels, and how its last evaluation went."""

    group: Group
    rule: AnyRule
    source: str  # under which a recording rule's samples are stored
    timing: Timing
    tracks: dict[Labels, Track] = field(default_factory=dict)
    breaches: dict[Labels, Breach] = field(default_factory=dict)
    health: Health = "unknown"
    error: str | None = None
    last_ms: int | None = None
    seconds: float = 0.0
    recorded: bool = False

    def run(self, means: Means, now_ms: int, boot_ms: int) -> list[Step]:
        """Evaluate once. A failure is kept as ``health`` and ``error``, and moves no alert."""
        started = time.perf_counter()
        steps: list[Step] = []
        error: str | None = None
        try:
            if isinstance(self.rule, Rule):
                steps = self._alerts(self.rule, means, now_ms, boot_ms)
            else:
                self._samples(self.rule, means, now_ms)
        except (QueryError, EvaluationError) as failure:
            error = str(failure)
        except Exception as failure:  # one broken rule must not stop the others
            error = f"internal error: {failure}"
            if error != self.error:
                log.exception("rule_crashed", group=self.group.name, rule=self.rule.name)
        if error is not None and error != self.error:
            log.warning("rule_failed", group=self.group.name, rule=self.rule.name, error=error)
        self.health, self.error = ("ok" if error is None else "err"), error
        self.last_ms, self.seconds = now_ms, time.perf_counter() - started
        return steps

    def _alerts(self, rule: Rule, means: Means, now_ms: int, boot_ms: int) -> list[Step]:
        result = means.promql.instant(rule.query, now_ms - self._offset_ms())
        found = breaches(rule, result, means.origin, self.breaches)
        self._check_limit(len(found))
        self.breaches = found
        steps = []
        for labels, breach in found.items():
            before = self.tracks.get(labels)
            if before is None:
                after = begin(breach, rule.name, self.group.name, self.timing, now_ms)
            else:
                after = hold(before, breach, self.timing, now_ms)
            steps.append(Step(self, labels, before, after))
        for labels, track in self.tracks.items():
            if labels not in found:
                steps.append(Step(self, labels, track, miss(track, self.timing, now_ms, boot_ms)))
        return steps

    def _samples(self, rule: Recording, means: Means, now_ms: int) -> None:
        recorded = samples(rule, means.promql.instant(rule.query, now_ms - self._offset_ms()))
        self._check_limit(len(recorded))
        # An empty list is passed on once: it ends the series that were recorded before.
        if means.record is not None and (recorded or self.recorded):
            means.record(now_ms, self.source, recorded)
        self.recorded = bool(recorded)

    def _offset_ms(self) -> int:
        return round(self.group.query_offset_seconds * 1000)

    def _check_limit(self, count: int) -> None:
        if self.group.limit and count > self.group.limit:
            raise EvaluationError(f"exceeded limit of {self.group.limit} with {count} results")

    def owns(self, alert: Alert) -> bool:
        """Whether a stored alert is this rule's: same group and name, and labels that agree with the fixed ones."""
        rule = self.rule
        if not isinstance(rule, Rule) or (self.group.name, rule.name) != (alert.group, alert.rule):
            return False
        fixed = {name: text.text for name, text in rule.labels.items() if text.is_constant and name != "alertname"}
        return all(alert.labels.get(name, "") == text for name, text in fixed.items())

    def state(self) -> RuleState:
        """How it is doing, for people."""
        alerts = tuple(track.alert for track in self.tracks.values())
        return RuleState(self.rule, self.health, self.error, self.last_ms, self.seconds, alerts)


@dataclass(slots=True, eq=False)
class RunningGroup:
    """The rules of one group and when they last ran."""

    group: Group
    rules: list[RunningRule]
    last_ms: int | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, group: Group) -> RunningGroup:
        """A group that has not run yet."""
        rules = []
        for index, rule in enumerate(group.rules):
            timing = Timing(0, 0)
            if isinstance(rule, Rule):
                timing = Timing(round(rule.for_seconds * 1000), round(rule.keep_firing_seconds * 1000))
            # With the file: groups of two files may share a name, and two sources must not.
            rules.append(RunningRule(group, rule, f"rule/{group.file}/{group.name}/{index}", timing))
        return cls(group, rules)

    def run(self, means: Means, now_ms: int, boot_ms: int) -> list[Step]:
        """Evaluate the rules in order, if the group is due."""
        interval = self.group.interval_seconds
        elapsed = None if self.last_ms is None else now_ms - self.last_ms
        if interval and elapsed is not None and 0 <= elapsed < interval * 1000 - _JITTER_MS:
            return []
        started = time.perf_counter()
        steps = [step for rule in self.rules for step in rule.run(means, now_ms, boot_ms)]
        self.last_ms, self.seconds = now_ms, time.perf_counter() - started
        return steps

    def state(self) -> GroupState:
        """How it is doing, for people."""
        rules = tuple(rule.state() for rule in self.rules)
        group = self.group
        return GroupState(group.name, group.file, group.interval_seconds, self.last_ms, self.seconds, rules)
