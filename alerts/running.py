"""Rules at work: one query after the other, and how each rule's alerts would move. Nothing is written here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

import structlog

from alerts.evaluation import EvaluationError, Origin, breaches, samples, without_data
from alerts.pace import Pace
from alerts.rule import AnyRule, Group, Recording, Rule
from alerts.state import GRACE_MS, Alert, Breach, Timing, Track, begin, hold, lack, miss, shift
from alerts.step import Step, removal
from collectors.sample import Labels, Sample
from promql import Engine, QueryError

log = structlog.get_logger(__name__)

#: Takes what a recording rule gives: the time, the name of the source, and its samples.
Record: TypeAlias = Callable[[int, str, list[Sample]], None]
Health = Literal["unknown", "ok", "err"]

#: A group is due this much early, so that a scheduler's jitter does not cost it a whole round.
_JITTER_MS = 500


class RuleState(NamedTuple):
    """How one rule is doing. ``alerts`` are its pending and firing ones; a recording rule has none.

    ``no_data_ms`` is since when its selectors find no sample at all; that is no failure, but it cannot fire then.
    """

    rule: AnyRule
    health: Health
    error: str | None
    last_evaluation_ms: int | None
    duration_seconds: float
    alerts: tuple[Alert, ...]
    no_data_ms: int | None = None


class GroupState(NamedTuple):
    """How one group of rules is doing; ``interval_seconds`` None: every run of the engine.

    ``lateness_seconds`` is by how much its last evaluation came later than it should have. Since the start, ``missed``
    evaluations of the group were left out because of that, and ``failures`` of its rules' ``evaluations`` failed.
    """

    name: str
    file: str
    interval_seconds: float | None
    last_evaluation_ms: int | None
    duration_seconds: float
    rules: tuple[RuleState, ...]
    lateness_seconds: float = 0.0
    missed: int = 0
    evaluations: int = 0
    failures: int = 0


class Means(NamedTuple):
    """What rules need to be evaluated."""

    promql: Engine
    origin: Origin
    record: Record | None


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
    no_data_ms: int | None = None

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
        found = breaches(rule, result, self._origin(means, now_ms), self.breaches)
        lacking = result.selected == 0 and not found
        if lacking and rule.patience.no_data == "alert" and now_ms - boot_ms >= GRACE_MS:
            breach = without_data(rule)
            found = {breach.labels: breach}
        self._check_limit(len(found))
        held = self._held(rule, means, now_ms, found)
        self.breaches = found
        self._note_data(lacking, now_ms)
        steps = []
        for labels, breach in (found | held).items():
            before = self.tracks.get(labels)
            if before is None:
                after = begin(breach, rule.name, self.group.name, self.timing, now_ms)
            else:
                after = hold(before, breach, self.timing, now_ms)
            steps.append(Step(self, labels, before, after))
        for labels, track in self.tracks.items():
            if labels not in found and labels not in held:
                steps.append(Step(self, labels, track, self._missed(rule, track, lacking, now_ms, boot_ms)))
        return steps

    def _held(self, rule: Rule, means: Means, now_ms: int, found: Mapping[Labels, Breach]) -> dict[Labels, Breach]:
        """The firing alerts that only the rule's threshold for recovery still holds."""
        firing = [key for key, track in self.tracks.items() if track.alert.is_firing and key not in found]
        if rule.patience.hold is None or not firing:
            return {}
        result = means.promql.instant(rule.patience.hold, now_ms - self._offset_ms())
        above = breaches(rule, result, self._origin(means, now_ms), {})
        return {labels: above[labels] for labels in firing if labels in above}

    def _missed(self, rule: Rule, track: Track, lacking: bool, now_ms: int, boot_ms: int) -> Track | None:
        if lacking and rule.patience.no_data == "keep" and track.alert.is_firing:
            return lack(track, now_ms)
        return miss(track, self.timing, now_ms, boot_ms, "no_data" if lacking else "recovered")

    def _note_data(self, lacking: bool, now_ms: int) -> None:
        if not lacking:
            self.no_data_ms = None
        elif self.no_data_ms is None:
            self.no_data_ms = now_ms

    def _samples(self, rule: Recording, means: Means, now_ms: int) -> None:
        result = means.promql.instant(rule.query, now_ms - self._offset_ms())
        recorded = samples(rule, result)
        self._check_limit(len(recorded))
        self._note_data(result.selected == 0 and not recorded, now_ms)
        # An empty list is passed on once: it ends the series that were recorded before.
        if means.record is not None and (recorded or self.recorded):
            means.record(now_ms, self.source, recorded)
        self.recorded = bool(recorded)

    def _origin(self, means: Means, now_ms: int) -> Origin:
        return means.origin.asking(means.promql, now_ms - self._offset_ms())

    def _offset_ms(self) -> int:
        return round(self.group.query_offset_seconds * 1000)

    def _check_limit(self, count: int) -> None:
        if self.group.limit and count > self.group.limit:
            raise EvaluationError(f"exceeded limit of {self.group.limit} with {count} results")

    def owns(self, alert: Alert) -> bool:
        """Whether a stored alert is this rule's: same name, and labels that agree with the fixed ones."""
        rule = self.rule
        if not isinstance(rule, Rule) or rule.name != alert.rule:
            return False
        fixed = {name: text.text for name, text in rule.labels.items() if text.is_constant and name != "alertname"}
        return all(alert.labels.get(name, "") == text for name, text in fixed.items())

    def renewed(self, fresh: RunningRule) -> RunningRule:
        """This very rule, as the files have it now; its alerts stay."""
        self.group, self.rule, self.source, self.timing = fresh.group, fresh.rule, fresh.source, fresh.timing
        self.breaches = {}  # their words may have changed
        for labels, track in self.tracks.items():
            if track.alert.group != self.group.name:
                self.tracks[labels] = replace(track, alert=replace(track.alert, group=self.group.name))
        return self

    def remove(self, now_ms: int) -> list[Step]:
        """End all of its alerts: the rule is gone."""
        return [removal(self, labels, track, now_ms) for labels, track in self.tracks.items()]

    def shift(self, step_ms: int) -> None:
        """The clock was set."""
        self.tracks = {labels: shift(track, step_ms) for labels, track in self.tracks.items()}

    def state(self) -> RuleState:
        """How it is doing, for people."""
        return RuleState(
            rule=self.rule,
            health=self.health,
            error=self.error,
            last_evaluation_ms=self.last_ms,
            duration_seconds=self.seconds,
            alerts=tuple(track.alert for track in self.tracks.values()),
            no_data_ms=self.no_data_ms,
        )


