"""What people read: a message put into words, in their language and in the markup of the service that carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

import structlog

from alerts.delivery.family import PLAIN, Family
from alerts.delivery.layout import Layout, Line, brief, write
from alerts.delivery.message import Fact, Message
from alerts.delivery.reporting import reported
from alerts.delivery.service import Letter, Tone
from alerts.delivery.telling import Telling
from alerts.delivery.wording import Language
from alerts.humanize import general
from mask import deidentify
from storage.engine import hurried
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: How long a notice waits for the database to take its link.
_LINK_SECONDS = 2.0
#: How the group of a notice begins that was put into words when it was made, by an earlier version.
_WORDED = "text:"


class Measure(NamedTuple):
    """What an alert's value is measured against: ``value operator threshold``; ``show`` writes either for people."""

    operator: str
    threshold: float
    show: Callable[[float], str] = general


@dataclass(frozen=True, slots=True)
class Composer:
    """Puts messages into words.

    ``service`` is the name people know the server by; times are shown in ``zone`` (None: the machine's own).
    ``public_url`` is where people reach our page. ``ack_link(alert ids, now_ms)`` gives a link that acknowledges
    them, or None; ``measure_of`` tells what an alert's value is measured against, or None where that is not known.
    """

    service: str
    zone: tzinfo | None = None
    public_url: str | None = None
    ack_link: Callable[[Sequence[int], int], str | None] = lambda ids, now_ms: None
    measure_of: Callable[[Fact], Measure | None] = lambda fact: None
    flap_count: int = 0
    flap_seconds: float = 1800.0

    def link(self, alert_ids: Sequence[int], now_ms: int) -> str | None:
        """A link that acknowledges these alerts; None also where the database does not take it: a notice without its
        link is still a notice.
        """
        try:
            with hurried(_LINK_SECONDS):
                return self.ack_link(alert_ids, now_ms)
        except StorageError as error:
            log.warning("ack_link_not_made", reason=str(error))
            return None

    def compose(self, message: Message, language: Language = "en", family: Family = PLAIN, *, now_ms: int) -> Letter:
        """The words of a message for one family of services, de-identified and within its limits."""
        tone = _tone(message)
        if message.kind == "report":
            return reported(message, language, family, self.public_url)
        if not message.alerts and message.group_key.startswith(_WORDED):
            return Letter(*write(_worded(message), family), tone, family.markup)
        telling = Telling(self, message, language, now_ms)
        if family.brief:
            return Letter("", brief(telling.pieces(), family), tone)
        title, body = write(telling.layout(), family)
        return Letter(title, body, tone, family.markup)


def _worded(message: Message) -> Layout:
    """A notice that has its words already: its title, then its lines."""
    title, *lines = deidentify(message.note).splitlines() or [""]
    return Layout(title, tuple(Line(line, weight=place) for place, line in enumerate(lines, 1)), "", lambda count: "")


def _tone(message: Message) -> Tone:
    """Apprise's kind, which colours the message where the service has colours."""
    if message.kind in ("acknowledged", "test"):
        return "info"
    if message.alerts and not message.firing:
        return "success"
    return "failure" if message.level == 3 else "warning" if message.level == 2 else "info"
