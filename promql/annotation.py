"""What an answer comes with: warnings (something is wrong with it) and infos (something may be), as Prometheus 3 gives.

They are collected while a query is evaluated, each once, and never change its result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from collectors.sample import METRIC_NAME, Labels, Values
from promql.error import Span, place
from promql.label import get
from promql.node import NOWHERE

#: Warnings, and infos, that one answer carries at most; of those beyond it only the number is told.
MAX_SHOWN = 10

_COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


class Annotations:
    """The warnings and infos of one query, whose ``text`` tells where the places lie."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}

    def remark(self, sentence: str) -> None:
        """Add an info that is not about the query's text, but about the data it was answered from."""
        self._infos[f"PromQL info: {sentence}"] = None

    def warn(self, message: str, span: Span) -> None:
        """Add a warning about a place in the query."""
        self._warnings[f"PromQL warning: {message}{self._place(span)}"] = None

    def inform(self, message: str, span: Span) -> None:
        """Add an info about a place in the query."""
        self._infos[f"PromQL info: {message}{self._place(span)}"] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings in the order of their first appearance."""
        return _shown(self._warnings, "warning")

    @property
    def infos(self) -> tuple[str, ...]:
        """The infos in the order of their first appearance."""
        return _shown(self._infos, "info")

    def _place(self, span: Span) -> str:
        return "" if span == NOWHERE else f" ({place(self._text, span[0])})"

    # What is worth saying

    def quantile(self, q: Values, span: Span) -> None:
        """Warn about every value of ``q`` that is no quantile."""
        for value in np.unique(q[~((q >= 0) & (q <= 1))])[: MAX_SHOWN + 1].tolist():
            self.warn(f"quantile value should be between 0 and 1, got {_number(value)}", span)

    def counters(self, labels: Iterable[Labels], span: Span) -> None:
        """Inform about metrics that are treated as counters and not called like one."""
        for name in dict.fromkeys(get(one, METRIC_NAME) for one in labels):
            if name and not name.endswith(_COUNTER_SUFFIXES):
                message = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket"
                self.inform(f'{message}: "{name}"', span)

    def bad_bucket(self, labels: Labels, span: Span) -> None:
        """Warn about a histogram's bucket whose bound cannot be read."""
        name = get(labels, METRIC_NAME)
        of = f' for metric name "{name}"' if name else ""
        self.warn(f'bucket label "le" is missing or has a malformed value of "{get(labels, "le")}"{of}', span)

    def forced_monotonicity(self, span: Span) -> None:
        """Inform that a histogram's buckets did not accumulate."""
        self.inform(
            "input to histogram_quantile needed to be fixed for monotonicity "
            "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
            span,
        )


def _shown(messages: dict[str, None], kind: str) -> tuple[str, ...]:
    shown = tuple(messages)[:MAX_SHOWN]
    left = len(messages) - len(shown)
    return (*shown, f"{left} more {kind} annotations omitted") if left else shown


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")
