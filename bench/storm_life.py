"""One life of the process in ``bench.storm``: rules, alerts, routing and outbox in a storm, until it is killed."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog
from pydantic import SecretStr

from alerts.delivery.outbox import Outbox
from alerts.delivery.registry import ChannelRegistry
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel
from alerts.engine import AlertEngine
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.tree import Receiver, Route, Routing
from alerts.rule import parse_rules
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
NEVER_MS = 365 * 86_400_000
#: The longest that an attempt may take, in real seconds.
TIMEOUT_SECONDS = 0.5
#: What went wrong, as lines of JSON, and the moments at which somebody has looked at the alerts that stand, one a line;
#: all lives write to the same files.
LOG, LOOKS = "storm.log", "looks.log"
_SEVERITIES = ("critical", "warning", "info")


class Weather(NamedTuple):
    """What all lives of one storm have in common, and ``life``, which counts them.

    Its own time begins at ``began_ms`` and runs ``speed`` times as fast; ``catch_up_seconds`` is in that time. From
    ``calm_ms`` on nothing is wrong any more.
    """

    folder: str
    channels: tuple[tuple[str, str], ...]  # name and URL
    alerts: int
    began_ms: int
    speed: float
    catch_up_seconds: float
    life: int = 0
    calm_ms: int | None = None

    def now_ms(self) -> int:
        return self.began_ms + round((time.time() * 1000 - self.began_ms) * self.speed)

    def is_wrong(self, number: int, time_ms: int) -> bool:
        """Whether one of the conditions holds: each comes and goes in a rhythm of its own."""
        if self.calm_ms is not None and time_ms >= self.calm_ms:
            return False
        digest = hashlib.sha256(str(number).encode()).digest()
        # Long enough that it is seen between two deaths: who looks at what stands does not see what came and went.
        period_ms = 150_000 + digest[0] * 500
        return (time_ms + digest[1] * 1000) % period_ms < period_ms * (0.4 + digest[2] / 1275)


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


def _routing(channels: Iterable[str]) -> Routing:
    """Every alert by itself, at once, to all channels, and no repetition."""
    route = Route(
        "storm", "{}", "", "all", group_by_all=True, group_wait_ms=0, group_interval_ms=1, repeat_interval_ms=NEVER_MS
    )
    return Routing(route, {"all": Receiver("all", tuple(channels))})


def _log_to(path: Path) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(path.open("a", encoding="utf-8", buffering=1)),
    )


def is_over(engine: AlertEngine, dispatcher: Dispatcher, outbox: Outbox) -> bool:
    """Whether no alert fires, and all of that has been told."""
    return not engine.current() and not dispatcher.groups() and not outbox.waiting_channels()


def live(weather: Weather, ready: Connection) -> None:
    """Run until killed; in calm weather until no alert fires and no notice waits. Says on ``ready`` that it lives."""
    _log_to(Path(weather.folder) / LOG)
    database = open_database(Path(weather.folder) / "wakeless.db")
    outbox = Outbox(database)
    headers = (("X-Life", SecretStr(str(weather.life))),)
    specs = [ChannelSpec(name, "webhook", SecretStr(url), headers=headers) for name, url in weather.channels]
    groups, problems = parse_rules(RULES, "storm.yml")
    assert not problems, problems
    engine = AlertEngine(
        database,
        QueryEngine(_Source(weather), lookback_ms=4 * SAMPLE_MS),
        groups,
    )
    dispatcher = Dispatcher(database, _routing(spec.name for spec in specs), outbox)
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
    looks = (Path(weather.folder) / LOOKS).open("a", buffering=1)
    ready.send(True)
    while True:
        now_ms = weather.now_ms()
        engine.evaluate(now_ms)
        dispatcher.step(engine.current(), now_ms)
        looks.write(f"{now_ms}\n")
        sender.wake()
        if weather.calm_ms is not None and is_over(engine, dispatcher, outbox):
            return
        time.sleep(EVALUATION_MS / 1000 / weather.speed)
