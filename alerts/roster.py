"""Which rules there are: taken up at the start, replaced while running, each with its alerts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

import structlog

from alerts.pace import Pace
from alerts.rule import Group, Rule
from alerts.running import Means, RunningGroup, RunningRule
from alerts.state import Alert, Track
from alerts.step import Step
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: How a rule of new files is found among the old ones, the closest first: as it was; with another expression; in
#: another file; and in another group, as a stock rule is that somebody adjusts.
_LIKENESS: tuple[Callable[[RunningRule], Hashable], ...] = (
    lambda one: (one.group.file, one.group.name, _identity(one), one.rule.expr),
    lambda one: (one.group.file, one.group.name, _identity(one)),
    lambda one: (one.group.name, _identity(one)),
    lambda one: _identity(one),
)


class Roster:
    """Owns the running groups, and removed rules until their alerts have ended. Used under the engine's lock."""

    def __init__(self, groups: Iterable[Group], pace: Pace) -> None:
        self._pace = pace
        self.groups = [RunningGroup.of(group, pace) for group in groups]
        self._removed: list[RunningRule] = []
        self._silent: set[str] = set()

    def rules(self) -> Iterator[RunningRule]:
        """Every rule, in the order of the files."""
        return (rule for group in self.groups for rule in group.rules)

    def owners(self) -> list[RunningRule]:
        """Every rule that may have alerts, removed ones among them."""
        return [*self.rules(), *self._removed]

    def place(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Give stored alerts to their rules; returns those that no rule owns."""
        orphans = []
        for alert in alerts:
            labels = tuple(sorted(alert.labels.items()))
            owners = [rule for rule in self.rules() if rule.owns(alert) and labels not in rule.tracks]
            if owners:
                owner = next((rule for rule in owners if rule.group.name == alert.group), owners[0])
                owner.tracks[labels] = Track(
                    replace(alert, group=owner.group.name), restored=True, saved_ms=alert.seen_ms
                )
            else:
                orphans.append(alert)
        return orphans

    def replace(self, groups: Sequence[Group]) -> None:
        """Use these rules from now on. A rule that is there already keeps its alerts, and a group its schedule."""
        schedules = {(group.group.file, group.group.name): group for group in self.groups}
        recorded = {rule.source for rule in self.rules() if rule.recorded} | self._silent
        old = self.owners()
        self.groups = [RunningGroup.of(group, self._pace) for group in groups]
        for group in self.groups:
            if (earlier := schedules.get((group.group.file, group.group.name))) is not None:
                group.go_on_from(earlier)
        old = self._hand_over(old)
        self._removed = [rule for rule in old if rule.tracks]
        writing = {rule.source: rule for rule in self.rules() if not isinstance(rule.rule, Rule)}
        for source, rule in writing.items():
            rule.recorded = source in recorded
        self._silent = recorded - writing.keys()

    def _hand_over(self, old: list[RunningRule]) -> list[RunningRule]:
        """Put old rules in the place of new ones that they are like; returns those that are like none."""
        fresh = [(group, index) for group in self.groups for index in range(len(group.rules))]
        for key in _LIKENESS:
            waiting: dict[Hashable, list[RunningRule]] = {}
            for rule in old:
                waiting.setdefault(key(rule), []).append(rule)
            left: list[tuple[RunningGroup, int]] = []
            for group, index in fresh:
                if same := waiting.get(key(group.rules[index])):
                    group.rules[index] = same.pop(0).renewed(group.rules[index])
                else:
                    left.append((group, index))
            fresh = left
            old = [rule for same in waiting.values() for rule in same]
        return old

    def end_removed(self, means: Means, now_ms: int) -> list[Step]:
        """How the alerts of removed rules end; what such rules recorded ends at once."""
        try:
            while self._silent and means.record is not None:
                means.record(now_ms, min(self._silent), [])
                self._silent.discard(min(self._silent))
        except StorageError as error:
            log.warning("recording_not_ended", error=str(error))
        self._removed = [rule for rule in self._removed if rule.tracks]
        return [step for rule in self._removed for step in rule.remove(now_ms)]

    def shift(self, step_ms: int) -> None:
        """The clock was set."""
        for group in self.groups:
            group.shift(step_ms)
        for rule in self._removed:
            rule.shift(step_ms)


def _identity(one: RunningRule) -> Hashable:
    """What makes a rule the same in other files: its kind, its name and its fixed labels."""
    rule = one.rule
    if isinstance(rule, Rule):
        fixed = {name: text.text for name, text in rule.labels.items() if text.is_constant}
        return "alert", rule.name, tuple(sorted(fixed.items()))
    return "record", rule.name, tuple(sorted(rule.labels.items()))
