"""Answers in buckets: from those of the file where a day has them, made of samples on the way everywhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from collectors.sample import Buckets, Hints, Labels, Times, Values, stale_mask
from storage.block import Block
from storage.bucket import COUNT, DAY_MS, HIGH, LOW, SUM, Grid, day_of, fill, grid, whole_from
from storage.codec import Index
from storage.head import head_parts
from storage.history import History
from storage.index import SeriesIndex
from storage.piece import Assembler, Part
from storage.timeline import View

#: Numbers of buckets that lie in memory at once: 2 MB. One series may have more.
_PORTION = 250_000
_ROWS = 4
#: Arrays of moments of which the buckets are remembered within a query.
_MOST_KEPT = 64


def usable(view: View, hints: Hints) -> list[Block]:
    """The blocks of buckets that answer for their days, for windows that hold whole buckets.

    A day of which not all is in the file yet is left out, unless its samples have expired: buckets may be about to
    change.
    """
    unsealed_ms = view.unsealed_ms()
    blocks = view.catalogue.buckets(hints)
    return [
        block for block in blocks if unsealed_ms is None or block.day < day_of(unsealed_ms) or _lasting(block, view)
    ]


def _lasting(block: Block, view: View) -> bool:
    """Whether buckets cannot be made anew, since samples have expired."""
    return block.segment is not None or block.day < whole_from(view.horizon_ms)


class Coarse:
    """One query's reading. ``tier``, one block at least, are the :func:`usable` blocks for its ``hints``."""

    def __init__(self, history: History, index: SeriesIndex, view: View, hints: Hints, tier: Sequence[Block]) -> None:
        self._history = history
        self._index = index
        self._view = view
        self._tier = tier
        self._covered = frozenset(block.day for block in tier)
        self._samples = view.catalogue.touched(hints)
        self._start_ms = max(hints.start_ms - hints.range_ms + 1, view.horizon_ms)
        self._end_ms = hints.end_ms
        self._resolution_ms = max(block.resolution_ms for block in tier)  # those of days without follow the coarsest

    def read(self, ids: Sequence[int]) -> Iterator[Buckets]:
        """The series one after another; those without buckets are left out."""
        for covered, alike in self._alike(ids).items():
            joiner = self._joiner(covered)
            size = max(1, _PORTION // max(1, _ROWS * sum(block.count for block in self._tier)))
            for first in range(0, len(alike), size):
                yield from self._read(alike[first : first + size], covered, joiner)

    def _alike(self, ids: Sequence[int]) -> Mapping[frozenset[int], list[int]]:
        """The series by the days that buckets answer for.

        Those are the same for all, but where samples have expired and others came later, by an import: a series that
        the buckets of such a day know nothing of has these samples only.
        """
        lasting: dict[int, set[int]] = {}
        for block in self._tier:
            if (block.day + 1) * DAY_MS >= self._start_ms and _lasting(block, self._view):
                lasting.setdefault(block.day, set()).update(block.series)
        found: dict[frozenset[int], list[int]] = {}
        for id in ids:
            without = [day for day, series in lasting.items() if id not in series]
            found.setdefault(self._covered.difference(without) if without else self._covered, []).append(id)
        return found

    def _joiner(self, covered: frozenset[int]) -> _Joiner:
        return _Joiner(Assembler(self._start_ms, self._end_ms), self._resolution_ms, covered)

    def _read(self, ids: Sequence[int], covered: frozenset[int], joiner: _Joiner) -> Iterator[Buckets]:
        expected = Counter(block.series for block in self._tier)
        parts = dict(_flat(self._history.read(ids, self._tier)))
        torn = [id for id in ids if len(parts[id]) != sum(count for series, count in expected.items() if id in series)]
        yield from self._joined([id for id in ids if id not in torn] if torn else ids, parts, covered, joiner)
        for id in torn:  # buckets that cannot be read are made of samples, where those are still there
            there = {_block_of(part) for part in parts[id]}
            left = covered - {block.day for block in self._tier if id in block.series and block.id not in there}
            yield from self._joined([id], parts, left, self._joiner(left))

    def _joined(
        self, ids: Sequence[int], parts: Mapping[int, Sequence[Part]], covered: frozenset[int], joiner: _Joiner
    ) -> Iterator[Buckets]:
        for id, samples in self._sampled(ids, covered):
            labels = self._index.labels_of(id)
            if labels is not None and (joint := joiner.join(labels, parts[id], samples)) is not None:
                yield joint

    def _sampled(self, ids: Sequence[int], covered: frozenset[int]) -> Iterator[tuple[int, list[Part]]]:
        """What is to be made into buckets, for each series in turn."""
        blocks = []
        head: dict[int, list[Part]] = {}
        if self._start_ms <= self._end_ms:
            blocks = [block for block in self._samples if not _within(block, covered)]
            head = head_parts(self._view.sections, set(ids), self._start_ms, self._end_ms)
        files = _flat(self._history.read(ids, blocks)) if blocks else ((id, list[Part]()) for id in ids)
        for id, parts in files:
            yield id, [*parts, *head.get(id, ())]


class _Kept(NamedTuple):
    """Buckets to be made of samples at the same moments. ``places``: which of them count; None for all."""

    times: Times
    grid: Grid
    places: Index | None
    ends: Times


class _Joint(NamedTuple):
    """The ends of some parts together, and how to bring them in order; ``of`` keeps alive what the key names."""

    ends: Times
    order: Index | None
    of: object


class _Joiner:
    """Puts one series after another together; series with the same moments share an array of ends."""

    def __init__(self, assembler: Assembler, resolution_ms: int, covered: frozenset[int]) -> None:
        self._assembler = assembler
        self._resolution_ms = resolution_ms
        self._covered = np.array(sorted(covered), dtype=np.int64)
        self._kept: dict[int, _Kept] = {}
        self._joints: dict[tuple[object, ...], _Joint] = {}

    def join(self, labels: Labels, buckets: Sequence[Part], samples: Sequence[Part]) -> Buckets | None:
        """The buckets of a series, those of the days that are not covered made of its samples; None without any."""
        parts, read = list(buckets), _ROWS * sum(len(part.times) for part in buckets)
        if samples:
            times, values = self._assembler.join(samples)
            read += len(times)
            made = self._made(times, values)
            if made is not None:
                parts.append(made)
        if not parts:
            return None
        joint = self._joint(parts)
        rows = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts], axis=1)
        if joint.order is not None:
            rows = rows[:, joint.order]
        return Buckets(labels, joint.ends, rows[COUNT], rows[SUM], rows[LOW], rows[HIGH], read)

    def _made(self, times: Times, values: Values) -> Part | None:
        stale = stale_mask(values)
        if stale.any():
            times, values = times[~stale], values[~stale]
        if not len(times):
            return None
        kept = self._kept.get(id(times))
        if kept is None:
            found = grid(times, self._resolution_ms)
            places = np.flatnonzero(~np.isin((found.ends - 1) // DAY_MS, self._covered))
            every = len(places) == len(found.ends)
            kept = _Kept(times, found, None if every else places, found.ends if every else found.ends[places])
            if not stale.any():
                _remember(self._kept, id(times), kept)
        if not len(kept.ends):
            return None
        rows = fill(kept.grid, values)
        return Part(("made", id(kept.ends)), kept.ends, rows if kept.places is None else rows[:, kept.places])

    def _joint(self, parts: Sequence[Part]) -> _Joint:
        key = tuple(part.moments for part in parts)
        known = self._joints.get(key)
        if known is None:
            ends = parts[0].times if len(parts) == 1 else np.concatenate([part.times for part in parts])
            order = None
            if not (ends[1:] > ends[:-1]).all():  # days without buckets lie between others
                order = np.argsort(ends, kind="stable")
                ends = ends[order]
            known = _Joint(ends, order, parts[-1].times)
            _remember(self._joints, key, known)
        return known


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    if len(known) >= _MOST_KEPT:
        known.clear()
    known[key] = value


def _flat(groups: Iterable[Mapping[int, list[Part]]]) -> Iterator[tuple[int, list[Part]]]:
    for group in groups:
        yield from group.items()


def _block_of(part: Part) -> object:
    """The id of the block that a part was read from."""
    return part.moments[0] if isinstance(part.moments, tuple) else part.moments


def _within(block: Block, covered: frozenset[int]) -> bool:
    """Whether all samples of a block are of these days."""
    first, last = day_of(block.start_ms), day_of(block.end_ms)
    return last - first < len(covered) and covered.issuperset(range(first, last + 1))
