"""Evaluates panels: their values now, for the live frames, and their history, for the charts.

Both answers hold no language, so that the same bytes suit every viewer; the page names a series from its ``legend``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from structlog import get_logger

from collectors.sample import Labels
from dashboard.panels import BadPanel, Line, Panel
from promql import Engine, Matrix, Query, QueryError, Scalar, Vector, parse

logger = get_logger(__name__)

#: Most points of one answer; the step grows to keep to it.
MAX_POINTS = 600
#: The shortest window for rates: long enough to hold several requests of a quiet service.
MIN_WINDOW_MS = 30_000
#: Digits that are sent; more cannot be seen on a chart.
DIGITS = 5

_FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_query = lru_cache(maxsize=1024)(parse)


@dataclass(frozen=True)
class Window:
    """The evenly spaced times of a history, all in ms; ``end_ms`` is included."""

    start_ms: int
    end_ms: int
    step_ms: int

    @classmethod
    def fitting(cls, start_ms: int, end_ms: int, step_ms: int) -> Window:
        """Times at multiples of the step, the step raised until there are at most ``MAX_POINTS``.

        Steps of more than a minute or an hour are whole minutes or hours: buckets answer for those.
        """
        step = max(step_ms, 1000, -(-(end_ms - start_ms) // (MAX_POINTS - 1)))
        grain = next(grain for grain in (3_600_000, 60_000, 1000) if step >= grain)
        step = -(-step // grain) * grain
        first = -(-start_ms // step) * step
        return cls(first, max(first, end_ms // step * step), step)

    @property
    def points(self) -> int:
        """How many times there are."""
        return (self.end_ms - self.start_ms) // self.step_ms + 1


class Board:
    """All panels over one query engine. ``interval_seconds`` is the time between two ticks."""

    def __init__(self, query: Engine, panels: Sequence[Panel | BadPanel], *, interval_seconds: float = 1.0) -> None:
        self._query = query
        self._interval_ms = round(interval_seconds * 1000)
        self._complained: set[str] = set()
        self.replace(panels)

    def replace(self, panels: Sequence[Panel | BadPanel]) -> None:
        """Have these panels from now on; pages that are open show them when they are loaded again."""
        self._layout = tuple(panels)
        self._panels = tuple(panel for panel in panels if isinstance(panel, Panel))

    def panels(self, page: str) -> list[Panel]:
        """The panels of a page in their order."""
        return [panel for panel in self._panels if panel.page == page]

    def layout(self, page: str) -> list[Panel | BadPanel]:
        """The panels of a page in their order, and those that cannot be shown."""
        return [panel for panel in self._layout if panel.page == page]

    def pages(self) -> set[str]:
        """The pages that have panels."""
        return {panel.page for panel in self._panels}

    def window_ms(self, step_ms: int) -> int:
        """The window for ``$window`` at a step: no sample is skipped, and four ticks fit at least."""
        return max(MIN_WINDOW_MS, step_ms, 4 * self._interval_ms)

    def now(self, page: str, now_ms: int, window_ms: int) -> dict[str, Any]:
        """The values at ``now_ms``: ``{panel: {series key: value}}``, for kind gpus ``{panel: {gpu: {field: value}}}``.

        Bars are left out: they look at the whole range, which is work for :meth:`history`.
        """
        answers: dict[str, Vector | None] = {}
        values: dict[str, Any] = {}
        for panel in self.panels(page):
            if panel.kind == "bars":
                continue
            vectors = []
            for line in panel.lines:
                text = line.query(window_ms, window_ms)
                if text not in answers:
                    answers[text] = self._instant(panel, text, now_ms)
                vectors.append(answers[text])
            values[panel.id] = _cards(panel, vectors) if panel.kind == "gpus" else _current(panel, vectors)
        return values

    def history(self, page: str, window: Window, only: Iterable[str] = ()) -> dict[str, Any]:
        """``{start, end, step, panels: {id: {series: [{key, legend, labels, style, peak, values}]}}}``; a gap is null.

        ``values[i]`` belongs to ``start + i * step``; with ``peak`` it is the highest of that step. Bars and GPU cards
        carry one value per series, at the end. A panel whose query failed has ``error`` instead of series.
        """
        wanted = set(only)
        panels = {
            panel.id: self._panel_history(panel, window)
            for panel in self.panels(page)
            if not wanted or panel.id in wanted
        }
        return {"start": window.start_ms, "end": window.end_ms, "step": window.step_ms, "panels": panels}

    def _panel_history(self, panel: Panel, window: Window) -> dict[str, Any]:
        window_ms = self.window_ms(window.step_ms)
        try:
            if panel.kind == "gpus":
                return {"cards": _cards(panel, [self._vector(line, window_ms, window) for line in panel.lines])}
            if panel.kind == "bars":
                vectors = [self._vector(line, window_ms, window) for line in panel.lines]
                return {
                    "series": [
                        bar for line, vector in zip(panel.lines, vectors, strict=True) for bar in _bars(line, vector)
                    ]
                }
            return {"series": [series for line in panel.lines for series in self._series(line, window_ms, window)]}
        except QueryError as error:
            self._complain(panel, str(error))
            return {"series": [], "error": str(error)}

    def _vector(self, line: Line, window_ms: int, window: Window) -> Vector | None:
        range_ms = max(window_ms, window.end_ms - window.start_ms)
        return _as_vector(self._query.instant(_query(line.query(window_ms, range_ms)), window.end_ms))

    def _series(self, line: Line, window_ms: int, window: Window) -> list[dict[str, Any]]:
        peak = line.peaks_at(window.step_ms)
        text = line.query(window_ms, max(window_ms, window.end_ms - window.start_ms), peak=peak)
        matrix = self._query.range(_query(text), window.start_ms, window.end_ms, window.step_ms)
        return [
            {**_named(line, labels), "style": line.style, "peak": peak, "values": _spread(matrix, row, window)}
            for row, labels in enumerate(matrix.labels)
        ]

    def _instant(self, panel: Panel, text: str, now_ms: int) -> Vector | None:
        try:
            return _as_vector(self._query.instant(_query(text), now_ms))
        except QueryError as error:
            self._complain(panel, str(error))
            return None

    def _complain(self, panel: Panel, error: str) -> None:
        """Say once per panel that its query fails; once a second would bury the log."""
        if panel.id not in self._complained:
            self._complained.add(panel.id)
            logger.warning("panel_failed", panel=panel.id, error=error)


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values to ``DIGITS`` significant digits; what is not finite becomes NaN, which is sent as null."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(values))))
        short = np.where(np.isfinite(scale) & (scale != 0), np.round(values * scale) / scale, values)
    clean: NDArray[np.float64] = np.where(np.isfinite(short), short, np.nan)
    return clean


def _as_vector(result: object) -> Vector | None:
    if isinstance(result, Vector):
        return result
    if isinstance(result, Scalar):
        return Vector([()], np.array([result.value]))
    raise QueryError("the panel's query must give numbers, not text or a range")


def _named(line: Line, labels: Labels) -> dict[str, Any]:
    """A series' key (its legend filled in, in English) and what the page needs to say it in another language."""
    known = dict(labels)
    key = _FIELD.sub(lambda match: known.get(match[1], ""), line.legend.replace("[", "").replace("]", ""))
    used = {name: known.get(name, "") for name in _FIELD.findall(line.legend)}
    return {"key": key or "value", "legend": line.legend, "labels": used}


