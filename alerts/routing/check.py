"""What can be wrong with a routing file whose fields are all well: names, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alerts.routing.integration import Email, OpsGenie, Slack, VictorOps, Wechat
from alerts.routing.schema import FileEntry, Global, RouteEntry


class Check:
    """What Alertmanager checks once all fields are read: each name is there, once, and so is what is needed."""

    def __init__(self, entry: FileEntry) -> None:
        self._entry = entry
        self._receivers = [receiver.name for receiver in entry.receivers]
        self._rotas = [rota.name for rota in entry.rotas]
        self._intervals = [found.name for found in (*entry.mute_time_intervals, *entry.time_intervals)]

    def problems(self) -> list[str]:
        """A line for everything that is wrong."""
        return [*self._names(), *self._needs(), *self._root(), *self._routes(self._entry.route, "route")]

    def _names(self) -> Iterable[str]:
        for name in _twice([*self._receivers, *self._rotas]):
            yield f"receivers: the name {name!r} is not unique"
        for name in _twice(self._intervals):
            yield f"time_intervals: the name {name!r} is not unique"
        for index, rota in enumerate(self._entry.rotas):
            for name in (*rota.receivers, *(override.receiver for override in rota.overrides)):
                if name not in self._receivers:
                    yield f"rotas[{index}]: undefined receiver {name!r}"

    def _needs(self) -> Iterable[str]:
        for index, receiver in enumerate(self._entry.receivers):
            for place, found in receiver.integrations():
                missing = _missing(found, self._entry.global_)
                if missing:
                    yield f"receivers[{index}].{place}: {missing}"

    def _root(self) -> Iterable[str]:
        root = self._entry.route
        if not root.receiver:
            yield "route: the root route must specify a default receiver"
        if root.all_matchers() or root.levels is not None:
            yield "route: the root route must not have any matchers"
        if root.mute_time_intervals or root.active_time_intervals:
            yield "route: the root route must not have any mute or active time intervals"
        if root.continue_:
            yield "route: the root route cannot have continue"

    def _routes(self, route: RouteEntry, place: str) -> Iterable[str]:
        escalated = [step.receiver for step in route.escalation or ()]
        for name in (route.receiver, *escalated):
            if name and name not in self._receivers and name not in self._rotas:
                yield f"{place}: undefined receiver {name!r}"
        quiet = [name for hours in route.quiet_hours or () for name in hours.time_intervals]
        for name in (*route.mute_time_intervals, *route.active_time_intervals, *quiet):
            if name not in self._intervals:
                yield f"{place}: undefined time interval {name!r}"
        for index, below in enumerate(route.routes):
            yield from self._routes(below, f"{place}.routes[{index}]")


def _missing(found: Any, shared: Global) -> str:
    """What an integration needs and neither has nor finds in ``global``."""
    if isinstance(found, Email):
        if not found.smarthost and not shared.smtp_smarthost:
            return "no SMTP smarthost is set, here or in global"
        if not found.from_ and not shared.smtp_from:
            return "no SMTP from is set, here or in global"
    if isinstance(found, Slack) and not (
        found.api_url or found.api_url_file or shared.slack_api_url or shared.slack_api_url_file
    ):
        return "no Slack API URL is set, here or in global"
    if isinstance(found, OpsGenie) and not (
        found.api_key or found.api_key_file or shared.opsgenie_api_key or shared.opsgenie_api_key_file
    ):
        return "no OpsGenie API key is set, here or in global"
    if isinstance(found, VictorOps) and not (
        found.api_key or found.api_key_file or shared.victorops_api_key or shared.victorops_api_key_file
    ):
        return "no VictorOps API key is set, here or in global"
    if isinstance(found, Wechat):
        if not found.api_secret and not shared.wechat_api_secret:
            return "no WeChat API secret is set, here or in global"
        if not found.corp_id and not shared.wechat_api_corp_id:
            return "no WeChat corp id is set, here or in global"
    return ""


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