@dataclass(slots=True, eq=False)
class RunningGroup:
    """The rules of one group and when they last ran."""

    group: Group
    rules: list[RunningRule]
    interval_ms: int = 0
    last_ms: int | None = None
    seconds: float = 0.0
    late_ms: int = 0
    missed: int = 0
    evaluations: int = 0
    failures: int = 0

    @classmethod
    def of(cls, group: Group, pace: Pace = Pace()) -> RunningGroup:  # noqa: B008 - immutable
        """A group that has not run yet."""
        # With the file: groups of two files may share a name, and two sources must not.
        place = f"rule/{group.file}/{group.name}"
        rules = [
            RunningRule(group, rule, f"{place}/{index}", pace.timing(group, rule))
            for index, rule in enumerate(group.rules)
        ]
        return cls(group, rules, pace.interval_of(group))

    def run(self, means: Means, now_ms: int, boot_ms: int) -> list[Step]:
        """Evaluate the rules in order, if the group is due."""
        elapsed_ms = None if self.last_ms is None else now_ms - self.last_ms
        if self.group.interval_seconds and elapsed_ms is not None and 0 <= elapsed_ms < self.interval_ms - _JITTER_MS:
            return []
        if elapsed_ms is not None and self.interval_ms:
            self.late_ms = max(0, elapsed_ms - self.interval_ms)
            self.missed += max(0, round(elapsed_ms / self.interval_ms) - 1)
        started = time.perf_counter()
        steps = [step for rule in self.rules for step in rule.run(means, now_ms, boot_ms)]
        self.last_ms, self.seconds = now_ms, time.perf_counter() - started
        self.evaluations += len(self.rules)
        self.failures += sum(rule.health == "err" for rule in self.rules)
        return steps

    def go_on_from(self, earlier: RunningGroup) -> None:
        """Keep the schedule of the same group before a reload."""
        self.last_ms, self.seconds = earlier.last_ms, earlier.seconds
        self.late_ms, self.missed = earlier.late_ms, earlier.missed
        self.evaluations, self.failures = earlier.evaluations, earlier.failures

    def shift(self, step_ms: int) -> None:
        """The clock was set."""
        if self.last_ms is not None:
            self.last_ms += step_ms
        for rule in self.rules:
            rule.shift(step_ms)

    def state(self) -> GroupState:
        """How it is doing, for people."""
        return GroupState(
            name=self.group.name,
            file=self.group.file,
            interval_seconds=self.group.interval_seconds,
            last_evaluation_ms=self.last_ms,
            duration_seconds=self.seconds,
            rules=tuple(rule.state() for rule in self.rules),
            lateness_seconds=self.late_ms / 1000,
            missed=self.missed,
            evaluations=self.evaluations,
            failures=self.failures,
        )
