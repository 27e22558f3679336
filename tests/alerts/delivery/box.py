"""A channel in memory, and messages to send through it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine as Database

from alerts.delivery.message import Fact, Message
from alerts.delivery.outbox import Outbox
from alerts.delivery.receipt import DeliveryError, Receipt
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from tests.alerts.world import START_MS

#: What a channel does with a message: None is taken, an error is raised.
Answer = Callable[[str], DeliveryError | None]


def take(title: str) -> None:
    """Refuse nothing."""


def down(title: str) -> DeliveryError:
    """A service that answers, and takes nothing."""
    return DeliveryError("502 Bad Gateway", unclear=False)


class Box:
    """A channel that keeps what it takes. A message's title is its note, or the names of its alerts."""

    def __init__(self, name: str, answer: Answer = take, **spec: Any) -> None:
        self.name = name
        self.spec = ChannelSpec(name, "webhook", SecretStr("http://box.example"), **spec)
        self.answer = answer
        self.taken: list[str] = []
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.messages: list[Message] = []

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        title = title_of(message)
        self.asked.append(title)
        self.keys.append(key)
        refusal = self.answer(title)
        if refusal is not None:
            raise refusal
        self.taken.append(title)
        self.messages.append(message)
        return Receipt(title, "body", "200 OK")


class Boxes:
    """Channels by name."""

    def __init__(self, *boxes: Box) -> None:
        self._boxes = {box.name: box for box in boxes}

    def get(self, name: str) -> Box | None:
        return self._boxes.get(name)

    def remove(self, name: str) -> None:
        del self._boxes[name]


class NoJitter(random.Random):
    """Chance that always gives what is neither more nor less."""

    def uniform(self, a: float, b: float) -> float:
        return 1.0


def title_of(message: Message) -> str:
    if message.kind == "summary":
        return f"summary of {message.stands_for}" if message.alerts else message.note
    return message.note or ", ".join(f"{'+' if fact.firing else '-'}{fact.rule}" for fact in message.alerts)


def fact(alert_id: int = 1, *, firing: bool = True, rule: str = "Bad", level: int = 2, **more: Any) -> Fact:
    values: dict[str, Any] = {
        "fingerprint": f"{alert_id:016x}",
        "severity": {1: "info", 2: "warning", 3: "critical"}[level],
        "labels": {"alertname": rule},
        "annotations": {"summary": f"{rule} it is"},
        "value": 1.0,
        "active_ms": START_MS,
        "firing_ms": START_MS,
        "resolved_ms": None if firing else START_MS + 1000,
    }
    return Fact(id=alert_id, rule=rule, firing=firing, level=level, **{**values, **more})


def message(*facts: Fact, note: str = "", time_ms: int = START_MS, **more: Any) -> Message:
    values: dict[str, Any] = {"kind": "alerts", "receiver": "ops", "group_key": "{}:{}", "labels": {}}
    return Message(alerts=facts, time_ms=time_ms, note=note, **{**values, **more})


class Post:
    """Puts notices into an outbox."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    def put(self, channel: str, *titles: str, at_ms: int = START_MS) -> None:
        """One notice for each title; none of them is about an alert."""
        for title in titles:
            assert self.message(channel, title, message(note=title, time_ms=at_ms), at_ms)

    def message(self, channel: str, key: str, told: Message, at_ms: int = START_MS) -> bool:
        with self._database.begin() as connection:
            return self._outbox.enqueue(connection, f"{key}-{channel}", channel, told, at_ms)


def sender(outbox: Outbox, *boxes: Box, **options: Any) -> Sender:
    """A sender without chance, for which time passes only when it is told."""
    return Sender(outbox, Boxes(*boxes), **{"jitter": NoJitter(), "elapsed": lambda: 0.0, **options})


def states(outbox: Outbox) -> dict[str, str]:
    """Each notice's key and state, oldest first."""
    return {entry.key: entry.state for entry in reversed(outbox.recent())}


def run(sending: Sender, seconds: Sequence[int] | range) -> list[int]:
    """Deliver at each of these seconds; those at which something got through."""
    return [second for second in seconds if sending.deliver(START_MS + second * 1000)]
