"""The second and third rung of the recovery ladder: reload the model once, or take a new version back; did it help?"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import structlog

log = structlog.get_logger(__name__)

#: Why the model is reloaded; also the label ``reason`` of ``model_reloads_total``.
Cause = Literal["breaker_open", "golden_failed", "leak", "drift", "probation", "canary"]
Action = Literal["reload_model", "rollback", "end_canary"]
#: Remedies that are remembered.
KEPT = 50
#: A loaded model that gives no sign of help or harm for so long is left with "not known".
PATIENCE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that was done about the model: why, what, how long, and did it help."""

    id: int
    cause: Cause
    #: What was found, e.g. ``breaker_open: 62% of 50 requests failed``.
    why: str
    began_ms: int
    action: Action = "reload_model"
    state: Literal["reloading", "watching", "done"] = "reloading"
    #: How long the reload took; ``None`` before it has ended.
    reload_seconds: float | None = None
    #: How long it took until it was known whether it helped; ``None`` before.
    seconds: float | None = None
    #: ``None`` while it is not known, and for good where no sign came.
    helped: bool | None = None
    #: What the reload failed of, or what was seen after it.
    outcome: str | None = None


class Healer:
    """One remedy at a time, none within ``interval_seconds`` of the last, and none against what it did not help before.

    So it never reloads in a circle. ``reload(cause)`` begins a reload and says whether it could. ``interval_seconds`` 0
    means never to reload. ``roll_back(why)`` begins to put the last good version back, and says whether it could; as
    that one is on no probation, there is no circle in it either. Any thread may call.
    """

    def __init__(
        self,
        reload: Callable[[str], bool],
        interval_seconds: float,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        roll_back: Callable[[str], bool] = lambda why: False,
        ids: Iterator[int] | None = None,
    ) -> None:
        self._reload = reload
        self._roll_back = roll_back
        self._interval = interval_seconds
        self._clock = clock
        self._wall_ms = wall_ms
        self._lock = threading.Lock()
        self._began = 0.0
        self._loaded = 0.0
        self._current: Remedy | None = None
        self._last: float | None = None
        self._past: deque[Remedy] = deque(maxlen=KEPT)
        self._futile: set[str] = set()  # causes that a reload did not help against, and that are still there
        self._ids = itertools.count(1) if ids is None else ids  # shared by the healers of several replicas

    @property
    def current(self) -> Remedy | None:
        """The remedy under way."""
        return self._current

    def remedies(self) -> list[Remedy]:
        """Those of this process, newest first, the one under way included."""
        with self._lock:
            return ([self._current] if self._current else []) + list(reversed(self._past))

    def treat(self, cause: Cause, why: str) -> bool:
        """Reload the model because of ``why``, unless that was tried a short while ago."""
        with self._lock:
            now = self._clock()
            recent = self._last is not None and now - self._last < self._interval
            if self._interval <= 0 or self._current is not None or recent or cause in self._futile:
                return False
            self._began = now
            self._current = Remedy(next(self._ids), cause, why, self._wall_ms())
        if self._reload(cause):
            log.warning("remedy_begins", cause=cause, why=why, action="reload_model")
            with self._lock:
                self._last = now
            return True
        with self._lock:  # a load is under way already, or none is possible
            self._current = None
        return False

    def roll_back(self, why: str) -> bool:
        """Put the last good version back because of ``why``, whatever was done before; ``False`` if it cannot be."""
        self._overtake("another version was put in its place")
        with self._lock:
            if self._current is not None:
                return False
            self._began = self._clock()
            self._current = Remedy(next(self._ids), "probation", why, self._wall_ms(), action="rollback")
        if self._roll_back(why):
            log.warning("remedy_begins", cause="probation", why=why, action="rollback")
            return True
        with self._lock:
            self._current = None
        return False

    def note_rollback(self, why: str, *, helped: bool | None, outcome: str) -> None:
        """A version was taken back while the process started."""
        self._note("probation", "rollback", why, helped=helped, outcome=outcome)

    def note_canary(self, why: str, outcome: str) -> None:
        """A canary was taken out: the version beside it answers its requests, too."""
        self._note("canary", "end_canary", why, helped=True, outcome=outcome)

    def _note(self, cause: Cause, action: Action, why: str, *, helped: bool | None, outcome: str) -> None:
        """Something was done that is over already."""
        with self._lock:
            self._past.append(
                Remedy(
                    next(self._ids), cause, why, self._wall_ms(), action, "done",
                    seconds=0.0, helped=helped, outcome=outcome,
                )
            )  # fmt: skip

    def _overtake(self, outcome: str) -> None:
        current = self._current
        if current is not None and current.state == "watching":
            self.conclude(current.cause, helped=None, outcome=outcome)

    def reloaded(self, cause: str, failure: str | None) -> Remedy | None:
        """A reload ended, anybody's; returns the remedy if it was one and is over because it failed."""
        if cause == "version" and failure is None:
            self._overtake("another version was put in its place")
        with self._lock:
            current = self._current
            if current is None or current.state != "reloading" or current.cause != cause:
                if failure is None:  # somebody else has put a new instance there: everything may be tried again
                    self._futile.clear()
                return None
            self._loaded = self._clock()
            self._current = replace(current, state="watching", reload_seconds=self._loaded - self._began)
        return None if failure is None else self.conclude(current.cause, helped=False, outcome=failure)

    def conclude(self, cause: Cause, *, helped: bool | None, outcome: str) -> Remedy | None:
        """What was seen after the reload; ``None`` when no remedy of this cause waits for that."""
        with self._lock:
            current = self._current
            if helped:
                self._futile.discard(cause)
            if current is None or current.cause != cause or current.state != "watching":
                return None
            seconds = self._clock() - self._began
            done = replace(current, state="done", seconds=seconds, helped=helped, outcome=outcome)
            self._current = None
            self._past.append(done)
            if helped is False:
                self._futile.add(cause)
        log.warning(
            "remedy_ended", cause=cause, why=done.why, helped=helped, outcome=outcome, seconds=round(seconds, 1)
        )
        return done

    def look(self) -> None:
        """Give up waiting for a sign after a while."""
        current = self._current
        if current is not None and current.state == "watching" and self._clock() - self._loaded > PATIENCE_SECONDS:
            self.conclude(current.cause, helped=None, outcome="no sign since")
