"""What happens in the comparison with Alertmanager: a routing file and a schedule, the same for both sides.

Simulated minutes are ``minute_ms`` long. Alerts change, and silences begin and end, on whole minutes; groups wait for
half a minute, so that what is told falls between two changes and does not hang on milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.state import Alert, fingerprint, level_of

RECEIVERS = ("default", "critical", "boss", "each", "off", "on", "wide")
_SERVICES = ("web", "api", "db", "queue", "gpu")
_NAMES = ("Down", "Slow", "Errors", "Full", "Hot", "Restarted")
_INHIBIT_RULES = """
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: ['alertname=~"Slow|Errors"']
    equal: [service]
  - source_match: {severity: critical}
    target_match_re: {severity: "warning|info"}
    equal: [alertname, service]
"""
_SEVERITIES = ("critical", "warning", "warning", "info")


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence over one label's value, in minutes."""

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Plan:
    """``changes`` are, by minute, what each alert does then: True begins to fire, False resolves."""

    minutes: int
    labels: tuple[Mapping[str, str], ...]
    changes: Mapping[int, Mapping[int, bool]]
    silences: tuple[Silenced, ...]
    inhibits: bool = True


def make_plan(minutes: int, alerts: int = 200, seed: int = 5, *, muting: bool = True) -> Plan:
    """A schedule of so many simulated minutes, drawn from ``seed``; its last 15 are calm.

    ``muting`` false: without silences and inhibition.
    """
    chance = random.Random(seed)
    labels: list[Mapping[str, str]] = []
    changes: dict[int, dict[int, bool]] = {}
    for index in range(alerts):
        severity = chance.choice(_SEVERITIES)
        labels.append(
            {
                "alertname": chance.choice(_NAMES),
                "service": chance.choice(_SERVICES),
                "severity": severity,
                "instance": f"host-{index}",
                "window": chance.choice(("never", "always", "none", "none")),
            }
        )
        minute, fires = chance.randint(1, max(2, minutes * 3 // 5)), True
        while minute < minutes - 15:
            changes.setdefault(minute, {})[index] = fires
            minute += round(chance.expovariate(1 / (25 if fires else 50))) + 1
            fires = not fires
        if not fires:
            changes.setdefault(minutes - 15, {})[index] = False
    silences = []
    for _ in range(max(2, minutes // 40)):
        start = chance.randint(2, minutes - 20)
        name = chance.choice(("service", "alertname"))
        value = chance.choice(_SERVICES if name == "service" else _NAMES)
        silences.append(Silenced(name, value, start, min(minutes - 16, start + chance.randint(5, 40))))
    return Plan(minutes, tuple(labels), changes, tuple(silences) if muting else (), inhibits=muting)


def routing_text(minute_ms: int, port: int, *, inhibits: bool = True) -> str:
    """The routing file for both, with hooks at a local port and durations in simulated minutes."""

    def minutes(count: float) -> str:
        return f"{round(count * minute_ms)}ms"

    hooks = "\n".join(
        f"  - name: {name}\n    webhook_configs:\n      - url: http://127.0.0.1:{port}/{name}\n"
        f"        send_resolved: {'false' if name == 'boss' else 'true'}"
        for name in RECEIVERS
    )
    return f"""
global: {{resolve_timeout: 1d}}
route:
  receiver: default
  group_by: [service]
  group_wait: {minutes(0.5)}
  group_interval: {minutes(5)}
  repeat_interval: {minutes(62.5)}
  routes:
    - matchers: [severity="critical"]
      receiver: boss
      group_by: [alertname, service]
      group_wait: {minutes(0.5)}
      repeat_interval: {minutes(32.5)}
      continue: true
    - match: {{severity: critical}}
      receiver: critical
      group_interval: {minutes(3)}
    - match_re: {{alertname: "Restarted|Hot"}}
      receiver: each
      group_by: ["..."]
      group_wait: {minutes(1.5)}
      group_interval: {minutes(10)}
    - match: {{window: always}}
      routes:
        - match: {{severity: warning}}
          receiver: off
          mute_time_intervals: [always]
        - receiver: on
          active_time_intervals: [always]
          group_by: [alertname]
    - match: {{window: never}}
      receiver: wide
      group_by: []
      mute_time_intervals: [never]
      group_interval: {minutes(15)}
time_intervals:
  - {{name: always, time_intervals: [{{years: ["2000:2100"]}}]}}
  - {{name: never, time_intervals: [{{years: ["2000"]}}]}}
{_INHIBIT_RULES if inhibits else ""}
receivers:
{hooks}
"""


def alert_of(labels: Mapping[str, str], number: int, now_ms: int) -> Alert:
    """An alert that fires from now on."""
    return Alert(
        id=number,
        fingerprint=fingerprint(tuple(sorted(labels.items()))),
        rule=labels["alertname"],
        group="",
        state="firing",
        severity=labels["severity"],
        level=level_of(labels),
        labels=labels,
        annotations={},
        value=None,
        active_ms=now_ms,
        firing_ms=now_ms,
        resolved_ms=None,
        seen_ms=now_ms,
        source="api",
    )
