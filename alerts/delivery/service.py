"""A service behind an Apprise URL: loads Apprise, hands it what is to be sent, and tells what was really answered."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any, Literal, NamedTuple, TypeAlias

from alerts.delivery.address import apprise_url
from alerts.delivery.mail import keyed, stamp
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.secret import Secrets, channel_name, scheme_of
from alerts.delivery.verdict import Verdict, conclude, said
from alerts.delivery.wire import Wire, listen

#: Apprise's kinds, which colour a message where the service has colours.
Tone: TypeAlias = Literal["info", "success", "warning", "failure"]
Markup: TypeAlias = Literal["text", "markdown", "html"]


#: Between what calls everybody, or somebody, in a chat: Slack, Discord and Feishu read it in any text, and Apprise
#: makes it work where it was escaped.
_CALL = re.compile(r"(?<=[@!])(?=(?:everyone|here|channel|all)\b)|(?<=<[@!#])|(?<=<)(?=/?at\b)", re.IGNORECASE)


def quiet(text: str) -> str:
    """``text`` that calls nobody by name: whoever words an alert does not decide who is called."""
    return _CALL.sub("\N{ZERO WIDTH SPACE}", text)


#: A picture in a mail's text that comes with the mail.
_INLINE = re.compile(r'<img [^>]*src="cid:[^"]*"[^>]*>')


class Letter(NamedTuple):
    """What one service gets. ``picture`` is a PNG file, or None; ``inline`` are those that the body has by name."""

    title: str
    body: str
    tone: Tone = "info"
    markup: Markup = "text"
    picture: bytes | None = None
    inline: tuple[tuple[str, bytes], ...] = ()


def without_pictures(letter: Letter) -> str:
    """Its body without the pictures that would have come with it."""
    return _INLINE.sub("", letter.body) if letter.markup == "html" else letter.body


class Traits(NamedTuple):
    """What Apprise knows of a service: its limits in characters, whether it takes files, and pictures in its text.

    ``title_limit`` 0: it has no titles, and the title goes into the body.
    """

    body_limit: int
    title_limit: int
    takes_files: bool
    takes_inline: bool = False


class AppriseService:
    """One service behind an Apprise URL, e.g. ``slack://…`` or ``json://host/path``, or the address that it hands out
    itself. Neither is ever shown.
    """

    def __init__(self, url: str) -> None:
        self._url = apprise_url(url)
        self._secrets = Secrets(self._url, [url])
        self._scheme = scheme_of(self._url)
        self._lock = threading.Lock()
        self._apprise: Any = None

    def __repr__(self) -> str:
        return f"AppriseService({channel_name(self._url)})"

    def check(self) -> str | None:
        """Why Apprise cannot use the URL, or None. Loads Apprise."""
        try:
            self._connect()
        except DeliveryError as error:
            return str(error)
        return None

    def traits(self) -> Traits:
        """What the service can take. Raises :class:`DeliveryError`."""
        plugin = self._connect()[0]
        return Traits(
            int(plugin.body_maxlen), int(plugin.title_maxlen), self._takes_files(plugin), hasattr(plugin, "inline")
        )

    def deliver(self, letter: Letter, key: str = "") -> str:
        """Send it; returns what the service answered, without secrets. Raises :class:`DeliveryError`.

        Mails with the same ``key`` are the same mail.
        """
        service = self._connect()
        _quiet_logs()  # whoever sets up logging anew may have undone it
        if letter.inline:
            service[0].inline = True
        with listen() as wire, keyed(key):
            result = service.notify(
                title=quiet(letter.title),
                body=letter.body if letter.markup == "html" else quiet(letter.body),
                notify_type=letter.tone,
                body_format=letter.markup,
                attach=self._attachments(letter),
            )
        verdict = _verdict(result, wire, self._scheme)
        if not verdict.taken and (letter.picture is not None or letter.inline) and verdict.permanent:
            # It may be the picture that they do not want; what was said is worth more.
            return self.deliver(letter._replace(picture=None, inline=(), body=without_pictures(letter)), key)
        if not verdict.taken:
            raise verdict._replace(words=self._secrets.scrub(verdict.words)).error()
        return self._secrets.scrub(verdict.words)

    def _takes_files(self, plugin: Any) -> bool:
        if not plugin.attachment_support:
            return False
        return self._scheme != "slack" or str(plugin.mode) == "bot"  # Slack's webhooks take none

    def _attachments(self, letter: Letter) -> Any:
        files = [*letter.inline, *([] if letter.picture is None else [("last-hour.png", letter.picture)])]
        if not files:
            return None
        import apprise.attachment.memory

        attachment: Any = apprise.attachment.memory
        return [attachment.AttachMemory(content=file, name=name, mimetype="image/png") for name, file in files]

    def _connect(self) -> Any:
        with self._lock:
            if self._apprise is None:
                self._apprise = _load(self._url)
            return self._apprise


def _load(url: str) -> Any:
    # Imported on first use: Apprise and its plug-ins take 36 MB and 0.3 s, and most servers have no channel.
    _quiet_logs()
    import apprise

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
        http_redirects=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    service = apprise.Apprise(asset=asset)
    from alerts.delivery.plugin import mend, robot

    if not service.add(robot(url, asset) or url) or not len(service):
        raise DeliveryError("the channel's URL is not one that Apprise understands", permanent=True)
    if len(service) > 1:
        raise DeliveryError("the channel's URL is more than one", permanent=True)
    plugin: Any
    for plugin in service:
        # A key must not follow a redirect to somewhere else; retries and rates are the sender's business.
        plugin.redirects = False
        plugin.retry = 0
        plugin.request_rate_per_sec = 0
        plugin.throttle = lambda *_, **__: None
        mend(plugin)
        stamp(plugin)
    return service


def _verdict(result: Any, wire: Wire, scheme: str) -> Verdict:
    now_ms = time.time_ns() // 1_000_000  # for a Retry-After that names a moment
    accepted = bool(result)
    heard = conclude(wire, scheme, now_ms, accepted=accepted)
    if heard is not None and not heard.taken:
        return heard
    if accepted or said(wire):
        return heard or Verdict(True, "sent; the service gives no answer")
    # Neither a refusal nor a missing answer was heard: what is left are Apprise's own words.
    reasons = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR", "CRITICAL")]
    own = " ".join(" ".join(reasons).split()) or "the service refused the notice and did not say why"
    return Verdict(False, f"{own} ({heard.words})" if heard is not None and heard.words else own)


def _quiet_logs() -> None:
    """Keep the log lines of Apprise and urllib3, which may hold URLs, out of ours; the result brings the reason."""
    apprise_logger = logging.getLogger("apprise")
    apprise_logger.setLevel(logging.WARNING)
    apprise_logger.propagate = False
    if not apprise_logger.handlers:
        apprise_logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3").setLevel(logging.WARNING)
