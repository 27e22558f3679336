"""What a rule file holds: groups of alerting and recording rules, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from alerts.patience import Patience
from alerts.template import Template
from promql import Query


class Fault(NamedTuple):
    """One thing that is wrong with a rule file. ``where`` names group and rule, ``line`` counts from 1."""

    file: str
    where: str
    message: str
    line: int | None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.where, self.message) if part)


class RuleError(Exception):
    """A rule file that cannot be used; the message is one line, ``problems`` has a line for everything found."""

    permanent = True

    def __init__(self, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule. ``labels`` and ``annotations`` are templates, as parsed when the file was read."""

    name: str
    query: Query
    expr: str
    for_seconds: float
    keep_firing_seconds: float
    labels: Mapping[str, Template]
    annotations: Mapping[str, Template]
    line: int = 0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule: its result is kept as the series ``name`` with ``labels`` added."""

    name: str
    query: Query
    expr: str
    labels: Mapping[str, str]
    line: int = 0


AnyRule: TypeAlias = Rule | Recording


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order. ``interval_seconds`` None: whenever the engine runs.

    ``limit`` bounds the alerts or samples of one rule; 0 is no limit.
    """

    name: str
    file: str
    interval_seconds: float | None
    rules: tuple[AnyRule, ...]
    limit: int = 0
    query_offset_seconds: float = 0.0
