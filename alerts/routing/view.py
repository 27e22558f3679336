"""A routing as plain values, for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.routing.schema import ALL_LABELS
from alerts.routing.tree import Route


def describe(route: Route) -> Mapping[str, Any]:
    """A node and all below it as plain values, for the page."""
    return {
        "path": route.path,
        "receiver": route.receiver,
        "matchers": [str(matcher) for matcher in route.matchers],
        "levels": list(route.levels),
        "group_by": [ALL_LABELS] if route.group_by_all else list(route.group_by),
        "group_wait_ms": route.group_wait_ms,
        "group_interval_ms": route.group_interval_ms,
        "repeat_interval_ms": route.repeat_interval_ms,
        "mute_time_intervals": list(route.mute_time_intervals),
        "active_time_intervals": list(route.active_time_intervals),
        "escalation": [{"after_ms": step.after_ms, "receiver": step.receiver} for step in route.escalation],
        "quiet_hours": [
            {"time_intervals": list(quiet.time_intervals), "levels": list(quiet.levels)} for quiet in route.quiet_hours
        ],
        "continue": route.continues,
        "routes": [describe(child) for child in route.routes],
    }
