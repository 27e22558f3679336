"""How a target is told: what it is, how its probes, scrapes and logs stand, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dashboard.identity import current
from dashboard.push import push_url
from dashboard.target_uptime import Uptimes
from targets.probe.state import ProbeState
from targets.remedy.deed import plain_url, told
from targets.remedy.route import standby_url
from targets.target import Target
from targets.watcher import Watcher

#: What a probe of nothing more than its state is told with.
_PROBE = ("probe", "state", "since_ms", "seen_ms", "reason", "duration_seconds", "detail")
_RANK = {"down": 0, "up": 1, "unknown": 2}


class Teller:
    """Tells of the targets of one moment: states are asked for once, however many targets there are."""

    def __init__(self, watcher: Watcher, uptimes: Uptimes) -> None:
        self._watcher = watcher
        self._uptimes = uptimes
        self._probes = _by_target(watcher.prober.states())
        self._scrapes = _by_target(watcher.scraper.states())
        self._logs = _by_target(watcher.logs.states())
        self._admin = current().may("admin")

    def tell(self, target: Target) -> dict[str, Any]:
        """One target, as ``/api/targets`` has it."""
        name, settings, ladder = target.name, target.settings, self._watcher.ladder
        paused = self._watcher.roster.is_paused(name)
        probes: Sequence[ProbeState] = self._probes.get(name, [])
        scrapes = [asdict(one) | {"url": plain_url(one.url)} for one in self._scrapes.get(name, [])]
        standby = standby_url(settings)
        return {
            "name": name,
            "note": settings.note,
            "origin": target.origin,
            "disabled": paused,
            **_state(probes, scrapes, paused=paused),
            "probes": [_probe(one) | self._uptimes.of(name, one.probe) for one in probes],
            "scrapes": scrapes,
            "logs": [asdict(one) for one in self._logs.get(name, [])],
            "remedies": [_rung(index, rung) for index, rung in enumerate(settings.remedies)],
            "exhausted": ladder.is_exhausted(name),
            "standby": None if standby is None else {"active": ladder.is_switched(name), "url": standby},
            "push_url": push_url(name) if settings.push is not None and self._admin else None,
        }


def unreadable(name: str, problem: str, *, paused: bool) -> dict[str, Any]:
    """A target of the page whose definition cannot be read."""
    return {
        "name": name, "note": None, "origin": "page", "disabled": paused, "state": "unknown", "since_ms": None,
        "reason": problem, "probes": [], "scrapes": [], "logs": [], "remedies": [], "exhausted": False,
        "standby": None, "push_url": None,
    }  # fmt: skip


def checked(one: ProbeState) -> dict[str, Any]:
    """What one look came to."""
    return {
        "probe": one.probe,
        "success": None if one.state == "unknown" else one.state == "up",
        "reason": one.reason,
        "duration_seconds": one.duration_seconds,
        "detail": dict(one.detail),
    }


def _probe(one: ProbeState) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _PROBE} | {
        "detail": dict(one.detail),
        "seen_ms": one.seen_ms or None,
        "failures": one.failures,
    }


def _rung(index: int, rung: Any) -> dict[str, Any]:
    return {
        "rung": index,
        "kind": rung.kind,
        "what": told(rung),
        "after_fails": rung.after_fails,
        "pattern": rung.pattern,
        "limit_per_hour": rung.limit_per_hour,
        "dry_run": rung.dry_run,
    }


def _state(probes: Sequence[ProbeState], scrapes: Sequence[Mapping[str, Any]], *, paused: bool) -> dict[str, Any]:
    """The state of the target as a whole: that of its probes, or of its scrapes where it has none."""
    if paused:
        return {"state": "paused", "since_ms": None, "reason": ""}
    if probes:
        worst = min(probes, key=lambda one: (_RANK[one.state], one.since_ms))
        return {"state": worst.state, "since_ms": worst.since_ms, "reason": worst.reason}
    ups = [one["up"] for one in scrapes]
    if False in ups:
        return {
            "state": "down",
            "since_ms": None,
            "reason": next(one["error"] for one in scrapes if one["up"] is False),
        }
    return {"state": "up" if ups and None not in ups else "unknown", "since_ms": None, "reason": ""}


def _by_target(states: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in states:
        found.setdefault(one.target, []).append(one)
    return found
