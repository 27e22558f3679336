"""The whole path, by hand-driven time: a rule, its routes, real receivers on local sockets, people, and what helps."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine as Database

from alerts.alerting import Alerting
from alerts.delivery.spec import ChannelSpec
from alerts.outage.action import ActionRefused
from alerts.outage.action_log import ActionLog
from alerts.silencing.matching import parse_matchers
from alerts.silencing.silence import Silence
from config import AlertSettings, ServerSettings, Settings
from promql import Engine
from storage.engine import hurried
from storage.error import StorageError
from storage.incident import IncidentLog
from storage.record import AuditLog
from tests.alerts.delivery.receivers.http import Reply, Service
from tests.alerts.delivery.receivers.mail import MailServer
from tests.alerts.world import START_MS, MemorySource

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # Apprise's mail plug-in
    pytest.mark.filterwarnings("ignore:Requiring AUTH while"),
]

RULES = """
groups:
- name: gpu
  rules:
  - alert: Hot
    expr: temperature > 85
    for: 10s
    labels: {severity: critical, team: vision, wakeless_action: reload_model}
    annotations: {summary: "GPU {{ $labels.gpu }} is hot", action: "Look at the fan."}
  - alert: Warm
    expr: temperature > 60
    for: 10s
    labels: {severity: warning, team: vision}
    annotations: {summary: "GPU {{ $labels.gpu }} is warm"}
"""
ROUTING = """
route:
  receiver: team
  group_by: [alertname]
  group_wait: 5s
  group_interval: 30s
  repeat_interval: 1h
  routes:
  - matchers: [severity="critical"]
    receiver: oncall
receivers:
- name: team
  webhook_configs: [{url: "%(hook)s"}]
- name: oncall
  apprise_configs: [{url: "%(mail)s"}]
  webhook_configs: [{url: "%(hook)s"}]
inhibit_rules:
- source_matchers: [alertname="Hot"]
  target_matchers: [alertname="Warm"]
  equal: [gpu]
"""


class House:
    """One server's alerting over its lives."""

    def __init__(self, database: Database, folder: Path, mail: MailServer, hook: Service, routing: str | None) -> None:
        self.database, self.folder = database, folder
        self.mail, self.hook = mail, hook
        self.source = MemorySource()
        self.now_ms = START_MS
        self.done: list[str] = []
        self.refuses = False
        self.is_locked = False
        (folder / "rules.yml").write_text(RULES)
        if routing is not None:
            self.write_routing(routing)
        self.settings = Settings(
            name="portraits",
            data_dir=folder,
            server=ServerSettings(public_url="https://gpu.example.com"),
            alerts=AlertSettings(
                rules=[folder / "rules.yml"],
                stock_rules=False,
                routing=None if routing is None else folder / "routing.yml",
                evaluation_interval_seconds=1,
            ),
        )
        self.start()

    def write_routing(self, text: str) -> None:
        (self.folder / "routing.yml").write_text(text % {"hook": f"{self.hook.base}/hook", "mail": self.mail.url()})

    def start(self) -> None:
        """A new process on the same data; the one before is simply not there any more."""
        self.alerting = Alerting(
            self.settings,
            self.database,
            Engine(self.source, lookback_ms=4_000),
            now_ms=self.now_ms,
            key=b"k" * 32,
            record=lambda now_ms, source, samples: None,
            incidents=IncidentLog(self.database),
            audit=AuditLog(self.database),
            doers={"reload_model": self._reload},
            clock=lambda: self.now_ms,
        )
        self.alerting.engine.load()

    def _reload(self, why: str) -> str:
        if self.refuses:
            raise ActionRefused("there is no model")
        self.done.append(why)
        return "the model was reloaded"

    def run(self, seconds: int) -> None:
        """Let time pass, a tick a second, and let what is enqueued be sent."""
        for _ in range(seconds):
            self.now_ms += 1000
            self.source.tick(self.now_ms)
            stages = (self.alerting.evaluate, self.alerting.act, self.alerting.join, self.alerting.dispatch)
            for stage in (*stages, self.alerting.sender.deliver):
                try:
                    stage(self.now_ms)
                except StorageError:
                    if not self.is_locked:
                        raise
            for thread in threading.enumerate():  # also those that were woken before
                if thread.name.startswith(("notice-", "alert-action")):
                    thread.join(10)

    def hooked(self) -> list[tuple[str, list[str]]]:
        """Status and alerts of every webhook that was taken."""
        return [
            (call.json["status"], [alert["labels"]["alertname"] for alert in call.json["alerts"]])
            for call in self.hook.taken
        ]

    def mailed(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mail.taken]


