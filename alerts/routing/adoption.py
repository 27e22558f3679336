"""Groups of an earlier process, or of an earlier routing, as the routing in force has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from alerts.routing.book import StoredGroup
from alerts.routing.group import Group, group_key
from alerts.routing.tree import Route, Routing
from alerts.state import Alert


def adopt(stored: Sequence[StoredGroup], routing: Routing, known: Mapping[str, Alert], now_ms: int) -> list[Group]:
    """The groups that a routing still has, with those of their alerts that are ``known`` and belong there.

    What was told to channels that it does not know any more is forgotten. No time lies so far ahead that a clock that
    was set back makes anybody wait.
    """
    routes = {route.id: route for route in routing.root.walk()}
    channels = {spec.name for spec in routing.channels}
    channels |= {name for receiver in routing.receivers.values() for name in receiver.channels}
    groups = []
    for row in stored:
        route = routes.get(row.route)
        if route is None:
            continue
        members = {
            name: known[name]
            for name in row.members
            if name in known and _belongs(known[name], route, row.key, routing)
        }
        if members or not row.members:
            groups.append(_group(row, route, members, channels, now_ms))
    return groups


def _belongs(alert: Alert, route: Route, key: str, routing: Routing) -> bool:
    takes = any(found.id == route.id for found in routing.root.find(alert.labels))
    return takes and group_key(route, alert.labels)[0] == key


def _group(
    row: StoredGroup, route: Route, members: Mapping[str, Alert], channels: Collection[str], now_ms: int
) -> Group:
    return Group(
        key=row.key,
        route=route,
        labels=row.labels,
        created_ms=row.created_ms,
        next_ms=min(row.next_ms, now_ms + max(route.group_wait_ms, route.group_interval_ms)),
        members=members,
        flushed_ms=row.flushed_ms,
        told={
            name: replace(told, time_ms=min(told.time_ms, now_ms))
            for name, told in row.told.items()
            if name in channels
        },
        acks=row.acks,
        since_ms=None if row.since_ms is None else min(row.since_ms, now_ms),
        climbed=row.climbed,
        sequence=row.sequence,
    )
