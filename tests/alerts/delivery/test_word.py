"""From a condition to the words and the picture that people get, through every part on the way."""

from __future__ import annotations

import io
from datetime import UTC

import pytest
from PIL import Image
from pydantic import SecretStr
from sqlalchemy import Engine as Database

from alerts.delivery.channel import Voice
from alerts.delivery.compose import Composer
from alerts.delivery.outbox import Outbox
from alerts.delivery.picture import Pictures
from alerts.delivery.plot import Figures
from alerts.delivery.registry import ChannelRegistry, builder
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from alerts.engine import AlertEngine
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.tree import Receiver, Route, Routing
from alerts.silencing.link import AckLinks
from promql import Engine
from tests.alerts.delivery.box import NoJitter
from tests.alerts.delivery.receivers.bots import WeCom
from tests.alerts.delivery.receivers.chats import Telegram
from tests.alerts.delivery.receivers.mail import MailServer
from tests.alerts.world import START_MS, MemorySource, rules

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while"),
]

RULES = """
groups:
  - name: g
    rules:
      - alert: GPUMemoryHigh
        expr: gpu_memory_used_bytes / gpu_memory_total_bytes > 0.9
        labels: {severity: critical}
        annotations:
          summary: "GPU {{ $labels.gpu }}: {{ $value | humanizePercentage }} of its memory in use"
          summary_zh: "GPU {{ $labels.gpu }} 显存使用率 {{ $value | humanizePercentage }}"
          action: Look into /srv/models.
"""
PAGE = "https://watch.example.com"


def test_a_rule_that_fires_is_read_seen_and_acknowledged_where_people_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = MemorySource()
    promql = Engine(source, lookback_ms=40_000)
    figures = Figures(promql, lambda: rules(RULES))
    links = AckLinks(database, "key", PAGE, 12)
    composer = Composer("photo-service", UTC, PAGE, links.make, figures.measure_of)
    build = builder(Voice(composer, picture_of=Pictures(figures.plot_of, UTC).of))
    with WeCom() as wecom, Telegram() as telegram, MailServer(login=True) as mail:
        for service in (wecom, telegram):
            assert isinstance(service, WeCom | Telegram)
            service.patch(monkeypatch)
        specs = [
            ChannelSpec("wecom", "apprise", SecretStr(WeCom.url), language="zh"),
            ChannelSpec("telegram", "apprise", SecretStr(Telegram.url)),
            ChannelSpec("mail", "apprise", SecretStr(mail.url())),
        ]
        names = tuple(spec.name for spec in specs)
        route = Route("r", "{}", "", "ops", group_wait_ms=0, group_interval_ms=1)
        engine = AlertEngine(database, promql, rules(RULES))
        engine.load()
        outbox = Outbox(database)
        dispatcher = Dispatcher(database, Routing(route, {"ops": Receiver("ops", names)}), outbox)
        sender = Sender(outbox, ChannelRegistry(build, specs), jitter=NoJitter(), patience_seconds=30)

        def tick(second: int, used: float) -> int:
            now_ms = START_MS + second * 1000
            source.set("gpu_memory_used_bytes", used, gpu="0")
            source.set("gpu_memory_total_bytes", 100.0, gpu="0")
            source.tick(now_ms)
            engine.evaluate(now_ms)
            dispatcher.step(engine.current(), now_ms)
            return sender.deliver(now_ms)

        for second in range(0, 600, 30):
            assert tick(second, 50.0 + second / 20) == 0
        assert tick(600, 95.0) == 3
        assert tick(630, 40.0) == 3

        words, picture, end = (call.json for call in wecom.taken)
        assert words["text"]["content"].splitlines()[0] == "[告警] GPU 0 显存使用率 95%"
        assert "当前值 95%，阈值 > 90%。" in words["text"]["content"]
        assert "起（刚刚）" in words["text"]["content"]
        assert f"{PAGE}/ack/" in words["text"]["content"]
        assert picture["msgtype"] == "image"
        assert end["text"]["content"].splitlines()[0] == "[恢复] GPU 0 显存使用率 95%"
        assert "告警持续了 30 秒" in end["text"]["content"]

        shown = telegram.taken[0].parts()
        assert "95% now, the threshold is &gt; 90%." in shown["caption"].decode()
        assert Image.open(io.BytesIO(shown["photo"])).format == "PNG"

        fired, over = mail.taken
        assert [fired["Subject"], over["Subject"]] == [
            "[FIRING] GPU 0: 95% of its memory in use",
            "[RESOLVED] GPU 0: 95% of its memory in use",
        ]
        plain = fired.get_body(("plain",))
        assert plain is not None
        assert "What to do: Look into [path]" in plain.get_content()
    assert {entry.state for entry in outbox.recent()} == {"sent"}
    assert {entry.title for entry in outbox.recent() if entry.channel == "mail"} == {fired["Subject"], over["Subject"]}
