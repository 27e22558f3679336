"""Routing in the form of Alertmanager's configuration file, without any address or secret of a receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from alerts.routing.tree import EVERY_LEVEL
from alerts.state import level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alerts.routing.tree import Route, Routing
    from alerts.silencing.matching import LabelMatcher

#: Severities that may stand for another level than a label set without one has.
_SEVERITIES = ("critical", "page", "error", "warning", "info")
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def configuration(routing: Routing) -> str:
    """The file's text: routes, receivers by name, and what inhibits what; amtool reads it, draws it and tests it.

    What Alertmanager has no words for (escalation, quiet hours) and times of day are left out; a rota is a receiver.
    """
    [root] = _routes(routing.root)
    root.pop("matchers", None)
    root.pop("continue", None)
    document: dict[str, Any] = {
        "global": {"resolve_timeout": duration(routing.resolve_timeout_ms)},
        "route": root,
        "receivers": [{"name": name} for name in (*routing.receivers, *routing.rotas)],
    }
    if routing.inhibit_rules:
        document["inhibit_rules"] = [
            {
                "source_matchers": _texts(rule.source),
                "target_matchers": _texts(rule.target),
                "equal": list(rule.equal),
            }
            for rule in routing.inhibit_rules
        ]
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def duration(milliseconds: int) -> str:
    """A length of time as Prometheus writes it: ``1h30m``."""
    parts, rest = [], milliseconds
    for unit, size in _UNITS_MS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _routes(route: Route) -> list[dict[str, Any]]:
    """A route; where it asks for levels it takes two of Alertmanager's, of which one matches at most."""
    rest: dict[str, Any] = {}
    if route.group_by_all or route.group_by:
        rest["group_by"] = ["..."] if route.group_by_all else list(route.group_by)
    rest |= {
        name: duration(getattr(route, f"{name}_ms")) for name in ("group_wait", "group_interval", "repeat_interval")
    }
    if route.continues:
        rest["continue"] = True
    if route.routes:
        rest["routes"] = [found for one in route.routes for found in _routes(one)]
    own = _texts(route.matchers)
    alternatives = [[]] if route.levels == EVERY_LEVEL else _level_matchers(route.levels)
    return [
        {"receiver": route.receiver} | ({"matchers": own + more} if own or more else {}) | rest for more in alternatives
    ]


def _level_matchers(levels: Sequence[int]) -> list[list[str]]:
    """What :func:`alerts.state.level_of` does, in matchers: by the label ``level``, or without one by the severity."""
    known = {severity: level_of({"severity": severity}) for severity in _SEVERITIES}
    unnamed = level_of({})
    if unnamed in levels:
        others = [severity for severity, level in known.items() if level not in levels]
        by_severity = f'severity!~"{"|".join(others)}"' if others else ""
    else:
        by_severity = f'severity=~"{"|".join(severity for severity, level in known.items() if level in levels)}"'
    by_level = "|".join(str(level) for level in levels)
    return [[f'level=~"{by_level}"'], ['level!~"1|2|3"', *filter(None, [by_severity])]]


def _texts(matchers: tuple[LabelMatcher, ...]) -> list[str]:
    return [str(matcher) for matcher in matchers]
