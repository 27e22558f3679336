"""Reads a routing file as Alertmanager 0.25 does, checks it whole, and makes the routing of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from alerts.delivery.spec import ChannelSpec
from alerts.routing.address import Reader
from alerts.routing.calendar import TimeInterval
from alerts.routing.check import Check
from alerts.routing.error import RoutingError
from alerts.routing.receiver import Named, ReceiverEntry
from alerts.routing.schema import ALL_LABELS, FileEntry, InhibitEntry, IntervalEntry, RouteEntry
from alerts.routing.text import read_text
from alerts.routing.tree import (
    EVERY_LEVEL,
    GROUP_INTERVAL_MS,
    GROUP_WAIT_MS,
    REPEAT_INTERVAL_MS,
    Escalation,
    InhibitRule,
    QuietHours,
    Receiver,
    Route,
    Routing,
    matchers_text,
)

_TYPES = {"tuple_type": "must be a list", "string_type": "must be text", "dict_type": "must be a mapping"}


def load_routing(path: Path) -> Routing:
    """Read a routing file. Raises :class:`RoutingError` if anything in it is wrong or it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RoutingError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise RoutingError([f"{path}: is not UTF-8 text"]) from None
    return parse_routing(text, str(path), path.parent)


def parse_routing(text: str, file: str, folder: Path) -> Routing:
    """As :func:`load_routing`, from text; ``folder`` is where files with secrets are looked for."""
    try:
        tree = read_text(text)
    except ValueError as error:
        raise RoutingError([f"{file}: {error}"]) from None
    if tree is None:
        raise RoutingError([f"{file}: no route is given"])
    try:
        entry = FileEntry.model_validate(tree)
    except ValidationError as error:
        raise RoutingError([f"{file}: {line}" for line in _lines(error)]) from None
    problems = Check(entry).problems()
    if problems:
        raise RoutingError([f"{file}: {line}" for line in problems])
    return _build(entry, file, folder)


def _lines(error: ValidationError) -> list[str]:
    """A line for each thing that is wrong, without the values, which may be secrets."""
    lines = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        place = ""
        for part in found["loc"]:
            if part == "[key]":
                continue
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        message = str(found["msg"]).removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            message = "this field is not known"
        elif found["type"] == "missing":
            message = "is missing"
        elif found["type"].endswith("too_short"):
            message = "must not be empty"
        elif found["type"] in _TYPES:
            message = _TYPES[found["type"]]
        message = message.replace("Input should be", "must be one of")
        lines.append(" ".join(f"{place}: {message}".removeprefix(": ").split()))
    return lines


def _build(entry: FileEntry, file: str, folder: Path) -> Routing:
    reader = Reader(folder, entry.global_)
    if entry.templates:
        reader.unsupported.append("templates: not used; notices have words of their own")
    if entry.global_.smtp_hello != "localhost":
        reader.unsupported.append("global.smtp_hello: not used")
    channels: list[ChannelSpec] = []
    receivers: dict[str, Receiver] = {}
    resolved: dict[str, bool] = {}
    for index, found in enumerate(entry.receivers):
        names = _channels(reader, found, index, channels, resolved)
        receivers[found.name] = Receiver(found.name, tuple(names))
    intervals: dict[str, tuple[TimeInterval, ...]] = {}
    both: tuple[IntervalEntry, ...] = (*entry.mute_time_intervals, *entry.time_intervals)
    intervals |= {interval.name: interval.time_intervals for interval in both}
    return Routing(
        root=_unique(_route(entry.route, None, "route")),
        receivers=receivers,
        channels=tuple(channels),
        rotas={rota.name: rota.rota() for rota in entry.rotas},
        inhibit_rules=tuple(_inhibit_rule(rule) for rule in entry.inhibit_rules),
        time_intervals=intervals,
        resolve_timeout_ms=entry.global_.resolve_timeout,
        file=file,
        unsupported=tuple(reader.unsupported),
        notes=tuple(reader.notes),
        send_resolved=resolved,
    )


