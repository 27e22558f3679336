"""What failing inputs have in common beside what good ones have: format, size, source, whatever is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.fisher import benjamini_hochberg, fisher_exact

Facts = Mapping[str, Any]

#: Numbers with more distinct values than this are looked at in ranges, of which there are so many.
_DISTINCT, _RANGES = 8, 5
#: Facts, and values of one of them, that are looked at; the rarest are left out. Characters of a value.
_MOST_FACTS, _MOST_VALUES, _LONGEST = 40, 30, 80
#: Fewer failing inputs than this say nothing of what they share.
LEAST = 5


@dataclass(frozen=True, slots=True)
class Trait:
    """A fact that failing inputs have more often than good ones; shares are ratios, ``lift`` is null where none of the
    good ones has it. ``significant``: it is unlikely to be chance, of all traits looked at.
    """

    name: str
    value: str
    failing_share: float
    good_share: float
    lift: float | None
    significant: bool
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many of both were looked at, and the traits, the most telling first."""

    failing: int
    good: int
    traits: list[Trait]


def compare(failing: Sequence[Facts], good: Sequence[Facts], limit: int = 20) -> Comparison:
    """The traits of inputs that failed. Only what is more frequent among them than among the good ones is told."""
    if len(failing) < LEAST or not good:
        return Comparison(len(failing), len(good), [])
    names = Counter(name for facts in (*failing, *good) for name in facts)
    tests: list[tuple[float, str, str, float, float]] = []
    for name, _ in names.most_common(_MOST_FACTS):
        bad_counts, good_counts = _counted(name, failing, good)
        for value in sorted({*bad_counts, *good_counts}):
            hits, other = bad_counts[value], good_counts[value]
            p = fisher_exact(hits, len(failing), other, len(good))
            tests.append((p, name, value, hits / len(failing), other / len(good)))
    significant = benjamini_hochberg([one[0] for one in tests])
    traits = [
        Trait(name, value, share, other, share / other if other else None, means, p)
        for (p, name, value, share, other), means in zip(tests, significant, strict=True)
        if share > other
    ]
    traits.sort(key=lambda one: (not one.significant, one.p, one.good_share - one.failing_share))
    return Comparison(len(failing), len(good), traits[:limit])


def flat(facts: Facts, prefix: str = "") -> dict[str, Any]:
    """A plug-in's facts as plain values: what lies inside others by its path, lists as one text (``3×224×224``)."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        key = f"{prefix}{name}"[:_LONGEST]
        if isinstance(value, Mapping):
            if not prefix:
                found |= flat(value, f"{key}.")
        elif isinstance(value, (list, tuple)):
            found[key] = "×".join(str(one) for one in value[:8])[:_LONGEST] or "(empty)"
        elif isinstance(value, float) and not np.isfinite(value):
            found[key] = str(value)
        else:
            found[key] = value
    return found


def _counted(name: str, failing: Sequence[Facts], good: Sequence[Facts]) -> tuple[Counter[str], Counter[str]]:
    """How often each value of one fact is there, on both sides; numbers in ranges where they are many."""
    numbers: list[float] = [facts[name] for facts in (*failing, *good) if _is_number(facts.get(name))]
    edges = _edges(numbers) if len(set(numbers)) > _DISTINCT else None
    sides = (_count(name, failing, edges), _count(name, good, edges))
    if edges is None:
        kept = {value for value, _ in (sides[0] + sides[1]).most_common(_MOST_VALUES)}
        return tuple(Counter({value: one[value] for value in kept}) for one in sides)  # type: ignore[return-value]
    return sides


def _count(name: str, inputs: Iterable[Facts], edges: list[float] | None) -> Counter[str]:
    return Counter(_word(facts[name], edges) if name in facts else "(none)" for facts in inputs)


def _word(value: Any, edges: list[float] | None) -> str:
    """A value as it is told: a range for a number of many."""
    if edges is None or not _is_number(value):
        return str(value)[:_LONGEST]
    place = int(np.searchsorted(edges, value, side="left"))
    if place == 0:
        return f"≤ {edges[0]:g}"
    return f"> {edges[-1]:g}" if place == len(edges) else f"> {edges[place - 1]:g}, ≤ {edges[place]:g}"


def _edges(numbers: Sequence[float]) -> list[float]:
    """Bounds of ranges that hold about as many numbers each, rounded to three digits."""
    cuts = np.quantile(np.asarray(numbers, dtype=float), np.linspace(0, 1, _RANGES + 1)[1:-1])
    return sorted({float(f"{cut:.3g}") for cut in cuts})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
