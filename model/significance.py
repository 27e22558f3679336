"""Whether a difference between two versions means anything, or is what chance makes of equal ones.

People look at a comparison again and again while it fills. A test that is right once in twenty looks is wrong sooner or
later for whoever goes on looking, so what is asked here is more: :func:`bar` bounds the risk over all looks together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

#: The risk of seeing a difference where there is none, over all looks together.
RISK = 0.05
#: The bar is lowest, against one for a single look, once so much has been seen (an effective number of requests).
_TUNED_FOR = 500.0
#: What a normal distribution can still tell from certainty.
_LEAST_P = 1e-300
_NORMAL = NormalDist()


def bar(count: int, other: int, risk: float = RISK) -> float:
    """How many standard errors a difference must have to mean something, however often one looks.

    ``count`` and ``other`` are the requests of both sides. This is the boundary of Robbins' normal mixture; ``risk`` is
    for both directions.
    """
    seen = count * other / (count + other) if count and other else 0.0
    if seen == 0:
        return math.inf
    wide = -2 * math.log(risk)
    spread = seen * (wide + math.log(wide + 1) + 1) / _TUNED_FOR
    return math.sqrt((1 + 1 / spread) * (math.log(1 + spread) + wide))


def share_errors(hits: int, count: int, other_hits: int, other_count: int) -> float:
    """How many standard errors two shares differ by, above 0 if the first is larger; from Fisher's exact test.

    Exact, since failures are rare and a canary's requests few: there a normal approximation is off by far.
    """
    if not count or not other_count:
        return 0.0
    larger = hits * other_count >= other_hits * count
    if not larger:
        hits, count, other_hits, other_count = other_hits, other_count, hits, count
    errors = _errors_of(_tail(hits, count, other_hits, other_count))
    return errors if larger else -errors


def rank_errors(slots: Mapping[int, int], other: Mapping[int, int]) -> tuple[float, float]:
    """Whether the first of two ordered counts lies higher (Mann-Whitney, with ties).

    Returns how many standard errors, above 0 if it does, and how likely one of the first exceeds one of the second.
    """
    count, other_count = sum(slots.values()), sum(other.values())
    total = count + other_count
    if not count or not other_count:
        return 0.0, 0.5
    below, wins, ties = 0, 0.0, 0
    for slot in sorted({*slots, *other}):
        mine, theirs = slots.get(slot, 0), other.get(slot, 0)
        wins += mine * (below + theirs / 2)
        below += theirs
        ties += (mine + theirs) ** 3 - (mine + theirs)
    pairs = count * other_count
    variance = pairs / 12 * (total + 1 - ties / (total * (total - 1)))
    return (wins - pairs / 2) / math.sqrt(variance) if variance > 0 else 0.0, wins / pairs


def least_share(hits: int, count: int, other_count: int) -> float:
    """How far two shares must be apart to reach the bar more often than not, where both sides have ``hits``."""
    if not count or not other_count:
        return 1.0
    share = (hits + 1) / (count + other_count + 2)
    return min(1.0, bar(count, other_count) * math.sqrt(share * (1 - share) * (1 / count + 1 / other_count)))


def _tail(hits: int, count: int, other_hits: int, other_count: int) -> float:
    """How likely so many of all hits or more fall to the first side by chance."""
    total, all_hits = count + other_count, hits + other_hits
    base = _log_choose(total, all_hits)
    found = 0.0
    for number in range(hits, min(all_hits, count) + 1):
        term = math.exp(_log_choose(count, number) + _log_choose(other_count, all_hits - number) - base)
        found += term
        if term < found * 1e-12:  # from the mean on they only fall
            break
    return min(1.0, found)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _errors_of(tail: float) -> float:
    return max(0.0, -_NORMAL.inv_cdf(min(max(tail, _LEAST_P), 0.5)))