def _current(panel: Panel, vectors: Sequence[Vector | None]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for line, vector in zip(panel.lines, vectors, strict=True):
        if vector is not None:
            for labels, value in zip(vector.labels, rounded(vector.values).tolist(), strict=True):
                values[_named(line, labels)["key"]] = value if value == value else None
    return values


def _cards(panel: Panel, vectors: Sequence[Vector | None]) -> dict[str, dict[str, Any]]:
    cards: dict[str, dict[str, Any]] = {}
    for line, vector in zip(panel.lines, vectors, strict=True):
        for labels, value in zip(vector.labels, rounded(vector.values).tolist(), strict=True) if vector else ():
            known = dict(labels)
            card = cards.setdefault(known.get("gpu", ""), {})
            card[str(line.field)] = value if value == value else None
            card.update({name: known[name] for name in ("name", "simulated") if name in known})
    return dict(sorted(cards.items()))


def _bars(line: Line, vector: Vector | None) -> list[dict[str, Any]]:
    if vector is None:
        return []
    bars = [
        {**_named(line, labels), "value": value}
        for labels, value in zip(vector.labels, rounded(vector.values).tolist(), strict=True)
        if value == value
    ]
    return sorted(bars, key=lambda bar: (-bar["value"], bar["key"]))


def _spread(matrix: Matrix, row: int, window: Window) -> NDArray[np.float64]:
    """One row of the matrix on the window's own times, shape (points,)."""
    values = np.where(matrix.present[row], matrix.values[row], np.nan)
    if len(matrix.times) == window.points:
        return rounded(values)
    spread = np.full(window.points, np.nan)
    spread[(np.asarray(matrix.times) - window.start_ms) // window.step_ms] = values
    return rounded(spread)


__all__ = ["MAX_POINTS", "Board", "Query", "Window", "rounded"]
