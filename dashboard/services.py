"""The runtime objects that views and the tick need, in one place. Made by ``server.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

from alerts.routing.tree import Receiver, Route, Routing

if TYPE_CHECKING:
    from sqlalchemy import Engine as Database

    from alerts.alerting import Alerting
    from alerts.delivery.outbox import Outbox
    from alerts.delivery.switchboard import Switchboard
    from alerts.engine import AlertEngine
    from alerts.outage.action import Actions
    from alerts.outage.outage import Outages
    from alerts.routing.dispatcher import Dispatcher
    from alerts.ruling.source import RuleSource
    from alerts.silencing.quieting import Quieting
    from collectors.collection import Collection
    from collectors.requests import Meters
    from config import Settings
    from dashboard.hub import Hub
    from ledger import Ledger
    from model.host import ModelHost
    from promql import Engine as QueryEngine
    from reports.schedule import Reports
    from storage.account import Accounts
    from storage.incident import IncidentLog
    from storage.record import AuditLog, RequestLog
    from storage.series import SeriesStore
    from targets.watcher import Watcher

EXTENSION = "wakeless"
#: What holds until somebody routes alerts elsewhere.
PAGE_ONLY = Routing(Route("page", "{}", "", "page"), {"page": Receiver("page")})


@dataclass
class Services:
    """What one server process is made of."""

    settings: Settings
    database: Database
    store: SeriesStore
    query: QueryEngine
    collection: Collection
    meters: Meters
    model: ModelHost
    #: All of alerting; what follows are its parts.
    alerting: Alerting
    alerts: AlertEngine
    rules: RuleSource
    quieting: Quieting
    outbox: Outbox
    channels: Switchboard
    incidents: IncidentLog
    #: Joins alerts and stretches into incidents; the tick has it follow.
    outages: Outages
    #: What alerts have done by their label ``wakeless_action``; the tick has it follow.
    actions: Actions
    #: Who is told what; the tick has it step.
    dispatcher: Dispatcher
    requests: RequestLog
    audit: AuditLog
    #: All that is watched beside the model; the tick has it collect and act.
    targets: Watcher
    #: Makes reports, and sends those that are due.
    reports: Reports
    accounts: Accounts
    ledger: Ledger
    hub: Hub
    #: Ask the supervisor for a new server process: ``restart_process(actor, reason)``, with a :class:`Retreat` as third
    #: argument where it is to start with another version. Returns at once.
    restart_process: Callable[..., None]
    started_ms: int
    #: Seconds since the last tick ended, or since the start.
    pulse_age_seconds: Callable[[], float] = lambda: 0.0
    safe_mode: bool = False
    #: How alerts are routed; and which of those that fire keep back an alert of a fingerprint.
    routing: Callable[[], Routing] = lambda: PAGE_ONLY
    inhibitors: Callable[[], Mapping[str, Sequence[str]]] = dict
    #: Set once when the process begins to stop, so that websockets close with a reason.
    stopping: bool = field(default=False)


def services() -> Services:
    """The services of the app that handles the current request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
