"""``histogram_quantile`` on classic buckets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Labels, Values
from promql.annotation import Annotations
from promql.error import Span
from promql.label import drop, drop_names, get
from promql.value import Block, empty_block, merge_same_labels

_BOUND = frozenset({"le"})
#: Counts that differ by less than this share are taken as equal: rates of a bucket that stands still are not quite so.
_TOLERANCE = 1e-12


def histogram_quantile(q: Values, buckets: Block, notes: Annotations, span: Span) -> Block:
    """The ``q``-quantile of every histogram among ``buckets`` (series with a label ``le``); ``q`` is (steps,).

    What is wrong with the buckets goes to ``notes``, as said of the place ``span``.
    """
    histograms: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(buckets.labels):
        bound = _bound(get(labels, "le"))
        if bound is not None:
            histograms.setdefault(drop(labels, _BOUND), []).append((bound, row))
        elif buckets.present[row].any():
            notes.bad_bucket(labels, span)
    if not histograms:
        return empty_block(buckets.values.shape[1])
    shape = (len(histograms), buckets.values.shape[1])
    values, present = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    forced = False
    for number, members in enumerate(histograms.values()):
        members.sort()
        bounds = np.array([bound for bound, _ in members])
        rows = [row for _, row in members]
        exists = buckets.present[rows]
        present[number] = exists.any(axis=0)
        if exists.all():
            values[number], falls = _quantiles(q, bounds, buckets.values[rows])
            forced |= falls
            continue
        # Buckets that come and go: steps that see the same ones are computed together.
        for pattern in np.unique(exists[:, present[number]], axis=1).T:
            steps = np.flatnonzero((exists == pattern[:, None]).all(axis=0))
            counts = buckets.values[np.ix_(np.array(rows)[pattern], steps)]
            values[number, steps], falls = _quantiles(q[steps], bounds[pattern], counts)
            forced |= falls
    if forced:
        notes.forced_monotonicity(span)
    return merge_same_labels(Block(drop_names(list(histograms)), values, present))


def _bound(text: str) -> float | None:
    """The upper bound that a label ``le`` names, or None where it names no number."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if "_" in text or math.isnan(bound) else bound


def _quantiles(q: Values, bounds: Values, counts: Values) -> tuple[Values, bool]:
    """The quantile per step; ``bounds`` (buckets,) ascend, ``counts`` (buckets, steps) accumulate, ``q`` (steps,).

    The second value tells whether counts had to be repaired that did not accumulate.
    """
    steps = counts.shape[1]
    if len(bounds) == 0 or bounds[-1] != math.inf:
        return _edge_cases(q, np.full(steps, np.nan)), False
    distinct = np.flatnonzero(np.concatenate(([True], bounds[1:] != bounds[:-1])))
    bounds, counts = bounds[distinct], np.add.reduceat(counts, distinct, axis=0)
    if len(bounds) < 2:
        return _edge_cases(q, np.full(steps, np.nan)), False
    counts, forced = _monotonic(counts)
    total = counts[-1]
    rank = q * total
    columns = np.arange(steps)
    bucket = _reached(counts, rank, columns)
    inner = np.minimum(bucket, len(bounds) - 2)
    below = np.maximum(inner - 1, 0)
    is_first = inner == 0
    start = np.where(is_first, 0.0, bounds[below])
    already = np.where(is_first, 0.0, counts[below, columns])
    width = bounds[inner] - start
    result = start + width * ((rank - already) / (counts[inner, columns] - already))
    result = np.where(is_first & (bounds[0] <= 0), bounds[0], result)
    result = np.where(bucket == len(bounds) - 1, bounds[-2], result)
    return _edge_cases(q, np.where(total == 0, np.nan, result)), forced


def _reached(counts: Values, rank: Values, columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """The first bucket that reaches the rank, per step; the last one, without an upper bound, takes what is left.

    What is no number neither reaches a rank nor is reached as one; which bucket is found behind it is then a matter of
    how one looks, and it is looked for in halves, as everywhere.
    """
    inner = counts[:-1]
    if not np.isnan(inner).any():
        return np.where(np.isnan(rank), len(inner), (inner < rank).sum(axis=0))
    low, high = np.zeros(len(columns), dtype=np.intp), np.full(len(columns), len(inner))
    while (low < high).any():
        middle = np.minimum((low + high) // 2, len(inner) - 1)
        reaches = inner[middle, columns] >= rank
        high = np.where((low < high) & reaches, middle, high)
        low = np.where((low < high) & ~reaches, middle + 1, low)
    return low


def _edge_cases(q: Values, result: Values) -> Values:
    return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result)))


def _monotonic(counts: Values) -> tuple[Values, bool]:
    """Repair counts that fall from one bucket to the next, as buckets read at different moments may.

    The second value tells whether any fell by more than a rate's rounding.
    """
    repaired = counts.copy()
    forced = False
    for row in range(1, len(counts)):
        before, now = repaired[row - 1], counts[row]
        close = np.abs(now - before) < _TOLERANCE * (np.abs(now) + np.abs(before))
        falls = (now < before) & ~close
        forced = forced or bool(falls.any())
        repaired[row] = np.where(close | falls, before, now)
    return repaired, forced
