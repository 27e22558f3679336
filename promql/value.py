"""The values a query gives: what callers get (``Vector``, ``Matrix`` …) and what the evaluator works with (``Block``).

What callers get comes with ``warnings`` and ``infos``: sentences about the answer, see ``annotation``.
``selected`` is in how many series the query's selectors found samples, all together; None where it has no selector.
Presence is kept beside the values, never inside them: a NaN is a value, and absence is not NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Labels, Series, Times, Values
from promql.error import QueryError

Present: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector: one value per series. ``values`` has shape (series,)."""

    labels: list[Labels]
    values: Values
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    selected: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number."""

    value: float
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    selected: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class String:
    """One string."""

    value: str
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    selected: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Series over steps: ``times`` (steps,), ``values`` and ``present`` (series, steps).

    Every series is present at one step at least. Where ``present`` is false, ``values`` is NaN and means nothing.
    """

    times: Times
    labels: list[Labels]
    values: Values
    present: Present
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    selected: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RawMatrix:
    """A range vector as it is: the samples of each series inside its window."""

    series: list[Series]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    selected: int | None = field(default=None, compare=False)


Result: TypeAlias = Vector | Scalar | Matrix | String | RawMatrix


@dataclass(frozen=True, slots=True)
class Block:
    """Series over evaluation steps: ``values`` and ``present`` have shape (series, steps).

    What ``values`` holds where ``present`` is false is undefined.
    """

    labels: list[Labels]
    values: Values
    present: Present

    def take(self, rows: NDArray[np.intp] | list[int]) -> Block:
        """The given rows, in the given order."""
        return Block([self.labels[row] for row in rows], self.values[rows], self.present[rows])

    def without_absent(self) -> Block:
        """Only the series that are present at some step."""
        alive = self.present.any(axis=1)
        return self if alive.all() else self.take(np.flatnonzero(alive))


@dataclass(frozen=True, slots=True)
class Row:
    """A scalar over evaluation steps: ``values`` has shape (steps,)."""

    values: Values


@dataclass(frozen=True, slots=True)
class RangeData:
    """A range vector over evaluation steps: each step looks at the samples in ``(ref - range_ms, ref]``.

    ``refs`` (steps,) are the windows' ends. ``series`` can be iterated once: they are read as they are needed, and may
    hold samples outside all windows.
    """

    series: Iterable[Series]
    refs: Times
    range_ms: int


Value: TypeAlias = Block | Row | RangeData | str


def empty_block(steps: int) -> Block:
    """No series at all."""
    return Block([], np.empty((0, steps)), np.empty((0, steps), dtype=bool))


def merge_same_labels(block: Block, strict: bool = False) -> Block:
    """Join rows with equal labels into one; raises where two are present at the same step (``strict``: anywhere)."""
    if len(set(block.labels)) == len(block.labels):
        return block
    rows: dict[Labels, list[int]] = {}
    for row, labels in enumerate(block.labels):
        if block.present[row].any():
            rows.setdefault(labels, []).append(row)
    merged = block.take([same[0] for same in rows.values()])
    for target, same in enumerate(rows.values()):
        for row in same[1:]:
            present = block.present[row]
            if strict or (present & merged.present[target]).any():
                raise QueryError("vector cannot contain metrics with the same labelset", "execution")
            merged.values[target, present] = block.values[row, present]
            merged.present[target] |= present
    return merged
