"""Gives new series their ids in the database, and refuses those of a metric whose label has gone wild."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, Labels, make_labels
from storage.error import StorageError
from storage.index import Key, SeriesIndex, insert_series
from storage.problem import Problems

logger = structlog.get_logger(__name__)

#: After the database refused, known series are written without waiting for it again for so long.
_RETRY_SECONDS = 10.0
#: How long a count of live series stands: counting looks at all of them.
_COUNT_SECONDS = 10.0
#: People are told for so long after the last refusal.
_TOLD_SECONDS = 60.0
#: Metrics that are counted by name when they are refused; a program may make up names as well.
_MOST_NAMED = 50
OTHER = "other"
#: Our own metrics always find room: they tell of what is refused. Those of other servers have an instance.
_OWN = "wakeless_"
_ELSEWHERE = "instance"


class Limits(NamedTuple):
    """How many series may be live: written now, or so lately that memory still has them."""

    per_metric: int = 5_000
    total: int = 20_000


class Registrar:
    """Used by one thread at a time. ``live`` tells which series have been written lately."""

    def __init__(
        self,
        database: Engine,
        index: SeriesIndex,
        limits: Limits | None = None,
        live: Callable[[], Collection[int]] = frozenset,
        problems: Problems | None = None,
    ) -> None:
        self._database = database
        self._index = index
        self._limits = limits or Limits()
        self._live = live
        self._problems = problems or Problems()
        self._refused_until = 0.0
        self._counted = float("-inf")
        self._total = 0
        self._by_name: Counter[str] = Counter()
        self._refusals: dict[Labels, float] = {}
        self._blamed: dict[str, Labels] = {}  # the metric and the label that a refusal is counted under

    def register(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The ids of series that were not known. Those that are missing are asked for again: the database takes
        nothing, or there are too many.

        Raises ``ValueError`` (a label that is no UTF-8) without registering any.
        """
        if time.monotonic() < self._refused_until:
            return {}
        allowed = self._admit(keys)
        if not allowed:
            return {}
        try:
            with self._database.begin() as connection:
                fresh = {key: insert_series(connection, key) for key in allowed}
        except StorageError as error:
            self._counted = float("-inf")
            if isinstance(error.__cause__, ValueError):
                raise ValueError(str(error)) from error
            self._refused_until = time.monotonic() + _RETRY_SECONDS
            logger.error("series_not_registered", count=len(allowed), error=str(error))
            return {}
        self._index.add(fresh)
        return fresh

    def refusals(self) -> Mapping[Labels, float]:
        """Samples that were left out, by metric and the label that has most values."""
        return dict(self._refusals)

    def _admit(self, keys: Sequence[Key]) -> list[Key]:
        """Those for which there is room, counted at once; the others are counted as refused."""
        if len(self._index) + len(keys) <= min(self._limits):
            return list(keys)
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            self._count()
        allowed: list[Key] = []
        refused: list[Key] = []
        for key in keys:
            room = self._by_name[key[0]] < self._limits.per_metric and self._total < self._limits.total
            if room or _is_own(key):
                self._by_name[key[0]] += 1
                self._total += 1
                allowed.append(key)
            else:
                refused.append(key)
        if refused:
            self._refuse(refused)
        return allowed

    def _count(self) -> None:
        """Count the live series by their metric."""
        found = [labels for id in self._live() if (labels := self._index.labels_of(id)) is not None]
        self._by_name = Counter(dict(labels)[METRIC_NAME] for labels in found)
        self._total = len(found)
        self._counted = time.monotonic()

    def _refuse(self, keys: Sequence[Key]) -> None:
        for key in keys:
            blamed = self._blamed.get(key[0])
            if blamed is None and len(self._blamed) < _MOST_NAMED:
                blamed = self._blamed[key[0]] = self._blame(key)
                logger.error("series_refused", limits=self._limits._asdict(), **dict(blamed))
            counted = blamed or make_labels(metric=OTHER, label="")
            self._refusals[counted] = self._refusals.get(counted, 0.0) + 1
        most = max(self._refusals.values())
        worst = next(dict(labels) for labels, count in self._refusals.items() if count == most)
        detail = f"{worst['metric']}, label {worst['label']}"
        self._problems.tell("series_refused", detail=detail, seconds=_TOLD_SECONDS)

    def _blame(self, key: Key) -> Labels:
        """The metric, and its label with the most values: the one that has gone wild."""
        name, labels = key
        values: dict[str, set[str]] = {label: {value} for label, value in labels}
        for known in self._index.of_metric(name):
            for label, value in known:
                if label != METRIC_NAME:
                    values.setdefault(label, set()).add(value)
        widest = max(values, key=lambda label: len(values[label]), default="")
        return make_labels(metric=name, label=widest)


def _is_own(key: Key) -> bool:
    return key[0].startswith(_OWN) and all(label != _ELSEWHERE for label, _ in key[1])
