"""How long to wait before the next start, and when to stop trying with the model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from config import SupervisorSettings
from ledger import Exit

#: How the next server process starts: with everything, or without the model. Out of the latter people decide: they try
#: again, or go back to the last good version; either is a restart, which begins in the normal mode.
Mode = Literal["normal", "safe"]


#: So much of ``crash_loop_count`` is enough where the model never answered: 3 of 5.
FRUITLESS_SHARE = 0.6


class CrashLoop:
    """Counts the crashes of the last ``crash_loop_seconds``; times are monotonic seconds."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._crashes: list[tuple[float, bool]] = []  # when, and whether the model had ever answered

    def remember(self, exits: Iterable[Exit], now_ms: int, now: float) -> None:
        """Take up what an earlier supervisor counted and could not finish: it was killed, or the machine went down."""
        for exit in exits:
            ago = (now_ms - exit.ended_ms) / 1000
            if not exit.unexpected:
                self._crashes.clear()
            elif ago >= 0:
                self._crashes.append((now - ago, True))
        self._forget(now)

    def note(self, exit: Exit, now: float, *, answered: bool = True) -> float:
        """Count one end; returns the seconds to wait before the next start. ``answered``: its model once did."""
        if exit.reason == "restart":
            self.forgive()
        elif exit.unexpected:
            self._crashes.append((now, answered))
        self._forget(now)
        if len(self._crashes) == self._settings.crash_loop_count:
            return 0.0  # what crashes is left out: there is nothing to wait for, and the page is back sooner
        return backoff_seconds(len(self._crashes), self._settings)

    def forgive(self) -> None:
        """A person decided: give the model its full chance again."""
        self._crashes.clear()

    def mode(self) -> Mode:
        """Whether so many crashes came so fast that the model is left out.

        A model that has not answered once in three lives will not in the fourth: loading may take long, and the page
        should be back soon.
        """
        fruitless = sum(not answered for _, answered in self._crashes)
        count = self._settings.crash_loop_count
        looping = len(self._crashes) >= count or fruitless >= math.ceil(count * FRUITLESS_SHARE)
        return "safe" if looping else "normal"

    def _forget(self, now: float) -> None:
        self._crashes = [crash for crash in self._crashes if now - crash[0] < self._settings.crash_loop_seconds]


def backoff_seconds(crashes: int, settings: SupervisorSettings) -> float:
    """Seconds to wait after the ``crashes``-th unexpected end within the window: 0, then 1, 2, 4 …"""
    if crashes < 2:
        return 0.0
    doubled = settings.backoff_seconds * 2.0 ** min(crashes - 2, 30)
    return min(doubled, settings.backoff_max_seconds)
