"""A channel: one place that takes notices, in its own words. Where it leads holds secrets and is never shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from alerts.delivery.address import apprise_url
from alerts.delivery.compose import Composer
from alerts.delivery.family import Family, family_of
from alerts.delivery.message import Message
from alerts.delivery.receipt import DeliveryError, Receipt
from alerts.delivery.reporting import charts
from alerts.delivery.secret import scheme_of
from alerts.delivery.service import AppriseService, Letter, without_pictures
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.wording import Language

__all__ = ["AppriseChannel", "BrokenChannel", "Channel", "DeliveryError", "Voice", "told"]

log = structlog.get_logger(__name__)


class Channel(Protocol):
    """One place that takes notices."""

    @property
    def name(self) -> str:
        """How it is called in the outbox, in logs and on the page; holds no secret."""
        ...

    @property
    def spec(self) -> ChannelSpec:
        """Where it leads and how it is spoken to."""
        ...

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        """Deliver one notice; returns once the service has taken it. Raises :class:`DeliveryError`.

        ``key`` is the same for the same notice, however often it is sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """How all channels speak: the composer, their language unless they have one of their own, and who draws.

    ``picture_of(message, now_ms)`` is a PNG file of the last hour, or None.
    """

    composer: Composer
    language: Language = "en"
    picture_of: Callable[[Message, int], bytes | None] = lambda message, now_ms: None


class AppriseChannel:
    """A channel behind an Apprise URL, e.g. ``slack://…`` or ``mailto://…``."""

    def __init__(self, spec: ChannelSpec, voice: Voice) -> None:
        self.spec = spec
        self._voice = voice
        url = spec.url.get_secret_value()
        self._scheme = scheme_of(apprise_url(url))
        self._service = AppriseService(url)
        self._lock = threading.Lock()
        self._family: Family | None = None
        self._takes_inline = False

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name})"

    @property
    def name(self) -> str:
        return self.spec.name

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        shown = told(message, self.spec)
        if shown is None:
            return Receipt("", "", "nothing to tell: this channel is not told of what has resolved")
        family = self._known_family()
        letter = self._voice.composer.compose(shown, self.spec.language or self._voice.language, family, now_ms=now_ms)
        letter = self._illustrated(letter, shown, family, now_ms)
        return Receipt(letter.title, letter.body, self._service.deliver(letter, key))

    def _known_family(self) -> Family:
        with self._lock:
            if self._family is None:
                traits = self._service.traits()
                family = family_of(self._scheme, traits)
                self._family = replace(family, picture=family.picture and traits.takes_files)
                self._takes_inline = traits.takes_inline
            return self._family

    def _illustrated(self, letter: Letter, message: Message, family: Family, now_ms: int) -> Letter:
        """With its pictures: one that goes beside the words, or those of a report, which stand between them."""
        if message.kind != "report":
            return letter._replace(picture=self._picture(message, family, now_ms))
        if family.page and self.spec.picture and self._takes_inline:
            try:
                return letter._replace(inline=charts(message))
            except Exception:
                # A report without its pictures is still a report.
                log.exception("report_pictures_failed", channel=self.name)
        return letter._replace(body=without_pictures(letter))

    def _picture(self, message: Message, family: Family, now_ms: int) -> bytes | None:
        if not self.spec.picture or not family.picture:
            return None
        try:
            return self._voice.picture_of(message, now_ms)
        except Exception:
            # A notice without its picture is still a notice.
            log.exception("notice_picture_failed", channel=self.name)
            return None


class BrokenChannel:
    """A channel that cannot be used for now, e.g. because its key is lost; what is for it waits."""

    def __init__(self, spec: ChannelSpec, problem: str) -> None:
        self.spec = spec
        self.problem = problem

    @property
    def name(self) -> str:
        return self.spec.name

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        raise DeliveryError(self.problem, unclear=False)


def told(message: Message, spec: ChannelSpec) -> Message | None:
    """What of a message a channel is told: without what has resolved, where it does not want that; None for nothing."""
    if spec.send_resolved or not message.alerts or not message.resolved:
        return message
    firing = tuple(message.firing)
    return replace(message, alerts=firing) if firing else None