def _channels(
    reader: Reader, found: ReceiverEntry, index: int, channels: list[ChannelSpec], resolved: dict[str, bool]
) -> list[str]:
    """The names of a receiver's channels; those that the file describes are added to ``channels``."""
    names: list[str] = []
    for place, integration in found.integrations():
        if isinstance(integration, Named):
            name = integration.channel
        else:
            kind = place.partition("_configs")[0]
            name = _free(f"{_slug(found.name)}.{kind}", {spec.name for spec in channels})
            spec = reader.channel(f"receivers[{index}].{place}", name, integration)
            if spec is None:
                continue
            channels.append(spec)
        if name not in names:
            names.append(name)
        resolved[name] = integration.send_resolved
    return names


def _slug(name: str) -> str:
    """A receiver's name as a part of an address of the page."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "receiver"


def _free(name: str, taken: set[str]) -> str:
    number = 2
    found = name
    while found in taken:
        found = f"{name}-{number}"
        number += 1
    return found


def _route(entry: RouteEntry, above: Route | None, path: str) -> Route:
    """A node with what it inherits; siblings that match alike get one id, which :func:`_unique` mends."""
    matchers = entry.all_matchers()
    key = "{}" if above is None else f"{above.key}/{matchers_text(matchers)}"
    everyone = [name for name in entry.group_by if name != ALL_LABELS]
    group_by, group_by_all = (above.group_by, above.group_by_all) if above else ((), False)
    if everyone:
        group_by, group_by_all = tuple(everyone), False
    elif entry.group_by:
        group_by_all = True
    levels = entry.levels or EVERY_LEVEL
    if levels != EVERY_LEVEL:
        key += f"[level {','.join(map(str, levels))}]"
    node = Route(
        id=key,
        key=key,
        path=path,
        receiver=entry.receiver or (above.receiver if above else ""),
        matchers=matchers,
        levels=levels,
        group_by=group_by,
        group_by_all=group_by_all,
        group_wait_ms=_or(entry.group_wait, above.group_wait_ms if above else GROUP_WAIT_MS),
        group_interval_ms=_or(entry.group_interval, above.group_interval_ms if above else GROUP_INTERVAL_MS),
        repeat_interval_ms=_or(entry.repeat_interval, above.repeat_interval_ms if above else REPEAT_INTERVAL_MS),
        mute_time_intervals=tuple(entry.mute_time_intervals),
        active_time_intervals=tuple(entry.active_time_intervals),
        escalation=_escalation(entry) if entry.escalation is not None else above.escalation if above else (),
        quiet_hours=_quiet_hours(entry) if entry.quiet_hours is not None else above.quiet_hours if above else (),
        continues=entry.continue_,
    )
    below = tuple(_route(child, node, f"{path}.routes[{index}]") for index, child in enumerate(entry.routes))
    return replace(node, routes=below)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _escalation(entry: RouteEntry) -> tuple[Escalation, ...]:
    steps = (Escalation(step.after, step.receiver) for step in entry.escalation or ())
    return tuple(sorted(steps, key=lambda step: step.after_ms))


def _quiet_hours(entry: RouteEntry) -> tuple[QuietHours, ...]:
    return tuple(QuietHours(hours.time_intervals, hours.levels) for hours in entry.quiet_hours or ())


def _unique(root: Route) -> Route:
    """The tree with an id of its own for each node."""
    taken: set[str] = set()

    def visit(route: Route) -> Route:
        found = route.id if route.id not in taken else _free(route.id, taken)
        taken.add(found)
        return replace(route, id=found, routes=tuple(visit(child) for child in route.routes))

    return visit(root)


def _inhibit_rule(entry: InhibitEntry) -> InhibitRule:
    source = (*entry.source_match, *entry.source_match_re, *entry.source_matchers)
    target = (*entry.target_match, *entry.target_match_re, *entry.target_matchers)
    return InhibitRule(source, target, tuple(entry.equal))
