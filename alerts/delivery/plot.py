"""An alert in figures: its value's unit, what it is measured against, and how it went in the last hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.delivery.compose import Measure
from alerts.delivery.message import Fact
from alerts.delivery.unit import SHOWN, unit_of
from alerts.group import Group, Rule
from alerts.humanize import general
from alerts.ruling.preview import comparison
from collectors.sample import METRIC_NAME
from promql import Engine, Matrix

#: What is drawn: an hour, in so many steps.
SPAN_MS = 3_600_000
STEPS = 120
#: Series among which an alert's own is looked for, and seconds that the query may take.
_MAX_SERIES = 2_000
_TIMEOUT_SECONDS = 2.0


class Plot(NamedTuple):
    """One series: ``times`` in UTC milliseconds and ``values``, shape (steps,), NaN where there is no sample.

    ``since_ms`` is when its alert began, ``show`` writes a value with its unit.
    """

    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    threshold: float | None = None
    since_ms: int | None = None
    show: Callable[[float], str] = general


class Figures:
    """Tells of alerts in figures, from the rules that are in force and the history behind them.

    ``groups`` gives the rules as they are now. An alert of another server, or of a rule that is gone, has none.
    """

    def __init__(self, engine: Engine, groups: Callable[[], Sequence[Group]]) -> None:
        self._engine = engine.adjusted(timeout_seconds=_TIMEOUT_SECONDS)
        self._groups = groups

    def measure_of(self, fact: Fact) -> Measure | None:
        """What an alert's value is measured against; None where its rule does not compare with a number."""
        rule = self._rule(fact)
        plain = None if rule is None else comparison(rule.query.expr)
        if plain is None:
            return None
        _, node, threshold = plain
        return Measure(threshold.op, threshold.value, SHOWN[unit_of(node)])

    def plot_of(self, fact: Fact, now_ms: int) -> Plot | None:
        """The last hour of the alert's own series. Raises :class:`QueryError`."""
        rule = self._rule(fact)
        if rule is None:
            return None
        plain = comparison(rule.query.expr)
        node = rule.query.expr if plain is None else plain[1]
        step_ms = SPAN_MS // STEPS
        matrix = self._engine.range(replace(rule.query, expr=node), now_ms - SPAN_MS, now_ms, step_ms)
        row = _own(matrix, fact)
        if row is None:
            return None
        return Plot(
            matrix.times,
            matrix.values[row],
            None if plain is None else plain[2].value,
            fact.active_ms,
            SHOWN[unit_of(node)],
        )

    def _rule(self, fact: Fact) -> Rule | None:
        """The alert's rule. Of several with its name, the one whose labels are the alert's."""
        named = [
            rule
            for group in self._groups()
            for rule in group.rules
            if isinstance(rule, Rule) and rule.name == fact.rule
        ]
        if len(named) < 2:
            return named[0] if named else None
        alike = [rule for rule in named if all(fact.labels.get(name) == str(text) for name, text in _fixed(rule))]
        return alike[0] if len(alike) == 1 else None


def _fixed(rule: Rule) -> list[tuple[str, str]]:
    """Labels of a rule that are the same for each of its alerts."""
    return [(name, template.text) for name, template in rule.labels.items() if template.is_constant]


def _own(matrix: Matrix, fact: Fact) -> int | None:
    """The row of the series that the alert is about: all of its labels are the alert's."""
    for row, labels in enumerate(matrix.labels[:_MAX_SERIES]):
        if all(fact.labels.get(name) == value for name, value in labels if name != METRIC_NAME):
            return row
    return None
