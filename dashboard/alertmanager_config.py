"""Routing in the form of Alertmanager's configuration file, without any address or secret of a receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from alerts.routing.tree import Route, Routing
    from alerts.silencing.matching import LabelMatcher

_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def configuration(routing: Routing) -> str:
    """The file's text: routes, receivers by name, and what inhibits what; amtool reads and draws it.

    What Alertmanager has no words for (levels, escalation, rotas, quiet hours) and times of day are left out.
    """
    document: dict[str, Any] = {
        "global": {"resolve_timeout": duration(routing.resolve_timeout_ms)},
        "route": _route(routing.root, top=True),
        "receivers": [{"name": name} for name in routing.receivers],
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


def _route(route: Route, *, top: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"receiver": route.receiver}
    if route.group_by_all or route.group_by:
        found["group_by"] = ["..."] if route.group_by_all else list(route.group_by)
    if route.matchers and not top:
        found["matchers"] = _texts(route.matchers)
    if route.continues and not top:
        found["continue"] = True
    for name in ("group_wait", "group_interval", "repeat_interval"):
        found[name] = duration(getattr(route, f"{name}_ms"))
    if route.routes:
        found["routes"] = [_route(one) for one in route.routes]
    return found


def _texts(matchers: tuple[LabelMatcher, ...]) -> list[str]:
    return [str(matcher) for matcher in matchers]
