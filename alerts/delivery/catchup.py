"""Catching up: many notices that waited, told in one, the most urgent of what still fires first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Literal, NamedTuple, TypeAlias

from alerts.delivery.message import Fact, Message
from alerts.state import Alert
from timeword import local_moment

Language: TypeAlias = Literal["en", "zh"]

#: The most alerts of each kind that one summary names; it says how many more there were.
MAX_FACTS = 500


class _Wording(NamedTuple):
    waited: str
    at_once: str
    more_firing: str
    more_resolved: str
    space: str


_WORDINGS: Mapping[Language, _Wording] = {
    "en": _Wording(
        waited="{count} notices could not be sent since {moment}; this one stands for all of them.",
        at_once="{count} notices came faster than this channel takes them; this one stands for all of them.",
        more_firing="{count} more alerts are firing.",
        more_resolved="{count} more have fired and resolved.",
        space=" ",
    ),
    "zh": _Wording(
        waited="自 {moment} 起有 {count} 条通知未能发出，合并为此条。",
        at_once="{count} 条通知超出此渠道的发送频率，合并为此条。",
        more_firing="另有 {count} 条告警仍在触发。",
        more_resolved="另有 {count} 条告警已触发并恢复。",
        space="",
    ),
}


class Digest:
    """Takes messages in, the oldest first, and makes one of them: of each alert what was last said."""

    def __init__(self) -> None:
        self._facts: dict[int, Fact] = {}
        self._receivers: set[str] = set()
        self._labels: dict[str, str] | None = None
        self.count = 0

    def add(self, message: Message) -> None:
        """One more message, newer than those before."""
        self.count += message.stands_for
        self._receivers.add(message.receiver)
        known = dict(message.labels)
        # A summary is about what all of its notices have in common.
        self._labels = known if self._labels is None else dict(self._labels.items() & known.items())
        for fact in message.alerts:
            before = self._facts.pop(fact.id, None)  # so that the order is that of the last word
            self._facts[fact.id] = _joined(before, fact)

    def correct(self, latest: Callable[[Collection[str]], Mapping[str, Alert]]) -> None:
        """Take what has resolved for resolved, where nobody was told so: ``latest`` gives each label set's alert."""
        firing = self._firing()
        standing = latest({fact.fingerprint for fact in firing})
        for fact in firing:
            alert = standing.get(fact.fingerprint)
            if alert is not None and not (alert.id == fact.id and alert.is_firing):
                ended_ms = alert.resolved_ms if alert.id == fact.id else alert.firing_ms
                self._facts[fact.id] = replace(fact, firing=False, resolved_ms=ended_ms)

    def message(
        self, channel: str, since_ms: int, now_ms: int, *, late: bool, language: Language, zone: tzinfo | None = None
    ) -> Message:
        """All of it as one message: it waited since ``since_ms`` (``late``), or was too much at once."""
        words = _WORDINGS[language]
        firing = sorted(self._firing(), key=lambda fact: (-fact.level, fact.firing_ms or fact.active_ms))
        resolved = [fact for fact in reversed(self._facts.values()) if not fact.firing]
        reason = words.waited if late else words.at_once
        said = [reason.format(count=self.count, moment=local_moment(since_ms, zone))]
        if len(firing) > MAX_FACTS:
            said.append(words.more_firing.format(count=len(firing) - MAX_FACTS))
        if len(resolved) > MAX_FACTS:
            said.append(words.more_resolved.format(count=len(resolved) - MAX_FACTS))
        return Message(
            kind="summary",
            receiver=self._receivers.pop() if len(self._receivers) == 1 else channel,
            group_key=f"summary:{channel}",
            labels=self._labels or {},
            alerts=(*firing[:MAX_FACTS], *resolved[:MAX_FACTS]),
            time_ms=now_ms,
            note=words.space.join(said),
            stands_for=self.count,
        )

    def _firing(self) -> list[Fact]:
        """What fires as far as it was said. An alert that has fired anew since does not fire twice."""
        newest: dict[str, int] = {}
        for fact in self._facts.values():
            newest[fact.fingerprint] = max(fact.id, newest.get(fact.fingerprint, fact.id))
        return [fact for fact in self._facts.values() if fact.firing and newest[fact.fingerprint] == fact.id]


def _joined(before: Fact | None, fact: Fact) -> Fact:
    """The later word on an alert; what was done about it is kept where the later one does not tell."""
    if before is None or fact.actions or not before.actions:
        return fact
    return replace(fact, actions=before.actions)
