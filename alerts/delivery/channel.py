"""A channel: one place that takes notices, reached through Apprise. Its URL holds secrets and is never shown."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from alerts.delivery.outbox import NoticeKind
from alerts.delivery.privacy import deidentify

#: What stands in for a part of the URL in a service's error.
HIDDEN = "***"
#: Parts of a URL that are shorter than this are no secrets, and hiding them would garble the text.
_SHORTEST_SECRET = 4


class DeliveryError(Exception):
    """A service did not take a notice; the message says why, without secrets. Worth another try."""

    permanent = False


class Channel(Protocol):
    """One place that takes notices."""

    @property
    def name(self) -> str:
        """How it is called in the outbox, in logs and on the page; holds no secret."""
        ...

    def send(self, title: str, body: str, kind: NoticeKind) -> None:
        """Deliver one notice; returns once the service has taken it. Raises :class:`DeliveryError`."""
        ...


class AppriseChannel:
    """A channel behind an Apprise URL, e.g. ``slack://…`` or ``json://host/path``.

    Its name is the URL's scheme and six hex digits of its hash: the same URL keeps its name when others come and go.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        scheme, separator, _ = url.partition("://")
        digest = hashlib.sha256(url.encode()).hexdigest()[:6]
        self._name = f"{scheme.lower()[:20] if separator else 'unknown'}-{digest}"
        self._secrets = _secrets(url)
        self._service: Any = None

    def __repr__(self) -> str:
        return f"AppriseChannel({self._name})"

    @property
    def name(self) -> str:
        return self._name

    def check(self) -> str | None:
        """Why Apprise cannot use the URL, or None. Loads Apprise."""
        try:
            self._connect()
        except DeliveryError as error:
            return str(error)
        return None

    def send(self, title: str, body: str, kind: NoticeKind) -> None:
        service = self._connect()
        result = service.notify(title=title, body=body, notify_type=kind)
        if not result:
            reasons = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR", "CRITICAL")]
            reason = " ".join(" ".join(reasons).split()) or "the service refused the notice and did not say why"
            raise DeliveryError(self._scrub(reason))

    def _connect(self) -> Any:
        if self._service is not None:
            return self._service
        # Imported on first use: Apprise and its plug-ins take 36 MB and 0.3 s, and most servers have no channel.
        import apprise

        _quiet_logs()
        # Without a time limit of its own Apprise sends on this thread; with one it uses a shared pool of threads, in
        # which one hanging service would starve the others. The sender sets the limit.
        asset = apprise.AppriseAsset(
            app_id="Wakeless",
            app_desc="Wakeless",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            service_timeout=0,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        service = apprise.Apprise(asset=asset)
        if not service.add(self._url):
            raise DeliveryError("the channel's URL is not one that Apprise understands")
        self._service = service
        return service

    def _scrub(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return deidentify(text)


def _secrets(url: str) -> list[str]:
    """The whole URL and every part of it that could be a key, the longest first."""
    found = {url, url.partition("://")[2]}
    try:
        parts = urlsplit(url)
        found |= {parts.username or "", parts.password or "", *parts.path.split("/"), parts.netloc}
        found |= {value for _, value in parse_qsl(parts.query)}
    except ValueError:
        found |= set(url.replace("?", "/").replace("@", "/").replace(":", "/").split("/"))
    found |= {unquote(part) for part in found}
    return sorted((part for part in found if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


def _quiet_logs() -> None:
    """Keep the log lines of Apprise and urllib3, which may hold URLs, out of ours; the result brings the reason."""
    apprise_logger = logging.getLogger("apprise")
    apprise_logger.setLevel(logging.WARNING)
    apprise_logger.propagate = False
    if not apprise_logger.handlers:
        apprise_logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.WARNING)
