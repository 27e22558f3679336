"""When a probe's results make a target up or down: after so many in a row that say so. Pure.

The machine knows no clock: whoever has a result says when. A stretch begins with the first of the results that made it
so, not with the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a probe stands. ``streak`` results in a row speak against ``state``, the first of them at ``against_ms``.

    ``failures`` and ``blind`` count the failures, and the looks that told nothing, in a row up to now. ``reason`` is
    why the last look was no success.
    """

    state: State
    since_ms: int
    streak: int = 0
    against_ms: int = 0
    failures: int = 0
    blind: int = 0
    reason: str = ""


def step(standing: Standing, success: bool | None, reason: str, now_ms: int, *, fails: int, successes: int) -> Standing:
    """Where it stands after one more result.

    Of one that is ``unknown`` nothing is known to be wrong: a single success makes it up. Looks that tell nothing
    (None) neither count for nor against; after ``fails`` of them in a row it is unknown.
    """
    if success is None:
        return _blind(standing, reason, now_ms, fails)
    failures = 0 if success else standing.failures + 1
    told = replace(standing, failures=failures, blind=0, reason="" if success else reason)
    if success == (standing.state == "up") and standing.state != "unknown":
        return replace(told, streak=0, against_ms=0)
    if standing.state == "unknown" and success:
        return replace(told, state="up", since_ms=now_ms, streak=0, against_ms=0)
    began_ms = standing.against_ms if standing.streak else now_ms
    if standing.streak + 1 >= (successes if success else fails):
        return replace(told, state="up" if success else "down", since_ms=began_ms, streak=0, against_ms=0)
    return replace(told, streak=standing.streak + 1, against_ms=began_ms)


def _blind(standing: Standing, reason: str, now_ms: int, fails: int) -> Standing:
    blind = standing.blind + 1
    if standing.state == "unknown":
        return replace(standing, blind=blind, reason=reason)
    if blind >= fails:
        return Standing("unknown", now_ms, blind=blind, reason=reason)
    return replace(standing, blind=blind)
