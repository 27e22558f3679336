"""One life of the process in ``bench.storm``: rules over a storm, alerts, outbox, sender, until it is killed."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog
from pydantic import SecretStr
from sqlalchemy import Connection

from alerts.delivery.message import Fact, Message
from alerts.delivery.outbox import Outbox
from alerts.delivery.registry import ChannelRegistry
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel
from alerts.engine import AlertEngine
from alerts.rule import parse_rules
from alerts.state import AlertEvent
from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Series
from promql import Engine as QueryEngine
from storage.engine import open_database

RULES = """
groups:
  - name: storm
    rules:
      - alert: Storm
        expr: storm > 0
        labels: {severity: "{{ $labels.severity }}"}
        annotations: {summary: "Number {{ $labels.number }} is out of bounds"}
"""
#: Between two samples, and between two evaluations, in the storm's own time.
SAMPLE_MS, EVALUATION_MS = 1000, 3000
#: The longest that an attempt may take, in real seconds.
TIMEOUT_SECONDS = 0.5
#: What went wrong, as lines of JSON; all lives write to one file.
LOG = "storm.log"
_SEVERITIES = ("critical", "warning", "info")


class Weather(NamedTuple):
    """What all lives of one storm have in common. Its own time begins at ``began_ms`` and runs ``speed`` times as fast.

    ``catch_up_seconds`` as in the settings, in the storm's time. From ``calm_ms`` on, in its time, nothing is wrong.
    """

    folder: str
    channels: tuple[tuple[str, str], ...]  # name and URL
    alerts: int
    began_ms: int
    speed: float
    catch_up_seconds: float
    calm_ms: int | None = None

    def now_ms(self) -> int:
        return self.began_ms + round((time.time() * 1000 - self.began_ms) * self.speed)

    def is_wrong(self, number: int, time_ms: int) -> bool:
        """Whether one of the conditions holds: each comes and goes in a rhythm of its own."""
        if self.calm_ms is not None and time_ms >= self.calm_ms:
            return False
        digest = hashlib.sha256(str(number).encode()).digest()
        period_ms = 60_000 + digest[0] * 400
        return (time_ms + digest[1] * 500) % period_ms < period_ms * (0.35 + digest[2] / 850)


class _Source:
    """The storm as series, made up when they are asked for, so that they outlive every process."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._labels: list[Labels] = [
            (
                (METRIC_NAME, "storm"),
                ("number", str(number)),
                ("severity", _SEVERITIES[number % len(_SEVERITIES)]),
            )
            for number in range(weather.alerts)
        ]

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[Series]:
        first_ms = hints.start_ms - hints.range_ms + 1
        times = np.arange(first_ms + -first_ms % SAMPLE_MS, hints.end_ms + 1, SAMPLE_MS, dtype=np.int64)
        for number, labels in enumerate(self._labels):
            values = [float(self._weather.is_wrong(number, int(time_ms))) for time_ms in times]
            yield Series(labels, times, np.array(values, dtype=np.float64))


class _EventNotices:
    """Tells every channel of every event, in the transaction that records it."""

    def __init__(self, outbox: Outbox, channels: Iterable[str]) -> None:
        self._outbox = outbox
        self._channels = tuple(channels)

    def write(self, connection: Connection, event: AlertEvent) -> None:
        for channel in self._channels:
            key = f"{event.alert.id}-{event.kind}-{channel}"
            message = Message("alerts", channel, str(event.alert.id), {}, (Fact.of(event.alert),), event.time_ms)
            self._outbox.enqueue(connection, key, channel, message, event.time_ms)


def _log_to(path: Path) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(path.open("a", encoding="utf-8", buffering=1)),
    )


def live(weather: Weather) -> None:
    """Run until killed; in calm weather until no alert fires and no notice waits."""
    _log_to(Path(weather.folder) / LOG)
    database = open_database(Path(weather.folder) / "wakeless.db")
    outbox = Outbox(database)
    specs = [ChannelSpec(name, "webhook", SecretStr(url)) for name, url in weather.channels]
    groups, problems = parse_rules(RULES, "storm.yml")
    assert not problems, problems
    engine = AlertEngine(
        database,
        QueryEngine(_Source(weather), lookback_ms=4 * SAMPLE_MS),
        groups,
        outbox=_EventNotices(outbox, [spec.name for spec in specs]),
    )
    sender = Sender(
        outbox,
        ChannelRegistry(WebhookChannel, specs),
        retry_seconds=2.0,
        catch_up_seconds=weather.catch_up_seconds,
        timeout_seconds=TIMEOUT_SECONDS,
        clock=weather.now_ms,
        elapsed=lambda: time.monotonic() * weather.speed,
    )
    engine.load()
    while True:
        now_ms = weather.now_ms()
        engine.evaluate(now_ms)
        sender.wake()
        if weather.calm_ms is not None and not engine.current() and not outbox.waiting_channels():
            return
        time.sleep(EVALUATION_MS / 1000 / weather.speed)
