"""Where the host stands: one immutable value, replaced whole, and a callback whenever it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from model.status import State

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """The host's state and why. ``load_began`` is a moment of the host's clock, ``since_ms`` UTC milliseconds."""

    state: State
    reason: str | None
    suggestion: str | None
    since_ms: int
    progress: str | None = None
    load_began: float | None = None
    last_load_seconds: float | None = None
    #: Whether a load has ever ended well.
    loaded_once: bool = False
    #: Why this process cannot serve again (a lost CUDA context, a hang); it stays once it is set.
    fatal: str | None = None


class StateCell:
    """The current :class:`Standing`. Any thread may write; a callback that raises is logged and changes nothing."""

    def __init__(self, standing: Standing, on_change: Callable[[], None]) -> None:
        self._standing = standing
        self._on_change = on_change
        self._lock = threading.Lock()

    @property
    def now(self) -> Standing:
        """The standing at this moment."""
        return self._standing

    def move(self, state: State, *, reason: str | None = None, suggestion: str | None = None) -> None:
        """Enter ``state``; what a load was doing ends here. From ``stopped``, or once fatal, nothing leads back."""
        with self._lock:
            old = self._standing
            if old.state == "stopped" or (old.fatal and state not in ("draining", "stopped")):
                return
            if old.state == "draining" and state != "stopped":
                return
            self._standing = replace(
                old,
                state=state,
                reason=reason,
                suggestion=suggestion,
                since_ms=wall_ms(),
                progress=None,
                load_began=None,
            )
        self._tell()

    def begin_first_load(self, began: float) -> None:
        """The load that every host starts with; ``began`` is a moment of the host's clock."""
        self._update(load_began=began)

    def begin_load(self, state: Literal["loading", "reloading"], began: float) -> bool:
        """Enter ``loading`` or ``reloading``; ``False`` while a load is under way or none may come any more."""
        with self._lock:
            old = self._standing
            if old.state not in ("ready", "failed") or old.fatal:
                return False
            self._standing = replace(
                old,
                state=state,
                reason=f"model_{state}",
                suggestion=None,
                since_ms=wall_ms(),
                load_began=began,
                progress=None,
            )
        self._tell()
        return True

    def say(self, progress: str) -> None:
        """What the load is doing."""
        self._update(progress=progress)

    def loaded(self, seconds: float) -> None:
        """A load ended well."""
        self._update(last_load_seconds=seconds, loaded_once=True)

    def doom(self, fatal: str, suggestion: str) -> bool:
        """Fail for good; ``False`` when that was so already."""
        with self._lock:
            if self._standing.fatal or self._standing.state == "stopped":
                return False
            self._standing = replace(
                self._standing, state="failed", reason=fatal, suggestion=suggestion, fatal=fatal,
                since_ms=wall_ms(), progress=None, load_began=None,
            )  # fmt: skip
        self._tell()
        return True

    def _update(self, **changes: object) -> None:
        with self._lock:
            self._standing = replace(self._standing, **changes)  # type: ignore[arg-type]
        self._tell()

    def _tell(self) -> None:
        try:
            self._on_change()
        except Exception:
            log.exception("on_change_raised")


def wall_ms() -> int:
    """The wall clock, in UTC milliseconds."""
    return time.time_ns() // 1_000_000
