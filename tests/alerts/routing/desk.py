"""A dispatcher over a real database, its alerts set by hand and its time driven by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine as Database
from sqlalchemy import select

from alerts.book import AlertBook
from alerts.delivery.message import Message
from alerts.delivery.outbox import Outbox
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.load import parse_routing
from alerts.routing.tree import Routing
from alerts.state import Alert, fingerprint, level_of
from storage.tables import OutboxRow

START_MS = 1_700_000_000_000

#: One receiver with one hook; tests add routes to it.
PLAIN = """
route:
  receiver: team
  group_by: [service]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
receivers:
  - name: team
    webhook_configs: [{url: "http://hook.example.com/"}]
"""


class Said(NamedTuple):
    """One notice: when, in seconds from the start, to which channel, and whom it names by their ``alertname``."""

    seconds: float
    channel: str
    kind: str
    firing: str
    resolved: str


class Desk:
    """Alerts, a dispatcher, and what it has put into the outbox."""

    def __init__(self, database: Database, routing: Routing) -> None:
        self.database = database
        self.routing = routing
        self.book = AlertBook(database)
        self.now_ms = START_MS
        self.alerts: dict[str, Alert] = {}
        self.silenced: dict[str, list[str]] = {}  # names of silences by alertname
        self.read = 0
        self.dispatcher = self.boot()

    def boot(self) -> Dispatcher:
        """A new process over the same database."""
        self.dispatcher = Dispatcher(self.database, self.routing, Outbox(self.database), muted=self._muted)
        return self.dispatcher

    def _muted(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        return self.silenced.get(labels["alertname"], [])

    def fire(self, name: str, ago: float = 0, **labels: str) -> Alert:
        """An alert begins to fire, ``ago`` seconds before now."""
        found = {"alertname": name, **labels}
        began_ms = self.now_ms - round(ago * 1000)
        alert = Alert(
            id=0,
            fingerprint=fingerprint(tuple(sorted(found.items()))),
            rule=name,
            group="test",
            state="firing",
            severity=labels.get("severity", "none"),
            level=level_of(found),
            labels=found,
            annotations={},
            value=1.0,
            active_ms=began_ms,
            firing_ms=began_ms,
            resolved_ms=None,
            seen_ms=self.now_ms,
        )
        with self.database.begin() as connection:
            alert = replace(alert, id=self.book.add(connection, alert))
        self.alerts[alert.fingerprint] = alert
        return alert

    def resolve(self, alert: Alert) -> None:
        """It does not fire any more."""
        self._change(replace(self.alerts.pop(alert.fingerprint), state="resolved", resolved_ms=self.now_ms))

    def acknowledge(self, alert: Alert, by: str = "Ann") -> None:
        """Somebody takes it on."""
        found = self.alerts[alert.fingerprint]
        found = replace(found, state="acknowledged", ack_by=by, ack_reason="I look", ack_ms=self.now_ms)
        self.alerts[alert.fingerprint] = found
        self._change(found)

    def unacknowledge(self, alert: Alert) -> None:
        """Nobody has it any more."""
        found = replace(self.alerts[alert.fingerprint], state="firing", ack_by=None, ack_reason=None, ack_ms=None)
        self.alerts[alert.fingerprint] = found
        self._change(found)

    def _change(self, alert: Alert) -> None:
        with self.database.begin() as connection:
            self.book.change(connection, alert)

    def step(self) -> int:
        return self.dispatcher.step([*self.alerts.values()], self.now_ms)

    def run(self, seconds: float = 0, step: float = 1) -> list[Said]:
        """Let time pass; returns what was said in it, the step at the beginning included."""
        end_ms = self.now_ms + round(seconds * 1000)
        while True:
            self.step()
            if self.now_ms >= end_ms:
                return self.said()
            self.now_ms = min(end_ms, self.now_ms + round(step * 1000))

    def messages(self) -> list[tuple[str, Message]]:
        """What has come into the outbox since the last look, with its channel."""
        query = select(OutboxRow).where(OutboxRow.id > self.read).order_by(OutboxRow.id)
        with self.database.connect() as connection:
            rows = connection.execute(query.with_only_columns(OutboxRow.__table__)).all()
        self.read = max((row.id for row in rows), default=self.read)
        return [(row.channel, Message.from_dict(row.message)) for row in rows]

    def said(self) -> list[Said]:
        return [said(channel, message) for channel, message in self.messages()]


def said(channel: str, message: Message) -> Said:
    names = [" ".join(sorted(fact.rule for fact in facts)) for facts in (message.firing, message.resolved)]
    return Said((message.time_ms - START_MS) / 1000, channel, message.kind, names[0], names[1])


def with_routes(routes: str) -> str:
    """``PLAIN`` with routes below its root, each a line that begins with ``  - ``."""
    lines = routes.strip("\n")
    return PLAIN.replace("repeat_interval: 1h", f"repeat_interval: 1h\n  routes:\n{lines}")


def hook(name: str) -> str:
    """One more receiver, to be put after ``PLAIN``."""
    return f"  - {{name: {name}, webhook_configs: [{{url: 'http://{name}.example.com/'}}]}}\n"


def parse(text: str) -> Routing:
    return parse_routing(text, "routing.yml", Path())


def heard(found: Sequence[Said]) -> list[tuple[float, str, str]]:
    """When, who fires, who has resolved."""
    return [(item.seconds, item.firing, item.resolved) for item in found]
