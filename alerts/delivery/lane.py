"""A lane: the way to one channel, walked by one thread at a time, one notice after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from alerts.delivery.channel import Channel
from alerts.delivery.message import Message
from alerts.delivery.pace import Pace
from alerts.delivery.receipt import DeliveryError, Receipt, whole

#: How one attempt ended.
Result: TypeAlias = Receipt | DeliveryError

#: Attempts that may hang at the same time before the channel is left alone until one ends.
_MAX_HANGING = 3


class Crash(DeliveryError):
    """The channel's own code failed: perhaps with this notice only."""


class Lane:
    """One channel's lane. ``pace`` and ``unsaved`` are touched by the thread at work only.

    ``unsaved`` records how an attempt ended that the database did not take down: nothing is sent before it has.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pace: Pace | None = None
        self.unsaved: Callable[[], None] | None = None
        self.delivered = 0
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._at_work = False
        self._again = False
        self._hanging: list[_Attempt] = []

    @property
    def is_at_work(self) -> bool:
        """Whether a thread walks it."""
        return self._at_work

    def start(self, work: Callable[[Lane], None]) -> bool:
        """Have a thread walk the lane; False if one does already, which then looks once more before it ends."""
        with self._lock:
            if self._at_work:
                self._again = True
                return False
            thread = threading.Thread(target=self._work, args=(work,), name=f"notice-{self.name}", daemon=True)
            self._again, self.delivered = False, 0
            thread.start()  # may fail: then nobody is at work
            self._at_work, self.thread = True, thread
        return True

    def _work(self, work: Callable[[Lane], None]) -> None:
        try:
            work(self)
        finally:
            with self._lock:
                if self.thread is threading.current_thread():  # else the next one is at work already
                    self._at_work = False

    def is_over(self) -> bool:
        """Whether the thread at work may end: nobody has asked it to look once more."""
        with self._lock:
            over = not self._again
            self._again = False
            if over:
                self._at_work = False
            return over

    # --- attempts ------------------------------------------------------------------------------------------------

    def attempt(self, channel: Channel, message: Message, key: str, now_ms: int, timeout_seconds: float) -> Result:
        """Send once, on a thread that is left behind if it hangs."""
        self._hanging = [attempt for attempt in self._hanging if attempt.is_worth_keeping()]
        if sum(attempt.thread.is_alive() for attempt in self._hanging) >= _MAX_HANGING:
            return DeliveryError(f"{_MAX_HANGING} earlier attempts still hang", unclear=True)
        attempt = _Attempt(channel, message, key, now_ms)
        try:
            attempt.thread.start()
        except RuntimeError as error:
            return DeliveryError(f"nothing was sent: {error}", unclear=False)
        attempt.thread.join(timeout_seconds)
        if attempt.result is not None:
            return attempt.result
        self._hanging.append(attempt)
        return DeliveryError(f"no answer within {timeout_seconds:g} s", unclear=True)

    def late_receipt(self, key: str) -> Receipt | None:
        """What the service said to an attempt that had been given up as hanging, if it has taken the notice since."""
        for attempt in self._hanging:
            if attempt.key == key and isinstance(attempt.result, Receipt):
                self._hanging.remove(attempt)
                return attempt.result
        return None


class _Attempt:
    """One call of a channel. ``result`` is None while there is no answer."""

    def __init__(self, channel: Channel, message: Message, key: str, now_ms: int) -> None:
        self.key = key
        self.result: Result | None = None
        self.thread = threading.Thread(
            target=self._send, args=(channel, message, now_ms), name=f"attempt-{key}", daemon=True
        )

    def is_worth_keeping(self) -> bool:
        return self.thread.is_alive() or isinstance(self.result, Receipt)

    def _send(self, channel: Channel, message: Message, now_ms: int) -> None:
        try:
            self.result = Receipt(*map(whole, channel.send(message, self.key, now_ms)))
        except DeliveryError as error:
            self.result = error
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever a plug-in raises is a failed attempt
            # Its text may hold the URL, so only its kind is told.
            self.result = Crash(f"the channel failed with {type(error).__name__}", unclear=True)
