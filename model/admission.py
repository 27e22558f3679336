"""At the queue's door: who may go in, on what terms, and the wait of those who did."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from config import ModelSettings
from model.errors import Canceled, DeadlineExceeded, DeadlineUnreachable, Draining, QueueFull, Refusal
from model.meter import InferenceMeter
from model.progress import Progress
from model.queue import Obstacle, Stream, Work, WorkQueue
from model.terms import PRIORITIES, Caller, Terms

#: ``Retry-After`` of a server that stops, as far as that can be known: a restart takes a few seconds.
_RESTART_SECONDS = 5.0
#: A request that is answered within this time is not worth two system calls that tell whether its caller is there.
GRACE_SECONDS = 0.01


class Admission:
    """Lets requests into the queue or says why not, and waits with them. Whoever cannot be served is told at once."""

    def __init__(
        self,
        settings: ModelSettings,
        queue: WorkQueue,
        progress: Progress,
        meter: InferenceMeter,
        clock: Callable[[], float],
    ) -> None:
        self._longest = settings.deadline_seconds
        self._queue = queue
        self._progress = progress
        self._meter = meter
        self._clock = clock

    def deadline(self, terms: Terms, began: float) -> float:
        """When a request that began then has to be answered."""
        asked = terms.timeout_seconds
        return began + (self._longest if asked is None else min(asked, self._longest))

    def check(self, rank: int, deadline: float) -> None:
        """Refuse what would be refused later, before anything is spent on it. Raises a :class:`Refusal`."""
        obstacle = self._queue.obstacle(rank)
        if obstacle is not None:
            raise self._refusal(obstacle, rank)
        queue = self._queue
        seconds = self._progress.answer_seconds(queue.ahead(rank), queue.batch_size, queue.streams)
        if seconds and self._clock() + seconds > deadline:
            self._meter.rejected(PRIORITIES[rank], "deadline")
            raise DeadlineUnreachable(
                f"The answer would take about {seconds:.1f} s, which is longer than this request can wait.",
                reason="deadline_unreachable",
                retry_after_seconds=self.drain_seconds(),
                suggestion="Come back after Retry-After, or give the request more time.",
            )

    def await_all(self, works: Sequence[Work], terms: Terms, began: float) -> None:
        """Queue the works and wait for all; whatever ends the wait, what has not started is dropped."""
        caller = terms.caller
        try:
            if caller is not None and self._clock() - began > GRACE_SECONDS and caller.gone():
                raise _canceled()
            for number, work in enumerate(works):
                if not self._queue.offer(work, joins=number > 0):
                    raise self._refusal(self._queue.obstacle(work.rank) or "queue_full", work.rank)
            self._wait_all(works, caller)
        except BaseException:
            for work in works:
                self._queue.abandon(work)
            raise

    def open(self, stream: Stream, caller: Caller | None) -> None:
        """Let a stream begin. Raises a :class:`Refusal`."""
        if caller is not None and caller.gone():
            raise _canceled()
        if not self._queue.open(stream):
            raise self._stream_refusal(self._queue.stream_obstacle(stream.rank) or "queue_full", stream.rank)

    def check_stream(self, rank: int) -> None:
        """Refuse a stream that would be refused later. Raises a :class:`Refusal`."""
        obstacle = self._queue.stream_obstacle(rank)
        if obstacle is not None:
            raise self._stream_refusal(obstacle, rank)

    def drain_seconds(self) -> float:
        """How long the queue as it stands will take: the honest ``Retry-After``."""
        return self._progress.drain_seconds(len(self._queue), self._queue.batch_size, self._queue.streams)

    def _wait_all(self, works: Sequence[Work], caller: Caller | None) -> None:
        if caller is not None and not self._wait_briefly(works):

            def leave() -> None:
                for work in works:
                    self._queue.abandon(work)
                    work.hang_up()

            with caller.watch(leave):
                for work in works:
                    self._wait(work)
        else:
            for work in works:
                self._wait(work)

    def _wait_briefly(self, works: Sequence[Work]) -> bool:
        """Whether all are settled before it is worth while to look at the caller."""
        until = self._clock() + GRACE_SECONDS
        return all(work.wait(min(until, work.deadline) - self._clock()) for work in works)

    def _wait(self, work: Work) -> None:
        settled = work.wait(work.deadline - self._clock())
        if not settled and not work.settled:
            dropped = self._queue.abandon(work)
            if work.gone:
                raise _canceled()
            where = "waited in the queue" if dropped else "was being computed"
            raise DeadlineExceeded(
                f"No answer within the request's time ({self._longest:g} s at most): it {where}.",
                retry_after_seconds=self.drain_seconds(),
            )
        if work.error is not None:
            raise work.error

    def _refusal(self, obstacle: Obstacle, rank: int) -> Refusal:
        if obstacle == "closed":
            return _draining()
        seconds, priority = self.drain_seconds(), PRIORITIES[rank]
        self._meter.rejected(priority, obstacle)
        if obstacle == "shed":
            return QueueFull(
                f"{len(self._queue)} of {self._queue.size} places are taken; the rest is kept for higher priorities.",
                reason=f"shed: {priority}",
                retry_after_seconds=seconds,
                suggestion="Come back after Retry-After, or send what matters most with X-Priority: high.",
            )
        if obstacle == "overload":
            return QueueFull(
                f"More requests come than are answered; {len(self._queue)} wait, and no more until it has caught up.",
                reason="overload",
                retry_after_seconds=seconds,
                suggestion="Come back after Retry-After, or send what matters most with X-Priority: high.",
            )
        return QueueFull(
            f"{self._queue.size} requests are waiting already; the queue will take about {seconds:.0f} s.",
            reason="queue_full",
            retry_after_seconds=seconds,
            suggestion="Send fewer requests at a time, or raise model.queue_size and model.batch_size.",
        )

    def _stream_refusal(self, obstacle: Obstacle, rank: int) -> Refusal:
        if obstacle == "closed":
            return _draining()
        self._meter.rejected(PRIORITIES[rank], obstacle)
        return QueueFull(
            f"{self._queue.streams} of {self._queue.max_streams} streams are open already.",
            reason="streams_full" if obstacle == "queue_full" else f"shed: {PRIORITIES[rank]}",
            retry_after_seconds=self.drain_seconds(),
            suggestion="Come back after Retry-After, or raise model.max_streams.",
        )


def _draining() -> Draining:
    return Draining("The server is stopping.", reason="draining", retry_after_seconds=_RESTART_SECONDS)


def _canceled() -> Canceled:
    return Canceled("The caller hung up before its answer was there.", reason="canceled")
