"""The ways of looking at a target, and a single look at all that is asked of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import structlog

from config_target import TargetSettings
from targets.probe import container, dns, http, ping, process, tcp, unit
from targets.probe.flip import State
from targets.probe.outcome import Outcome
from targets.probe.state import ProbeState
from targets.target import Target

_log = structlog.get_logger(__name__)

Look = Callable[[Any], Outcome]
#: How each kind of probe looks, once; it takes the probe's settings. Signs of life come by themselves.
LOOKS: Mapping[str, Look] = {
    "http": http.look,
    "tcp": tcp.look,
    "dns": dns.look,
    "ping": ping.look,
    "process": process.look,
    "systemd": unit.look,
    "docker": container.look,
}
_MAX_REASON = 1000


class Looks:
    """Looks, and makes of a fault of ours a look that told nothing."""

    def __init__(self, looks: Mapping[str, Look] = LOOKS) -> None:
        self._looks = looks
        self._broken: set[tuple[str, str]] = set()

    def ask(self, target: str, probe: str, settings: object) -> Outcome:
        """Look once."""
        key = (target, probe)
        try:
            outcome = self._looks[probe](settings)
        except Exception as error:  # noqa: BLE001 - the edge of a probe: a fault of ours says nothing of the target
            if key not in self._broken:
                _log.error("probe_broken", target=target, probe=probe, exc_info=error)
            self._broken.add(key)
            return Outcome(None, f"the probe itself failed ({type(error).__name__}); the log has more")
        self._broken.discard(key)
        return replace(outcome, reason=outcome.reason[:_MAX_REASON])

    def check(self, settings: TargetSettings, now_ms: int) -> list[ProbeState]:
        """Look at all that is asked of a target, at the same time: one state for each probe but signs of life."""
        target = Target(settings)
        kinds = [probe for probe in target.probes if probe in self._looks]
        if not kinds:
            return []
        with ThreadPoolExecutor(len(kinds), "check") as pool:
            asked = [pool.submit(self.ask, target.name, probe, getattr(settings, probe)) for probe in kinds]
            outcomes = [one.result() for one in asked]
        return [_state(target.name, probe, outcome, now_ms) for probe, outcome in zip(kinds, outcomes, strict=True)]


def _state(target: str, probe: str, outcome: Outcome, now_ms: int) -> ProbeState:
    states: dict[bool | None, State] = {None: "unknown", True: "up", False: "down"}
    return ProbeState(
        target,
        probe,
        states[outcome.success],
        now_ms,
        now_ms,
        0,
        outcome.reason,
        outcome.duration_seconds,
        outcome.detail,
        int(outcome.success is False),
    )
