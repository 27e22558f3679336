"""A notice as the outbox keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from alerts.delivery.message import Message

NoticeKind: TypeAlias = Literal["info", "success", "warning", "failure"]
#: Sent: the service has taken it. Failed: given up. Merged: a later summary tells of it.
NoticeState: TypeAlias = Literal["waiting", "sent", "failed", "merged"]

#: What reading a message raises where its data are not as we write them.
UNREADABLE = (TypeError, KeyError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Entry:
    """A notice in the outbox and how its delivery stands.

    ``title`` and ``body`` are its words as they were sent, empty before. ``attempt_ms`` is when an attempt began of
    which nobody knows how it ended: one that is under way, was cut off with its process, or brought no answer.
    """

    id: int
    key: str
    channel: str
    title: str
    body: str
    kind: NoticeKind
    state: NoticeState
    created_ms: int
    next_ms: int
    sent_ms: int | None
    attempts: int
    error: str | None
    message: Mapping[str, Any] | None = None
    group_key: str | None = None
    attempt_ms: int | None = None

    @property
    def is_summary(self) -> bool:
        """Whether it stands for others."""
        return self.message is not None and self.message.get("kind") == "summary"

    @property
    def fresh_ms(self) -> int:
        """When the newest of what it tells was made; a summary is as fresh as the last notice that went into it."""
        if self.message is None or not self.is_summary:
            return self.created_ms
        return max(self.created_ms, int(self.message.get("time_ms", 0)))

    @property
    def about(self) -> str:
        """Which kind of message it is."""
        return str(self.message.get("kind")) if self.message else "alerts"

    @property
    def stands_for(self) -> int:
        """How many notices it takes the place of."""
        return int(self.message.get("stands_for", 1)) if self.message else 1

    @property
    def headline(self) -> str:
        """What it is about in a line, for who looks before it is put into words: its first alert."""
        message = self.message or {}
        for fact in message.get("alerts", ()):
            return str(fact["annotations"].get("summary") or fact["rule"])
        return str(message.get("note", ""))

    def outline(self) -> Entry:
        """The same with no more of its message than the properties here ask for: its first alert of a thousand."""
        if not self.message or not isinstance(self.message.get("alerts"), list):
            return self
        return replace(self, message={**self.message, "alerts": self.message["alerts"][:1]})

    def read(self) -> Message:
        """What it says. A notice from before messages were kept as data has words only.

        Raises one of :data:`UNREADABLE` for data that is none of ours.
        """
        if self.message is not None:
            return Message.from_dict(self.message)
        words = "\n".join(text for text in (self.title, self.body) if text)
        return Message("summary", self.channel, f"text:{self.key}", {}, (), self.created_ms, note=words)


def kind_of(message: Message) -> NoticeKind:
    """Apprise's kind, which colours a message where the service has colours."""
    if message.kind in ("acknowledged", "test", "action", "report"):
        return "info"
    if message.alerts and not message.firing:
        return "success"
    return "failure" if message.level == 3 else "warning" if message.level == 2 else "info"
