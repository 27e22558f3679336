"""The sender: takes notices from the outbox to their channels, again and again until they are taken."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable

import structlog

from alerts.delivery.channel import Channel, DeliveryError
from alerts.delivery.outbox import Entry, Outbox

log = structlog.get_logger(__name__)

#: The longest wait between two attempts, so that a service that is back is noticed soon.
MAX_BACKOFF_SECONDS = 300.0
#: Most notices that one channel gets in one round.
_ROUND = 50
#: Attempts that may hang at the same time before the channel is left alone until one ends.
_MAX_HANGING = 3


class Sender:
    """Delivers what is due, each channel on a thread of its own, so that a slow one holds up no other.

    A notice that a service refuses waits while the others pass; only those about the same alert stay behind it.

    ``retry_seconds`` is the wait before a notice's first retry, it doubles, and the channel rests for so long after
    every failure, lest a service that is down be asked for each notice; ``give_up_seconds`` after its creation a notice
    is given up; ``timeout_seconds`` bounds one attempt; ``patience_seconds`` bounds how long :meth:`deliver` waits.
    A notice is delivered at least once: a crash between a delivery and its record repeats it.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Iterable[Channel],
        *,
        retry_seconds: float = 10.0,
        give_up_seconds: float = 24 * 3600.0,
        timeout_seconds: float = 30.0,
        patience_seconds: float = 5.0,
        jitter: random.Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._retry_ms = round(retry_seconds * 1000)
        self._give_up_ms = round(give_up_seconds * 1000)
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        # S311: jitter spreads retries, it keeps no secret.
        self._jitter = jitter or random.Random()  # noqa: S311
        self._lanes = {channel.name: _Lane(channel) for channel in channels}

    def deliver(self, now_ms: int) -> int:
        """Try everything that is due; returns how many notices were delivered while it waited."""
        waiting = self._outbox.waiting_channels()
        if not waiting:
            return 0
        unknown = [name for name in waiting if name not in self._lanes]
        if unknown:
            count = self._outbox.abandon(unknown, "the channel is not configured any more")
            log.warning("notices_abandoned", channels=unknown, count=count)
        started = [self._lanes[name] for name in waiting if name in self._lanes]
        started = [lane for lane in started if self._start(lane, now_ms)]
        deadline = time.monotonic() + self._patience_seconds
        for lane in started:
            if lane.thread is not None:
                lane.thread.join(max(0.0, deadline - time.monotonic()))
        return sum(lane.delivered for lane in started)

    def _start(self, lane: _Lane, now_ms: int) -> bool:
        if lane.thread is not None and lane.thread.is_alive():
            return False  # still at work since an earlier round
        if lane.failed_ms is not None and 0 <= now_ms - lane.failed_ms < self._retry_ms:
            return False
        lane.delivered, lane.failed_ms = 0, None
        lane.thread = threading.Thread(
            target=self._drain, args=(lane, now_ms), name=f"notice-{lane.channel.name}", daemon=True
        )
        lane.thread.start()
        return True

    def _drain(self, lane: _Lane, now_ms: int) -> None:
        """Deliver a channel's notices that are due, until one fails."""
        longest_ms = 2 * max(round(MAX_BACKOFF_SECONDS * 1000), self._retry_ms)  # no jitter makes a wait so long
        try:
            for _ in range(_ROUND):
                entry = self._outbox.next_due(lane.channel.name, now_ms, longest_ms)
                if entry is None:
                    return
                if not self._deliver_one(lane, entry, now_ms):
                    lane.failed_ms = now_ms
                    return
                lane.delivered += 1
        except Exception:
            # The edge of a thread: the notice is still in the outbox, and the next round tries again.
            log.exception("notice_lane_crashed", channel=lane.channel.name)

    def _deliver_one(self, lane: _Lane, entry: Entry, now_ms: int) -> bool:
        error = lane.attempt(entry, self._timeout_seconds)
        if error is None:
            self._outbox.mark_sent(entry, now_ms)
            log.info("notice_sent", channel=entry.channel, key=entry.key, attempts=entry.attempts + 1)
            return True
        give_up_ms = entry.created_ms + self._give_up_ms
        if now_ms >= give_up_ms:
            self._outbox.mark_failed(entry, error)
            log.error("notice_given_up", channel=entry.channel, key=entry.key, reason=error)
            return False
        next_ms = min(now_ms + self._backoff_ms(entry.attempts), give_up_ms)
        self._outbox.mark_retry(entry, next_ms, error)
        log.warning("notice_failed", channel=entry.channel, key=entry.key, attempts=entry.attempts + 1, reason=error)
        return False

    def _backoff_ms(self, attempts: int) -> int:
        longest = max(MAX_BACKOFF_SECONDS * 1000, self._retry_ms)
        return round(min(self._retry_ms * 2.0 ** min(attempts, 30), longest) * self._jitter.uniform(0.8, 1.2))


class _Lane:
    """One channel and the thread that serves it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.thread: threading.Thread | None = None
        self.delivered = 0
        self.failed_ms: int | None = None  # when its last round ended with a failure
        self._hanging: list[threading.Thread] = []

    def attempt(self, entry: Entry, timeout_seconds: float) -> str | None:
        """Send once, on a thread that is left behind if it hangs; returns why it failed, or None."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= _MAX_HANGING:
            return f"{len(self._hanging)} earlier attempts still hang"
        answer: list[str | None] = []
        thread = threading.Thread(target=self._send, args=(entry, answer), daemon=True)
        thread.start()
        thread.join(timeout_seconds)
        if answer:
            return answer[0]
        self._hanging.append(thread)
        return f"no answer within {timeout_seconds:g} s"

    def _send(self, entry: Entry, answer: list[str | None]) -> None:
        try:
            self.channel.send(entry.title, entry.body, entry.kind)
            answer.append(None)
        except DeliveryError as error:
            answer.append(str(error))
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever a plug-in raises is a failed attempt
            # Its text may hold the URL, so only its kind is told.
            answer.append(f"the channel failed with {type(error).__name__}")
