"""The whole path: a condition, a rule, an alert, its group, a notice, and a web service that takes it."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine as Database

from alerts.delivery.outbox import Outbox
from alerts.delivery.registry import ChannelRegistry
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel
from alerts.engine import AlertEngine
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.tree import Receiver as People
from alerts.routing.tree import Route, Routing
from promql import Engine
from tests.alerts.delivery.box import NoJitter
from tests.alerts.delivery.receiver import Receiver
from tests.alerts.world import START_MS, MemorySource, rules

RULE = """
groups:
  - name: g
    rules:
      - {alert: Bad, expr: bad > 0, labels: {level: "{{ $labels.level }}"}, annotations: {summary: It is bad}}
"""
NEVER_MS = 365 * 86_400_000


class Path:
    """One server's way from series to a webhook; ``restart`` begins another life on the same database."""

    def __init__(self, database: Database, url: str, **spec: Any) -> None:
        self.database = database
        self.source = MemorySource()
        self.outbox = Outbox(database)
        self._spec = ChannelSpec("hook", "webhook", SecretStr(url), **spec)
        self.restart()

    def restart(self) -> None:
        route = Route("r", "{}", "", "ops", group_by_all=True, group_wait_ms=0, group_interval_ms=1)
        routing = Routing(route, {"ops": People("ops", ("hook",))}, send_resolved={"hook": self._spec.send_resolved})
        self.engine = AlertEngine(self.database, Engine(self.source, lookback_ms=4_000), rules(RULE))
        self.engine.load()
        self.dispatcher = Dispatcher(self.database, routing, self.outbox)
        self.sender = Sender(
            self.outbox,
            ChannelRegistry(WebhookChannel, [self._spec]),
            jitter=NoJitter(),
            elapsed=lambda: 0.0,
        )

    def tick(self, second: float) -> int:
        now_ms = START_MS + round(second * 1000)
        self.source.tick(now_ms)
        self.engine.evaluate(now_ms)
        self.dispatcher.step(self.engine.current(), now_ms)
        return self.sender.deliver(now_ms)


def address(receiver: Receiver) -> str:
    return receiver.url().replace("json://", "http://")


def said(receiver: Receiver) -> list[str]:
    return [f"{alert['status']} {alert['labels']['level']}" for body in receiver.got for alert in body["alerts"]]


def test_an_alert_reaches_a_webhook_that_refuses_twice_exactly_once_and_in_order(database: Database) -> None:
    with Receiver(500, 500) as receiver:
        path = Path(database, address(receiver))
        path.source.set("bad", 1.0, level="2")
        assert path.tick(0) == 0
        (entry,) = path.outbox.recent()
        assert (entry.state, entry.attempts, entry.next_ms) == ("waiting", 1, START_MS + 10_000)
        assert "500" in str(entry.error)
        path.source.set("bad", 0.0, level="2")
        assert path.tick(5) == 0, "the resolved notice must not overtake the firing one"
        assert path.tick(10) == 0
        path.restart()
        assert [path.tick(second) for second in (29, 30, 31)] == [0, 2, 0]
        assert said(receiver) == ["firing 2", "resolved 2"]
        assert len(receiver.refused) == 2
    counts = path.outbox.figures().counts
    assert (counts["waiting"], counts["sent"], counts["failed"]) == (0, 2, 0)


def test_after_hours_without_a_network_one_notice_tells_what_still_fires_the_most_urgent_first(
    database: Database,
) -> None:
    hours = 3
    with Receiver(*[503] * 200) as receiver:
        path = Path(database, address(receiver))
        for number in range(6):
            path.source.set("bad", 1.0, level=str(1 + number % 3), number=str(number))
            path.tick(number * 60)
            if number < 3:
                path.source.set("bad", 0.0, level=str(1 + number % 3), number=str(number))
        for second in range(360, hours * 3600, 60):
            path.tick(second)
        receiver.recover()
        for second in range(hours * 3600, hours * 3600 + 600, 60):
            path.tick(second)
        (body,) = receiver.got
    assert body["status"] == "firing"
    assert sorted(said(receiver)) == ["firing 1", "firing 2", "firing 3", "resolved 1", "resolved 2", "resolved 3"]
    (listed,) = path.outbox.recent(state="sent")
    sent = path.outbox.find(listed.id)
    assert sent is not None
    told = sent.read()
    assert [fact.level for fact in told.firing] == [3, 2, 1]
    assert told.stands_for == 9
    assert path.outbox.figures().counts["waiting"] == 0


def test_a_channel_that_is_not_told_of_ends_is_not_told_that_they_still_fire_either(database: Database) -> None:
    with Receiver(*[503] * 200) as receiver:
        path = Path(database, address(receiver), send_resolved=False)
        for number in range(5):
            path.source.set("bad", 1.0, level="2", number=str(number))
        for second in range(0, 60, 5):
            path.tick(second)
        for number in range(4):
            path.source.set("bad", 0.0, level="2", number=str(number))
        for second in range(60, 1200, 60):
            path.tick(second)
        receiver.recover()
        for second in range(1200, 1800, 60):
            path.tick(second)
        (body,) = receiver.got
    assert [alert["labels"]["number"] for alert in body["alerts"]] == ["4"]
