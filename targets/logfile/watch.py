"""Follow the logs of all targets: one thread reads, and one transaction a second takes what it has read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog
from sqlalchemy import Connection

from collectors.sample import Sample, Tick
from storage.engine import Database, hurried, unsynced
from storage.error import StorageError
from targets.logfile.entry import LogState, MakeMatcher
from targets.logfile.following import Following
from targets.logfile.matching import Matcher, merge
from targets.logfile.roll import Roll
from targets.logfile.store import forget
from targets.logfile.wake import Waker
from targets.target import Target

logger = structlog.get_logger(__name__)

#: Time between two rounds of reading and committing, and the least between two looks that something woke.
ROUND_SECONDS = 1.0
LOOK_SECONDS = 0.05
#: What each source may read before the next one has its turn.
FAIR_BYTES = 512 * 1024
#: How long a transaction waits for others; and how long, at most, until it is tried again.
PATIENCE_SECONDS = 2.0
RETRY_SECONDS = 30.0
STOP_SECONDS = 3.0
#: How often what is followed no more is looked for.
FORGET_MS = 3_600_000
SOURCE = "logs"


class LogWatch:
    """The logs of all targets.

    Args:
        database: where positions, counts and events are kept.
        clock_ms: what time it is.
        matcher: makes who looks through the entries of one source.
    """

    def __init__(self, database: Database, clock_ms: Callable[[], int], *, matcher: MakeMatcher = Matcher) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._roll = Roll(database, matcher)
        self._wake = threading.Event()
        self._waker = Waker(self._wake)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._wanted: Sequence[Target] | None = None
        self._thread: threading.Thread | None = None
        self._started = False
        self._samples: tuple[Sample, ...] = ()
        self._states: tuple[LogState, ...] = ()
        self._told_ms: int | None = None
        self._trouble: str | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._turn = 0
        self._forgotten_ms: int | None = None
        self._unsaved: list[Following] = []

    def start(self) -> None:
        """Begin to read, as soon as there is a log to read."""
        with self._lock:
            self._started = True
            self._begin()

    def _begin(self) -> None:
        if self._started and self._wanted is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End. What is committed is all that counts."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            thread, self._started = self._thread, False
        if thread is not None:
            thread.join(STOP_SECONDS)

    def replace(self, targets: Sequence[Target]) -> None:
        """Follow the logs of these from now on."""
        with self._lock:
            if self._thread is not None or any(target.settings.log for target in targets):
                self._wanted = tuple(targets)
                self._wake.set()
                self._begin()

    def collect(self, now_ms: int) -> list[Tick]:
        """What was read up to the last commit, as series."""
        samples = self._samples
        if self._told_ms is not None and now_ms <= self._told_ms:
            return []
        if not samples and self._told_ms is None:
            return []
        self._told_ms = now_ms if samples else None
        return [Tick(SOURCE, now_ms, samples)]

    def states(self) -> list[LogState]:
        """How the reading of each source goes."""
        return list(self._states)

    # -- the reader's thread --

    def _run(self) -> None:
        next_round = time.monotonic()
        try:
            while not self._stopping.is_set():
                more = False
                try:
                    if time.monotonic() >= next_round:
                        next_round = time.monotonic() + ROUND_SECONDS
                        more = self.round(self._clock_ms())
                    else:
                        self._look(self._clock_ms())
                except Exception:  # the edge of this thread
                    logger.exception("log_round_failed")
                self._stopping.wait(LOOK_SECONDS)
                if not more:
                    self._wake.wait(max(next_round - time.monotonic(), 0.0))
                self._wake.clear()
        finally:
            self._waker.close()
            self._roll.close()

    def round(self, now_ms: int) -> bool:
        """Look, read for a second at most, and commit; returns whether there is more already."""
        self._look(now_ms)
        if time.monotonic() < self._retry_at:
            self._publish(now_ms)
            return False
        more = self._read(now_ms)
        self._commit(now_ms)
        self._publish(now_ms)
        return more and not self._failures

    def _look(self, now_ms: int) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._roll.replace(wanted)
        try:
            self._roll.refresh(now_ms)
        except StorageError as error:
            self._fail(error)
        for following in self._roll.followings:
            self._guarded(following, partial(following.look, now_ms))
        self._waker.watch(self._roll.folders)

    def _guarded(self, following: Following, job: Callable[[], object]) -> bool:
        """Do it; what one source fails with is its own trouble."""
        try:
            return bool(job())
        except Exception as error:  # one source shall not end the others
            logger.exception("log_source_failed", target=following.key[0], source=following.key[1])
            following.undo()
            following.fail(f"cannot be read: {error!r}")
            return False

    def _read(self, now_ms: int) -> bool:
        """Read in turns, so that a flood in one source does not hold up the others."""
        deadline = time.monotonic() + ROUND_SECONDS
        followings = self._roll.followings
        self._turn += 1
        first = self._turn % len(followings) if followings else 0
        followings = followings[first:] + followings[:first]
        while followings:
            begun = time.monotonic()
            followings = [one for one in followings if self._guarded(one, partial(one.read, now_ms, FAIR_BYTES))]
            if self._stopping.is_set() or time.monotonic() > deadline:
                break
            if followings:  # catching up: leave half of the time to the server
                self._stopping.wait(time.monotonic() - begun)
        return bool(followings)

    def _commit(self, now_ms: int) -> None:
        """Take positions, counts and events in one transaction; it need not be on the disk at once.

        A power cut may take the last seconds of it, all together: the lines are read again then, and counted from where
        the counts were.
        """
        followings = self._roll.followings
        if not followings and not self._roll.keys:
            return
        self._unsaved.clear()  # of a round that came to nothing: what is saved now is settled now
        try:
            with hurried(PATIENCE_SECONDS), unsynced(), self._database.begin() as connection:
                for following in followings:
                    self._save(following, connection, now_ms)
                self._roll.save(connection, now_ms)
                if self._forgotten_ms is None or now_ms - self._forgotten_ms > FORGET_MS:
                    forget(connection, self._roll.keys, now_ms)
                    self._forgotten_ms = now_ms
        except StorageError as error:
            for following in followings:
                following.undo()
            self._fail(error)
            return
        for following in followings:
            if following not in self._unsaved:
                following.settled()
        self._roll.settled()
        self._failures, self._trouble = 0, None

    def _save(self, following: Following, connection: Connection, now_ms: int) -> None:
        """Write one source's part; one that fails takes back its own part alone."""
        savepoint = connection.begin_nested()
        try:
            following.save(connection, now_ms)
            savepoint.commit()
        except StorageError:
            raise
        except Exception as error:  # one source shall not end the others
            savepoint.rollback()
            logger.exception("log_source_not_saved", target=following.key[0], source=following.key[1])
            following.undo()
            following.fail(f"cannot be stored: {error!r}")
            self._unsaved.append(following)

    def _fail(self, error: StorageError) -> None:
        """Nothing can be stored: nothing is read, the files keep what comes. Try again, ever more seldom."""
        self._failures += 1
        self._retry_at = time.monotonic() + min(2.0 ** (self._failures - 1), RETRY_SECONDS)
        if self._trouble is None:
            logger.warning("log_positions_not_stored", error=str(error))
        self._trouble = f"nothing can be stored: {error}"

    def _publish(self, now_ms: int) -> None:
        followings = self._roll.followings
        states = [following.state() for following in followings] + self._roll.states()
        if self._trouble is not None:
            states = [replace(state, error=self._trouble) for state in states]
        samples = [sample for following in followings for sample in following.samples(now_ms)]
        self._states = tuple(states)
        self._samples = tuple(merge(samples + self._roll.samples()))
