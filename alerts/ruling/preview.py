"""What a rule would have done: its expression over the last hours, and the real state machine over the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerts.group import Group, Rule
from alerts.ruling.replay import Replay
from collectors.sample import Labels
from promql import Engine, Matrix, Query, QueryError, Vector
from promql.node import Binary, Negation, Node, Number
from promql.value import Result

#: Most steps of one preview, the least length of one, and how many pairs of series and step are walked through.
MAX_STEPS, LEAST_STEP_MS, MAX_CELLS = 1440, 5_000, 200_000
#: Series that are drawn, the ones that fired first, and spans that are listed.
MAX_SERIES, MAX_SPANS = 20, 500
TIMEOUT_SECONDS = 10.0

_HOUR_MS = 3_600_000
_COMPARE = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}


class Trial(NamedTuple):
    """A rule to try: its expression, and for how long it must hold and is kept, in seconds."""

    query: Query
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0


class Span(NamedTuple):
    """One alert's time of firing; ``is_open`` when it would fire still."""

    start_ms: int
    end_ms: int
    labels: dict[str, str]
    is_open: bool


class Threshold(NamedTuple):
    """What the drawn series are compared with: ``> 0.9``."""

    op: str
    value: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What would have been. ``fired`` counts every time an alert began to fire, ``firing_seconds`` the time in which at
    least one did. ``spans`` and ``series`` are the first of so many as there were.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    fired: int
    firing_seconds: float
    spans: list[Span]
    series: list[tuple[dict[str, str], list[tuple[int, float | None]]]]
    series_count: int
    threshold: Threshold | None
    warnings: tuple[str, ...]


def preview(engine: Engine, trial: Trial, now_ms: int, hours: float = 24.0) -> Preview:
    """Try a rule over the last ``hours``. Raises :class:`QueryError` where that takes too much, or cannot be asked."""
    step_ms = max(LEAST_STEP_MS, -(-round(hours * _HOUR_MS / MAX_STEPS) // 1000) * 1000)
    start_ms = now_ms - round(hours * _HOUR_MS) // step_ms * step_ms
    bounded = engine.adjusted(timeout_seconds=TIMEOUT_SECONDS)
    plain = comparison(trial.query.expr)
    whole = plain is None or plain[0] is not trial.query.expr
    asked = trial.query if plain is None else replace(trial.query, expr=plain[1])
    drawn = bounded.range(asked, start_ms, now_ms, step_ms)
    threshold = None if plain is None else plain[2]
    held = bounded.range(trial.query, start_ms, now_ms, step_ms) if whole else _filtered(drawn, threshold)
    if held.present.size > MAX_CELLS:
        raise QueryError(f"the result has {len(held.labels)} series; narrow it, or look at fewer hours", "execution")
    spans = _spans(trial, held, bounded)
    firing = np.zeros(len(held.times), dtype=bool)
    for span in spans:
        firing |= (held.times >= span.start_ms) & (held.times < span.end_ms)
    return Preview(
        start_ms=start_ms,
        end_ms=now_ms,
        step_ms=step_ms,
        fired=len(spans),
        firing_seconds=float(firing.sum()) * step_ms / 1000,
        spans=spans[:MAX_SPANS],
        series=[_points(drawn, row) for row in _worth_drawing(drawn, held)],
        series_count=len(drawn.labels),
        threshold=threshold,
        warnings=held.warnings,
    )


def comparison(node: Node) -> tuple[Node, Node, Threshold] | None:
    """The comparison with a number that an expression begins with: itself, its other side, and the threshold."""
    while isinstance(node, Binary) and node.op in ("and", "unless"):
        node = node.lhs
    if not isinstance(node, Binary) or node.op not in _COMPARE or node.return_bool:
        return None
    if (right := _number(node.rhs)) is not None:
        return node, node.lhs, Threshold(node.op, right)
    if (left := _number(node.lhs)) is not None:
        return node, node.rhs, Threshold(_MIRRORED.get(node.op, node.op), left)
    return None


def _number(node: Node) -> float | None:
    if isinstance(node, Negation):
        inner = _number(node.expr)
        return None if inner is None else -inner
    return node.value if isinstance(node, Number) else None


def _filtered(drawn: Matrix, threshold: Threshold | None) -> Matrix:
    """Of the drawn series those steps that pass the threshold."""
    if threshold is None:
        return drawn
    with np.errstate(invalid="ignore"):
        present = drawn.present & _COMPARE[threshold.op](drawn.values, threshold.value)
    return replace(drawn, present=present)


class _Recorded(Engine):
    """An engine that knows one query's results already, step by step; any other query it asks for."""

    def __init__(self, engine: Engine, query: Query, matrix: Matrix) -> None:
        self.__dict__.update(engine.__dict__)
        self._query, self._matrix = query, matrix
        self._step = {time: index for index, time in enumerate(matrix.times.tolist())}

    def instant(self, query: Query | str, time_ms: int) -> Result:
        if query is not self._query:
            return super().instant(query, time_ms)
        column = self._step[time_ms]
        rows = np.flatnonzero(self._matrix.present[:, column])
        labels = [self._matrix.labels[row] for row in rows]
        return Vector(labels, self._matrix.values[rows, column], selected=len(self._matrix.labels))


def _spans(trial: Trial, held: Matrix, engine: Engine) -> list[Span]:
    """Walk the state machine over the steps; the spans in the order of their beginning."""
    rule = Rule("preview", trial.query, trial.query.text, trial.for_seconds, trial.keep_firing_seconds, {}, {})
    replay = Replay([Group("preview", "preview", None, (rule,))], _Recorded(engine, trial.query, held))
    spans: list[Span] = []
    since: dict[Labels, int] = {}
    times = held.times.tolist()
    for now_ms in times:
        for step in replay.step(now_ms):
            if step.after is not None and step.after.alert.is_firing:
                since.setdefault(step.labels, now_ms)
            elif step.labels in since:
                spans.append(_span(since.pop(step.labels), now_ms, step.labels, is_open=False))
        for failure in replay.failures():
            raise QueryError(failure.error, "execution")
    spans += [_span(start_ms, times[-1], labels, is_open=True) for labels, start_ms in since.items()]
    return sorted(spans, key=lambda span: span.start_ms)


def _span(start_ms: int, end_ms: int, labels: Labels, *, is_open: bool) -> Span:
    shown = {name: text for name, text in labels if name != "alertname"}
    return Span(start_ms, end_ms, shown, is_open)


def _worth_drawing(drawn: Matrix, held: Matrix) -> list[int]:
    """The rows to draw: those that held for longest first."""
    held_for = dict(zip(held.labels, held.present.sum(axis=1).tolist(), strict=True))
    order = sorted(range(len(drawn.labels)), key=lambda row: -held_for.get(drawn.labels[row], 0))
    return order[:MAX_SERIES]


def _points(drawn: Matrix, row: int) -> tuple[dict[str, str], list[tuple[int, float | None]]]:
    steps = np.flatnonzero(drawn.present[row])
    values: npt.NDArray[np.float64] = drawn.values[row, steps]
    numbers = [number if np.isfinite(number) else None for number in values.tolist()]
    return dict(drawn.labels[row]), list(zip(drawn.times[steps].tolist(), numbers, strict=True))
