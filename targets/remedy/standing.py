"""How targets are, as far as their ladders are concerned: from what probes and patterns say at a tick. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from config_target import TargetSettings
from targets.probe.state import ProbeState
from targets.remedy.course import Standing
from targets.target import PROBES


def standings(
    targets: Mapping[str, TargetSettings], states: Sequence[ProbeState], patterns: Collection[tuple[str, str]]
) -> dict[str, Standing]:
    """How each of ``targets`` is. One that has probes of which nothing is told is not among them."""
    told: dict[str, list[ProbeState]] = {}
    for state in states:
        told.setdefault(state.target, []).append(state)
    raised: dict[str, set[str]] = {}
    for target, pattern in patterns:
        raised.setdefault(target, set()).add(pattern)
    return {
        name: _standing(told.get(name, []), frozenset(raised.get(name, ())))
        for name, settings in targets.items()
        if name in told or not any(getattr(settings, probe) for probe in PROBES)
    }


def _standing(states: Sequence[ProbeState], patterns: frozenset[str]) -> Standing:
    if not states:
        return Standing(patterns=patterns)
    worst = max(states, key=lambda one: one.failures)
    known = [one for one in states if one.state != "unknown"]
    # What pushes was heard of last when it pushed, which says nothing of when anybody looked.
    looks = [one for one in known if one.probe != "push"] or known
    return Standing(
        failures=worst.failures,
        probe=worst.probe if worst.failures else "",
        down=any(one.state == "down" for one in known),
        patterns=patterns,
        seen_ms=min((one.seen_ms for one in looks), default=None),
        blind=not known,
    )