@pytest.fixture
def make_house(database: Database, tmp_path: Path) -> Iterator[Callable[..., House]]:
    with MailServer(login=True) as mail, Service() as hook:
        yield lambda routing=ROUTING: House(database, tmp_path, mail, hook, routing)


def test_a_critical_alert_reaches_mail_and_webhook_after_for_and_group_wait_and_so_does_its_end(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.source.set("temperature", 90, gpu="0")
    house.run(14)  # for 10 s, and not yet 5 s of group_wait
    assert house.mailed() == []
    house.run(3)
    assert house.hooked() == [("firing", ["Hot"])]  # the warning that follows from it is inhibited
    (subject,) = house.mailed()
    assert "GPU 0 is hot" in subject
    house.source.set("temperature", 40, gpu="0")
    house.run(31)
    assert house.hooked()[1:] == [("resolved", ["Hot"])]
    assert len(house.mailed()) == 2
    incidents = IncidentLog(house.database).recent(5)
    assert [(incident.kind, incident.cause) for incident in incidents] == [("alert", "Hot")]


def test_the_link_in_the_mail_acknowledges_once_and_nothing_is_repeated_then(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.source.set("temperature", 90, gpu="0")
    house.run(17)
    body = house.mail.taken[0].get_body(("plain", "html"))
    assert body is not None
    found = re.search(r"https://gpu\.example\.com/ack/([\w.-]+)", body.get_content())
    assert found is not None
    alerts = house.alerting.quieting.links.use(found[1], "li", house.now_ms)
    assert alerts is not None
    assert house.alerting.quieting.links.use(found[1], "li", house.now_ms) is None
    for alert in alerts:
        house.alerting.engine.acknowledge(alert, "li", "stopping the other job", house.now_ms)
    known = len(house.hook.taken)
    house.run(10)
    assert "li" in str(house.mail.taken[-1].get_body(("plain", "html")))  # those who were told hear who took it on
    house.now_ms += 2 * 3600 * 1000  # twice the repeat interval
    house.run(60)
    assert house.hooked()[known:] == []
    house.source.set("temperature", 40, gpu="0")
    house.run(35)
    assert house.hooked()[-1][0] == "resolved"


def test_what_an_alert_asks_for_is_done_once_and_its_end_says_that_it_helped(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.source.set("temperature", 90, gpu="0")
    house.run(20)
    assert house.done == ["the alert Hot asked for it"]
    house.source.set("temperature", 40, gpu="0")
    house.run(35)
    last = house.mail.taken[-1].get_body(("plain", "html"))
    assert last is not None
    assert "the model was reloaded" in last.get_content().replace("=\n", "")
    (entry,) = ActionLog(house.database).recent(5)
    assert (entry.state, entry.helped) == ("done", True)
    house.start()
    house.run(40)
    assert len(house.done) == 1


def test_a_process_that_dies_between_firing_and_telling_loses_nothing_and_repeats_nothing(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.source.set("temperature", 90, gpu="0")
    for _ in range(30):  # a new process every second
        house.start()
        house.run(1)
    assert house.hooked() == [("firing", ["Hot"])]
    house.source.set("temperature", 40, gpu="0")
    for _ in range(4):  # each is up for long enough to see that the alert is gone
        house.start()
        house.run(17)
    assert house.hooked() == [("firing", ["Hot"]), ("resolved", ["Hot"])]


def test_a_silence_keeps_notices_back_while_checks_go_on(make_house: Callable[..., House]) -> None:
    house = make_house()
    matchers = tuple(parse_matchers('team="vision"'))
    silence = Silence("", matchers, house.now_ms, house.now_ms + 60_000, "li", "a new fan")
    house.alerting.quieting.silences.put(silence, house.now_ms)
    house.source.set("temperature", 90, gpu="0")
    house.run(40)
    assert house.hooked() == []
    assert {alert.rule for alert in house.alerting.engine.current() if alert.is_firing} == {"Hot", "Warm"}
    house.run(60)
    assert house.hooked() == [("firing", ["Hot"])]


def test_a_service_that_is_down_costs_the_other_channel_nothing_and_gets_its_notice_later(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.hook.trouble += [Reply(503), Reply(503)]
    house.source.set("temperature", 90, gpu="0")
    house.run(17)
    assert (len(house.mailed()), house.hooked()) == (1, [])
    house.run(60)
    assert house.hooked() == [("firing", ["Hot"])]


def test_a_changed_routing_file_is_followed_and_a_broken_one_is_refused_whole(make_house: Callable[..., House]) -> None:
    house = make_house()
    house.write_routing(ROUTING.replace("receiver: oncall", "receiver: team"))
    house.alerting.refresh(house.now_ms)
    house.alerting.refresh(house.now_ms)
    house.write_routing(ROUTING.replace("group_wait: 5s", "group_wait: soon"))
    house.alerting.refresh(house.now_ms)
    house.alerting.refresh(house.now_ms)
    assert "group_wait" in house.alerting.routing.problems[0]
    house.source.set("temperature", 90, gpu="0")
    house.run(20)
    assert (house.mailed(), house.hooked()) == ([], [("firing", ["Hot"])])


def test_without_a_routing_file_a_channel_added_in_the_page_gets_the_next_alert(
    make_house: Callable[..., House],
) -> None:
    house = make_house(None)
    house.source.set("temperature", 90, gpu="0")
    house.run(20)
    spec = ChannelSpec("hook", "webhook", SecretStr(f"{house.hook.base}/hook"), least_level=3, origin="page")
    house.alerting.channels.add(spec, "li", house.now_ms)
    house.source.set("temperature", 95, gpu="1")
    house.run(90)
    assert ("firing", ["Hot"]) in [(status, sorted(set(names))) for status, names in house.hooked()]
    assert all("Warm" not in names for _, names in house.hooked())  # level 2 is not for this channel


def refuse(*_: object) -> None:
    raise StorageError("the database is busy", permanent=False)


def test_a_routing_that_could_not_be_put_in_force_comes_again(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    alerting = house.alerting
    house.write_routing("{route: {receiver: other}, receivers: [{name: other}]}")
    alerting.refresh(house.now_ms)
    with monkeypatch.context() as busy:
        busy.setattr(alerting.dispatcher, "replace", refuse)
        with pytest.raises(StorageError):
            alerting.refresh(house.now_ms)
    assert "other" not in alerting.dispatcher.routing.receivers
    alerting.refresh(house.now_ms)
    assert [*alerting.dispatcher.routing.receivers] == ["other"]


def test_rules_that_cannot_be_put_in_force_hold_up_no_routing(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    monkeypatch.setattr(house.alerting.rules, "refresh", lambda *_, **__: refuse())
    house.write_routing("{route: {receiver: other}, receivers: [{name: other}]}")
    for _ in range(2):
        with pytest.raises(StorageError):
            house.alerting.refresh(house.now_ms)
    assert [*house.alerting.dispatcher.routing.receivers] == ["other"]


def test_while_the_database_takes_nothing_what_is_urgent_is_told_from_memory_once(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.run(2)
    with closing(sqlite3.connect(house.folder / "wakeless.db", isolation_level=None)) as other, hurried(0.01):
        other.execute("BEGIN IMMEDIATE")
        house.is_locked = True
        house.source.set("temperature", 90, gpu="0")
        house.run(35)
        assert house.hooked() == []  # it may be over in a moment
        house.run(60)
        assert house.hooked() == [("firing", ["Hot"])]
        assert len(house.mailed()) == 1
    house.is_locked = False
    house.run(40)
    assert house.hooked() == [("firing", ["Hot"])] * 2  # in order, with the rest
