"""Looks at targets in their intervals, and knows how each of them stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Engine

from collectors.sample import Tick
from config_target import PushTarget, TargetSettings
from mask import mask
from storage.engine import hurried
from targets.probe.keeper import Keeper
from targets.probe.look import LOOKS, Look, Looks
from targets.probe.outcome import Outcome
from targets.probe.push import MAX_MESSAGE, Deadline
from targets.probe.record import Kept, Key
from targets.probe.state import ProbeState
from targets.probe.watched import Watched
from targets.round import Rounds
from targets.target import Target

#: Looks that may be under way at once; there are only as many threads as were busy at once.
WORKERS = 128
#: How often what has changed is written, and missing signs of life are noticed.
KEEP_SECONDS = 1.0
#: How often it is noted that somebody still looks, where nothing has changed.
ALIVE_MS = 60_000
#: After a failure the next look begins this much earlier, so that the tick after it is still in time.
HASTE_SECONDS = 0.5
#: The database is waited for no longer than this; what it did not take is written later.
WRITE_SECONDS = 2.0
_KEEP = "/keep"


class Prober:
    """Owns the probes. Its methods may be called from any thread; ``clock_ms`` is the wall clock, which may step."""

    def __init__(
        self,
        database: Engine,
        clock_ms: Callable[[], int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        looks: Mapping[str, Look] = LOOKS,
        workers: int = WORKERS,
    ) -> None:
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._looks = Looks(looks)
        self._rounds = Rounds(workers, "probe")
        self._lock = threading.Lock()
        self._applying = threading.Lock()
        self._keeper = Keeper(database, self._lock)
        self._watched: dict[Key, Watched] = {}
        self._retired: list[Watched] = []  # whose end is still to be written
        self._ended: dict[str, None] = {}  # sources whose series are to end
        self._wanted: Sequence[Target] | None = None  # what is to be watched once the database can be read
        self._kept: Kept | None = None
        self._alive_ms = 0

    @property
    def late_seconds(self) -> float:
        """How late the look that began last was."""
        return self._rounds.late_seconds

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look."""
        self._rounds.every(_KEEP, KEEP_SECONDS, self.keep)
        self._rounds.start()

    def stop(self) -> None:
        """Begin no more looks, and note that somebody looked until now."""
        self._rounds.stop()
        self._note_alive()
        self._write()

    def replace(self, targets: Sequence[Target]) -> None:
        """Watch these from now on. Of one that is watched no more it is not known any more whether it is down."""
        self._wanted = targets
        self._apply()

    def _apply(self) -> None:
        """Watch whom we were told to; nobody before it can be read what an earlier process knew, lest it be lost."""
        with self._applying:
            if self._kept is None:
                self._kept = self._keeper.load()
            if self._kept is None or self._wanted is None:
                return
            wanted, self._wanted = self._wanted, None
            with self._lock:
                self._take_up(wanted, self._kept, self._clock_ms())

    def _take_up(self, targets: Sequence[Target], kept: Kept, now_ms: int) -> None:
        settings = {
            (target.name, probe): getattr(target.settings, probe) for target in targets for probe in target.probes
        }
        for key in [key for key in self._watched if key not in settings]:
            self._retire(self._watched[key], kept, now_ms)
        for key in [key for key in kept.stretches if key not in settings]:
            # Nobody wants to know of it since before this process: it ends when somebody last looked.
            orphan = Watched(key, None, now_ms, kept.records.get(key), kept.stretches.pop(key))
            self._retire(orphan, kept, orphan.alive_ms)
        watching = {}
        for key, one in settings.items():
            watched = watching[key] = self._watched.get(key) or self._begin(key, one, kept, now_ms)
            watched.settings = one
            self._arrange(watched, now_ms)
        self._watched = watching  # in the order of the targets

    def _begin(self, key: Key, settings: object, kept: Kept, now_ms: int) -> Watched:
        watched = Watched(key, settings, now_ms, kept.records.get(key), kept.stretches.pop(key, None))
        self._ended.pop(watched.source, None)
        return watched

    def _retire(self, watched: Watched, kept: Kept, ended_ms: int) -> None:
        self._rounds.drop(_job(watched.key))
        watched.retire(ended_ms)
        kept.records[watched.key] = watched.record()
        self._retired.append(watched)
        self._ended[watched.source] = None

    def _arrange(self, watched: Watched, now_ms: int) -> None:
        """Look at it in its interval; or know by when a sign of life is due."""
        settings, deadline = watched.settings, watched.deadline
        if not isinstance(settings, PushTarget):
            self._rounds.every(_job(watched.key), settings.interval, lambda: self._look(watched))
        elif deadline is not None:
            deadline.every_seconds, deadline.grace_seconds = settings.every, settings.grace
        else:
            watched.deadline = Deadline.restore(
                settings.every,
                settings.grace,
                since_ms=watched.seen_ms or watched.first_ms,
                alive_ms=watched.alive_ms,
                now_ms=now_ms,
                now=self._monotonic(),
            )

    # --- looking --------------------------------------------------------------------------------------------------

    def _look(self, watched: Watched) -> None:
        settings = watched.settings
        began = self._monotonic()
        outcome = self._looks.ask(*watched.key, settings)
        took = self._monotonic() - began
        with self._lock:
            if self._watched.get(watched.key) is not watched:
                return  # nobody wants to know any more
            watched.note(outcome, self._clock_ms())
            hurry = outcome.success is False and watched.standing.state != "down"
        if hurry:
            # A look that waited in vain must not delay the verdict by its time-out as well.
            self._rounds.sooner(_job(watched.key), min(settings.interval / 2, took + HASTE_SECONDS))

    def look(self, target: str) -> None:
        """Look at all of a target that can be looked at, now; it counts as any other look."""
        with self._lock:
            found = [one for one in self._watched.values() if one.key[0] == target and one.deadline is None]
        for watched in found:
            self._look(watched)

    def check(self, settings: TargetSettings) -> list[ProbeState]:
        """Look once, now, at what may not be watched yet: one state for each of its probes; nothing is kept."""
        return self._looks.check(settings, self._clock_ms())

    # --- signs of life --------------------------------------------------------------------------------------------

    def push_names(self) -> list[str]:
        """The targets that expect signs of life, or did so once: those that are paused among them."""
        with self._lock:
            keys = {*self._watched, *(self._kept.records if self._kept is not None else ())}
        return sorted(target for target, probe in keys if probe == "push")

    def push(self, target: str, ok: bool, message: str, now_ms: int) -> bool:
        """Take a sign of life, or of failure; False if nobody expects one now.

        It is on the disk when this returns, unless the database takes nothing now, or one was written a moment ago.
        """
        said = " ".join(mask(message[: 10 * MAX_MESSAGE]).split())[:MAX_MESSAGE]
        with self._lock:
            watched = self._watched.get((target, "push"))
            if watched is None or watched.deadline is None:
                return False
            recent = 0 <= now_ms - watched.seen_ms < KEEP_SECONDS * 1000
            watched.deadline.sign(self._monotonic())
            watched.missed = False
            failure = f"it reports a failure: {said}" if said else "it reports a failure"
            outcome = Outcome(ok, "" if ok else failure, detail={"message": said} if said else {})
            flipped = watched.note(outcome, now_ms)
            watched.dirty = True
        if flipped or not recent:
            self._write()
        return True

    def _miss(self, now_ms: int) -> None:
        now = self._monotonic()
        for watched in self._watched.values():
            deadline = watched.deadline
            if deadline is None or watched.missed or not deadline.is_missed(now):
                continue
            watched.missed = True
            last = "no sign of life" if watched.seen_ms else "no sign of life yet"
            reason = f"{last}: one is due every {deadline.every_seconds:g} s"
            watched.note(Outcome(False, reason), now_ms, seen=False)

    # --- what is known --------------------------------------------------------------------------------------------

    def states(self) -> list[ProbeState]:
        """How all of them stand, in the order of the targets."""
        with self._lock:
            return [watched.state() for watched in self._watched.values()]

    def collect(self, now_ms: int) -> list[Tick]:
        """The series of those of which there is something new."""
        with self._lock:
            ticks = [Tick(source, now_ms, ()) for source in self._ended]
            self._ended.clear()
            ticks += [tick for watched in self._watched.values() if (tick := watched.tick(now_ms)) is not None]
        return ticks

    # --- the database ---------------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Notice missing signs of life, and write what has changed. For once a second."""
        if self._wanted is not None:
            self._apply()
        now_ms = self._clock_ms()
        with self._lock:
            self._miss(now_ms)
        if abs(now_ms - self._alive_ms) >= ALIVE_MS:
            self._note_alive()
        self._write()

    def _note_alive(self) -> None:
        now_ms = self._alive_ms = self._clock_ms()
        with self._lock:
            for watched in self._watched.values():
                watched.alive_ms, watched.dirty = now_ms, True

    def _write(self) -> None:
        with hurried(WRITE_SECONDS):
            written = self._keeper.write(lambda: [*self._retired, *self._watched.values()])
        if self._retired:
            with self._lock:
                self._retired = [one for one in self._retired if not any(one is each for each in written)]


def _job(key: Key) -> str:
    return "/".join(key)
