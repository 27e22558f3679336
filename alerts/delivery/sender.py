"""The sender: takes notices from the outbox to their channels, each channel's in order, until they are taken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from alerts.delivery.catchup import Digest, Language
from alerts.delivery.channel import Channel
from alerts.delivery.entry import UNREADABLE, Entry
from alerts.delivery.lane import Crash, Lane
from alerts.delivery.message import Message
from alerts.delivery.outbox import Outbox
from alerts.delivery.pace import Pace, limits
from alerts.delivery.receipt import DeliveryError, Receipt
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: The longest wait between two attempts, so that a service that is back is noticed soon …
MAX_BACKOFF_SECONDS = 300.0
#: … unless the service itself asks for a longer one.
MAX_RETRY_AFTER_SECONDS = 3600.0
#: So many notices that wait are told one by one; more than that are merged when they are late or too many.
A_FEW = 3
#: After so many attempts even a few are merged: perhaps it is this notice that the service does not take.
PATIENT_ATTEMPTS = 5
#: A channel whose own code fails so often with one notice gives that notice up.
MAX_CRASHES = 5
#: Notices may come in while others are being merged; then it begins anew, so often.
_MERGE_TRIES = 5
#: A clock that goes back by less was read by two threads at once.
_CLOCK_SLACK_MS = 1000
#: Most notices that one channel gets in one round.
_ROUND = 50


class Channels(Protocol):
    """The channels there are, by name."""

    def get(self, name: str) -> Channel | None:
        """The channel of that name, or None."""
        ...


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Sender:
    """Delivers what waits, each channel on a thread of its own, so that a slow one holds up no other.

    A channel's notices go strictly in order. One that is refused for good is given up at once; while one fails for the
    time being, its channel rests for ``retry_seconds``, then twice as long each time, or for as long as the service
    says. ``give_up_seconds`` after its creation a notice that fails is given up. Notices that waited for longer than
    ``catch_up_seconds`` (0: however long), or that are more than the service takes, are told in one.

    ``timeout_seconds`` bounds one attempt; ``patience_seconds`` bounds how long :meth:`deliver` waits; ``language`` is
    that of summaries where the channel has none. ``clock`` gives UTC milliseconds, ``elapsed`` seconds that only grow.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Channels,
        *,
        retry_seconds: float = 10.0,
        give_up_seconds: float = 24 * 3600.0,
        catch_up_seconds: float = 300.0,
        timeout_seconds: float = 30.0,
        patience_seconds: float = 5.0,
        language: Language = "en",
        clock: Callable[[], int] = _wall_ms,
        elapsed: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._retry_ms = round(retry_seconds * 1000)
        self._give_up_ms = round(give_up_seconds * 1000)
        self._catch_up_ms = round(catch_up_seconds * 1000)
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._language: Language = language
        self._clock = clock
        self._elapsed = elapsed
        # S311: jitter spreads retries, it keeps no secret.
        self._jitter = jitter or random.Random()  # noqa: S311
        self._lanes: dict[str, Lane] = {}
        self._closed = False
        self._last_ms = 0

    def deliver(self, now_ms: int) -> int:
        """Try everything that is due; returns how many notices were delivered while it waited."""
        started = self._start(now_ms)
        deadline = time.monotonic() + self._patience_seconds
        for lane in started:
            if lane.thread is not None:
                lane.thread.join(max(0.0, deadline - time.monotonic()))
        return sum(lane.delivered for lane in started)

    def wake(self) -> None:
        """Something new waits: send it now, not with the next round. Returns at once."""
        try:
            self._start(self._clock())
        except StorageError as error:
            log.warning("notices_wait_for_database", reason=str(error))

    def close(self, within_seconds: float = 5.0) -> None:
        """Begin nothing more, and let what is under way end and be written down: it would be sent again otherwise."""
        self._closed = True
        deadline = time.monotonic() + within_seconds
        for lane in [*self._lanes.values()]:
            if lane.thread is not None:
                lane.thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self, now_ms: int) -> list[Lane]:
        """Have a thread walk every lane in which something waits; returns those that nobody walked before."""
        if self._closed:
            return []
        self._follow_clock(now_ms)
        waiting = self._outbox.waiting_channels()
        unknown = [name for name in waiting if self._channels.get(name) is None and not self._is_at_work(name)]
        if unknown:
            count = self._outbox.abandon(unknown, "the channel is not configured any more")
            log.warning("notices_abandoned", channels=unknown, count=count)
        began = self._elapsed()
        now = lambda: now_ms + round((self._elapsed() - began) * 1000)  # noqa: E731
        lanes = [self._lanes.setdefault(name, Lane(name)) for name in waiting if name not in unknown]
        return [lane for lane in lanes if lane.start(lambda lane: self._walk(lane, now))]

    def _is_at_work(self, channel: str) -> bool:
        """Whether something may be under way to a channel: also of one that has just been removed it counts."""
        lane = self._lanes.get(channel)
        return lane is not None and lane.is_at_work

    def _follow_clock(self, now_ms: int) -> None:
        """A clock that was set back makes no channel rest for longer."""
        back_ms, self._last_ms = self._last_ms - now_ms, now_ms
        if back_ms > _CLOCK_SLACK_MS:
            self._outbox.set_back(back_ms, now_ms)

    # --- on a lane's thread --------------------------------------------------------------------------------------

    def _walk(self, lane: Lane, now: Callable[[], int]) -> None:
        """Deliver a channel's notices until none is left that may go now."""
        try:
            for _ in range(_ROUND):
                if not self._step(lane, now) and lane.is_over():
                    return
        except StorageError as error:  # every notice is still there, and the next round tries again
            log.warning("notices_wait_for_database", channel=lane.name, reason=str(error))
        except Exception:  # the edge of a thread
            log.exception("notice_lane_crashed", channel=lane.name)

    def _step(self, lane: Lane, now: Callable[[], int]) -> bool:
        """Do what is next; False if nothing may be done now."""
        if lane.unsaved is not None:
            lane.unsaved()
            lane.unsaved = None
        if self._closed:
            return False
        channel, head = self._channels.get(lane.name), self._outbox.head(lane.name)
        if channel is None or head is None or not self._is_due(head, now()):
            return False
        bounds = limits(channel.spec)
        if lane.pace is None:
            lane.pace = Pace(self._outbox.sent_times(lane.name, sum(limit.most for limit in bounds) or 1))
        if lane.pace.free_ms(bounds, now()) > now():
            return False
        if self._merge(lane, channel, head, lane.pace.room(bounds, now()), now()):
            return True
        return self._deliver_one(lane, channel, head, now)

    def _is_due(self, entry: Entry, now_ms: int) -> bool:
        """Whether its time has come. A wait that we did not set means that the clock was set back."""
        if entry.attempts == 0 and entry.next_ms <= entry.created_ms:
            return True
        longest_ms = 2 * max(round(MAX_RETRY_AFTER_SECONDS * 1000), self._retry_ms)
        return not now_ms < entry.next_ms <= now_ms + longest_ms

    def _merge(self, lane: Lane, channel: Channel, head: Entry, room: float, now_ms: int) -> bool:
        """Put one summary in the place of what is late or too much; whether it did."""
        if head.attempt_ms is not None:
            return False  # it may have been told already: first it goes again as it is
        crowd = self._outbox.crowd(lane.name)
        count, oldest_ms = crowd.count, crowd.oldest_ms
        if count < 2 or (count <= A_FEW and not head.is_summary and head.attempts < PATIENT_ATTEMPTS):
            return False
        late = 0 < self._catch_up_ms <= now_ms - oldest_ms
        if not late and count <= room:
            return False
        language = channel.spec.language or self._language

        def tell(entries: Iterable[Entry]) -> Message:
            digest = Digest()
            for entry in entries:
                digest.add(entry.read())
            if not channel.spec.send_resolved:
                digest.correct(self._outbox.latest)
            return digest.message(lane.name, oldest_ms, now_ms, late=late, language=language)

        try:
            merged = any(self._outbox.merge(lane.name, tell, now_ms) for _ in range(_MERGE_TRIES))
        except UNREADABLE:  # each goes by itself then, and the one that cannot be read is given up
            return False
        if merged:
            log.info("notices_merged", channel=lane.name, count=count, why="late" if late else "rate")
        return merged

    def _deliver_one(self, lane: Lane, channel: Channel, entry: Entry, now: Callable[[], int]) -> bool:
        """Send one notice and write down how that ended; whether the next one may follow."""
        receipt = lane.late_receipt(entry.key)
        if receipt is not None:
            return self._settle(lane, entry, receipt, now())
        try:
            message = entry.read()
        except UNREADABLE as error:
            return self._settle(lane, entry, DeliveryError(f"the notice cannot be read: {error}", True), now())
        if entry.attempt_ms is not None:
            log.info("notice_repeated", channel=entry.channel, key=entry.key, attempt_ms=entry.attempt_ms)
        if not self._outbox.begin(entry, now()):
            return True  # somebody has taken it out meanwhile
        if lane.pace is not None:
            lane.pace.note(now())
        result = lane.attempt(channel, message, entry.key, now(), self._timeout_seconds)
        return self._settle(lane, entry, result, now())

    def _settle(self, lane: Lane, entry: Entry, result: Receipt | DeliveryError, now_ms: int) -> bool:
        """Write down how an attempt ended. Until the database has taken it, the lane sends nothing."""
        record, goes_on = self._verdict(lane, entry, result, now_ms)
        lane.unsaved = record
        record()
        lane.unsaved = None
        return goes_on

    def _verdict(
        self, lane: Lane, entry: Entry, result: Receipt | DeliveryError, now_ms: int
    ) -> tuple[Callable[[], None], bool]:
        """What is to be written down of an attempt, and whether the next notice may follow at once."""
        told = {"channel": entry.channel, "key": entry.key, "attempts": entry.attempts + 1}
        if isinstance(result, Receipt):
            log.info("notice_sent", **told, answer=result.answer)
            lane.delivered += 1
            return lambda: self._outbox.mark_sent(entry, result, now_ms), True
        reason = str(result)
        if result.permanent or (isinstance(result, Crash) and entry.attempts + 1 >= MAX_CRASHES):
            log.error("notice_refused", **told, reason=reason)
            return lambda: self._outbox.mark_failed(entry, reason), True
        next_ms = now_ms + self._wait_ms(entry.attempts, result.retry_after_seconds)
        give_up_ms = entry.fresh_ms + self._give_up_ms
        if now_ms >= give_up_ms:
            log.error("notice_given_up", **told, reason=reason)
            return lambda: self._outbox.mark_failed(entry, reason, next_ms), False
        log.warning("notice_failed", **told, reason=reason)
        retry_ms = min(next_ms, give_up_ms)
        return lambda: self._outbox.mark_retry(entry, retry_ms, reason, unclear=result.unclear), False

    def _wait_ms(self, attempts: int, retry_after_seconds: float | None) -> int:
        """How long a lane rests after a failure: exponentially longer, or as the service says; with jitter."""
        if retry_after_seconds is not None:
            seconds = min(max(retry_after_seconds, 1.0), MAX_RETRY_AFTER_SECONDS)
            return round(seconds * 1000 * self._jitter.uniform(1.0, 1.1))
        longest = max(MAX_BACKOFF_SECONDS * 1000, self._retry_ms)
        return round(min(self._retry_ms * 2.0 ** min(attempts, 30), longest) * self._jitter.uniform(0.8, 1.2))
