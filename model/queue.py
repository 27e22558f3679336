"""The one bounded queue before the model thread: batches by size, window and bucket, steps of streams, and errands."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Literal

from model.errors import DeadlineExceeded
from model.lane import Lanes
from model.refill import Refill
from model.stream import Stream
from model.work import Work

__all__ = ["Errand", "Obstacle", "Stream", "Turn", "Work", "WorkQueue"]

#: Something else the model thread is to do: a health check, a switch of instances.
Errand = Callable[[], None]
#: What the model thread does next.
Turn = list[Work] | Stream | Errand
#: Why nothing can be put in: ``shed`` is a queue that keeps its last places for what is more important, ``overload``
#: one that is kept short because more comes than goes.
Obstacle = Literal["closed", "queue_full", "shed", "overload"]
#: So many batches may wait in one that is kept short: the next, and one that fills while that one is computed.
_SHORT_BATCHES = 2

#: How often streams that rest are looked at for their deadline.
_REST_SECONDS = 1.0


class WorkQueue:
    """At most ``size`` works wait and ``max_streams`` streams are open. Many request threads offer, one thread takes.

    ``window_seconds`` is how long the oldest work may wait for its batch to fill; 0 takes what is there, but for a
    moment in which those who have just been answered may come back (``fill_share``, see :class:`Refill`). ``shed`` says
    from which share of ``size`` on works of normal and of low priority are refused, and ``aging_seconds`` how long a
    work waits until it counts as one priority higher.

    ``size`` is for bursts. A queue that has filled up to where normal priority is refused holds more than a burst: as
    long as more comes than goes it would stay full, answer no more for it, and make everybody wait for all of it. So
    from then on only high priority is let in behind more than two batches, until it has been empty once.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        window_seconds: float,
        clock: Callable[[], float],
        *,
        shed: tuple[float, float] = (1.0, 1.0),
        aging_seconds: float = math.inf,
        max_streams: int = 16,
        fill_share: float = 0.0,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.max_streams = max_streams
        self._window = window_seconds
        self._refill = Refill(fill_share)
        self._clock = clock
        self._limits = tuple(math.ceil(size * share) for share in (1.0, *shed))
        self._stream_limits = tuple(math.ceil(max_streams * share) for share in (1.0, *shed))
        #: Whether it has filled up and has not been empty since.
        self._overrun = False
        self._changed = threading.Condition()
        self._waiting = Lanes(aging_seconds)
        self._streams: set[Stream] = set()
        #: Streams that stand in line for a turn, and how many of them go before the next batch.
        self._ring: deque[Stream] = deque()
        self._round = 0
        self._urgent: deque[Errand] = deque()
        self._idle: deque[Errand] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether an offer of any priority would be refused now."""
        return len(self._waiting) >= self.size

    @property
    def overrun(self) -> bool:
        """Whether it has filled up and not been empty since: it is kept short, however many come."""
        return self._overrun

    @property
    def closed(self) -> bool:
        """Whether the queue takes nothing more."""
        return self._closed

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def oldest(self) -> float | None:
        """When the longest waiting work came."""
        with self._changed:
            return self._waiting.oldest()

    def ahead(self, rank: int) -> int:
        """How many works would be served before a newcomer of this rank."""
        return self._waiting.ahead(rank)

    def obstacle(self, rank: int, *, joins: bool = False) -> Obstacle | None:
        """Why an offer of this rank would be refused now; ``joins``: another input of a request that is in already."""
        if self._closed:
            return "closed"
        depth = len(self._waiting)
        if depth >= self.size:
            return "queue_full"
        if depth >= self._limits[rank]:
            return "shed"
        crowded = (
            rank > 0 and self._overrun and not joins and self._waiting.ahead(rank) >= _SHORT_BATCHES * self.batch_size
        )
        return "overload" if crowded else None

    def stream_obstacle(self, rank: int) -> Obstacle | None:
        """Why another stream of this rank would be refused now."""
        if self._closed:
            return "closed"
        if len(self._streams) >= self.max_streams:
            return "queue_full"
        return "shed" if len(self._streams) >= self._stream_limits[rank] else None

    def offer(self, work: Work, *, joins: bool = False) -> bool:
        """Put ``work`` in; ``False`` when there is an :meth:`obstacle`."""
        with self._changed:
            if self.obstacle(work.rank, joins=joins) is not None:
                return False
            work.enqueued = self._clock()
            filled = self._waiting.add(work)
            self._overrun |= len(self._waiting) >= self._limits[1]
            # The taker sleeps through arrivals that change nothing for it: only the first one wakes it, and the last
            # one that it waits for.
            if filled == self.batch_size or len(self._waiting) in (1, self._refill.expected):
                self._changed.notify()
            return True

    def abandon(self, work: Work) -> bool:
        """Give up on ``work``; ``True`` when it had not started and so never reaches the device."""
        with self._changed:
            if work.phase != "waiting":
                return False
            self._waiting.discard(work)
            work.phase = "dropped"
            work.input = None
            return True

    def open(self, stream: Stream) -> bool:
        """Let ``stream`` have turns; ``False`` when there is a :meth:`stream_obstacle`."""
        with self._changed:
            if self.stream_obstacle(stream.rank) is not None:
                return False
            stream.enqueued = self._clock()
            self._streams.add(stream)
            self._line_up(stream)
            return True

    def again(self, stream: Stream) -> None:
        """Let ``stream`` have another turn, if it is open and does not stand in line already."""
        with self._changed:
            if stream in self._streams:
                self._line_up(stream)

    def leave(self, stream: Stream) -> None:
        """Let go of a stream that has ended and been closed."""
        with self._changed:
            self._streams.discard(stream)

    def submit(self, errand: Errand, *, urgent: bool) -> bool:
        """Have the model thread run ``errand``: before the next batch if urgent, else when nothing waits."""
        with self._changed:
            if self._closed:
                return False
            (self._urgent if urgent else self._idle).append(errand)
            self._changed.notify()
            return True

    def take(self) -> Turn | None:
        """Block for the next turn; ``None`` when the queue is closed and empty.

        A batch, then a step of each stream that stands in line, and so on: neither blocks the other.
        """
        with self._changed:
            self._refill.back(self._clock())
            while True:
                if self._urgent:
                    return self._urgent.popleft()
                if self._round > 0 and self._ring:
                    return self._next_stream()
                now = self._clock()
                patience = self._patience(now)
                if patience is not None and patience <= 0 and (batch := self._pop_batch(now)):
                    self._round = len(self._ring)
                    return batch
                if self._ring or self._wake_late(now):
                    return self._next_stream()
                if self._waiting:
                    self._rest(patience)
                elif self._closed and not self._streams:
                    return None
                elif self._idle and not self._closed:
                    return self._idle.popleft()
                else:
                    self._rest(None)

    def close(self) -> None:
        """Take nothing more; what waits can still be taken, and streams go on until they end."""
        with self._changed:
            self._closed = True
            self._idle.clear()
            self._changed.notify_all()

    def fail_all(self, make_error: Callable[[], Exception]) -> int:
        """Settle everything that waits, and end all streams, with an error of its own each; return how many."""
        with self._changed:
            works = self._waiting.clear()
            self._overrun = False
        now = self._clock()
        for work in works:
            work.fail(make_error(), now)
        return len(works) + len(self.end_streams(make_error))

    def end_streams(self, make_error: Callable[[], Exception]) -> list[Stream]:
        """End all open streams with an error of its own each, and give them a turn to be closed; return them."""
        with self._changed:
            streams = list(self._streams)
        for stream in streams:
            stream.end(make_error())
            self.again(stream)
        return streams

    def _patience(self, now: float) -> float | None:
        """Seconds to go on waiting for a fuller batch; ``None`` while nothing waits."""
        oldest = self._waiting.oldest()
        if oldest is None:
            return None
        if self._closed or self._waiting.filled(self.batch_size) is not None:
            return 0.0
        until = oldest + self._window
        if len(self._waiting) < self._refill.expected:
            until = max(until, self._refill.until)
        return until - now

    def _pop_batch(self, now: float) -> list[Work]:
        """Works of one bucket that are still in time, as many as go together; those that are late are dropped here.

        The bucket is that of the work whose turn it is; within the window, one that fills a batch.
        """
        batch: list[Work] = []
        work = self._waiting.lead(now)
        if work is not None and not self._closed and self._window > 0 and work.enqueued + self._window > now:
            work = self._waiting.filled(self.batch_size) or work
        while work is not None and len(batch) < self.batch_size:
            self._waiting.discard(work)
            bucket: Hashable = work.bucket
            if work.deadline <= now:
                work.fail(DeadlineExceeded("The deadline passed while the request waited in the queue."), now)
            else:
                work.phase = "running"
                work.started = now
                batch.append(work)
            work = self._waiting.lead_of(bucket, now) if batch else self._waiting.lead(now)
        self._overrun &= len(self._waiting) > 0
        self._refill.taken(len(batch), len(self._waiting), now)
        return batch

    def _line_up(self, stream: Stream) -> None:
        if not stream.queued:
            stream.queued = True
            self._ring.append(stream)
            self._changed.notify()

    def _next_stream(self) -> Stream:
        self._round = max(0, self._round - 1)
        stream = self._ring.popleft()
        stream.queued = False
        return stream

    def _wake_late(self, now: float) -> bool:
        """Line up the streams that rest past their deadline, to be ended; ``True`` if there are any."""
        for stream in self._streams:
            if stream.deadline <= now:
                self._line_up(stream)
        return bool(self._ring)

    def _rest(self, seconds: float | None) -> None:
        """Sleep until something changes; with open streams never for long, since they may run late."""
        if self._streams:
            seconds = _REST_SECONDS if seconds is None else min(seconds, _REST_SECONDS)
        self._changed.wait(seconds)
