"""Stretches of time as sets: their union, what of one lies outside another, how long they are. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Stretch(NamedTuple):
    """From ``start_ms`` up to and without ``end_ms``."""

    start_ms: int
    end_ms: int


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches that cover the same time, do not touch, and are in order; empty ones vanish."""
    found: list[Stretch] = []
    for one in sorted(stretches):
        if one.end_ms <= one.start_ms:
            continue
        if found and one.start_ms <= found[-1].end_ms:
            found[-1] = Stretch(found[-1].start_ms, max(found[-1].end_ms, one.end_ms))
        else:
            found.append(one)
    return found


def without(stretches: Sequence[Stretch], taken: Sequence[Stretch]) -> list[Stretch]:
    """What of ``stretches`` lies outside ``taken``; both as :func:`union` gives them."""
    found, place = [], 0
    for start_ms, end_ms in stretches:
        while place < len(taken) and taken[place].end_ms <= start_ms:
            place += 1
        at = place
        while at < len(taken) and taken[at].start_ms < end_ms:
            if start_ms < taken[at].start_ms:
                found.append(Stretch(start_ms, taken[at].start_ms))
            start_ms = taken[at].end_ms
            at += 1
        if start_ms < end_ms:
            found.append(Stretch(start_ms, end_ms))
    return found


def covered_ms(stretches: Sequence[Stretch], start_ms: int, end_ms: int) -> int:
    """How much of a window they cover; as :func:`union` gives them."""
    first = max(0, bisect_left(stretches, (start_ms,)) - 1)
    total = 0
    for one in stretches[first:]:
        if one.start_ms >= end_ms:
            break
        total += max(0, min(one.end_ms, end_ms) - max(one.start_ms, start_ms))
    return total
