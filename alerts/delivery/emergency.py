"""The last resort: while the database takes nothing, what is most urgent is told past the outbox.

A full disk must not be what nobody hears of. Nothing of this is written down: each alert is told once to each channel
while the trouble lasts, and told again, in order, once the database is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import structlog

from alerts.delivery.message import Fact, Message
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.sender import Channels
from alerts.state import Alert

log = structlog.get_logger(__name__)

#: Only what is as urgent as this.
LEAST_LEVEL = 3
#: A database that is busy for a moment is no emergency.
PATIENCE_MS = 30_000
#: Between two attempts for what a channel has not taken.
RETRY_MS = 60_000


class Emergency:
    """Tells of alerts directly. ``channels_of(alert, now_ms)`` names where an alert is to be told now and has not
    been; it asks memory only."""

    def __init__(self, channels: Channels, channels_of: Callable[[Alert, int], Iterable[str]]) -> None:
        self._channels = channels
        self._channels_of = channels_of
        self._lock = threading.Lock()
        self._told: set[tuple[str, str]] = set()  # channel and fingerprint
        self._since_ms: int | None = None
        self._tried_ms: int | None = None
        self._thread: threading.Thread | None = None

    def follow(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """The database takes nothing: tell what is urgent if that has lasted. Returns at once."""
        since_ms = self._since_ms = now_ms if self._since_ms is None else min(self._since_ms, now_ms)
        if now_ms - since_ms < PATIENCE_MS or (self._thread is not None and self._thread.is_alive()):
            return
        letters: dict[str, list[Alert]] = {}
        for alert in alerts:
            if alert.state == "firing" and alert.level >= LEAST_LEVEL:
                for name in self._channels_of(alert, now_ms):
                    if (name, alert.fingerprint) not in self._told:
                        letters.setdefault(name, []).append(alert)
        if not letters or (self._tried_ms is not None and 0 <= now_ms - self._tried_ms < RETRY_MS):
            return
        self._tried_ms = now_ms
        self._thread = threading.Thread(target=self._tell, args=(letters, now_ms), name="notice-emergency", daemon=True)
        self._thread.start()

    def over(self) -> None:
        """The database is back."""
        self._since_ms = self._tried_ms = None
        with self._lock:
            self._told.clear()

    def _tell(self, letters: dict[str, list[Alert]], now_ms: int) -> None:
        for name, alerts in letters.items():
            key = f"emergency-{now_ms}-{name}"
            message = Message("alerts", name, key, {}, tuple(Fact.of(alert) for alert in alerts), now_ms)
            channel = self._channels.get(name)
            if channel is None:
                continue
            try:
                channel.send(message, key, now_ms)
            except DeliveryError as error:
                log.error("emergency_notice_failed", channel=name, reason=str(error))
            except Exception as error:  # noqa: BLE001 - whatever a plug-in raises; its text may hold the URL
                log.error("emergency_notice_failed", channel=name, reason=type(error).__name__)
            else:
                log.warning("emergency_notice_sent", channel=name, alerts=[alert.rule for alert in alerts])
                with self._lock:
                    self._told |= {(name, alert.fingerprint) for alert in alerts}
