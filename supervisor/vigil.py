"""Knows since when the server has not answered and why, and decides when the world is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ledger import Exit, Outage, explain_outage
from supervisor.memo import Memo

#: So long it has to answer without a break until an outage counts as over.
STEADY_MS = 5_000
#: How often the moment of the last good answer is put on record.
RECORD_MS = 5_000
#: Lines that a word carries.
_LINES = 8


@dataclass(frozen=True, slots=True)
class Downtime:
    """A stretch without an answer, from ``since_ms``; ``ends`` server processes ended in it."""

    since_ms: int
    cause: str
    summary: str
    planned: bool = False
    ends: int = 0
    lines: list[str] = field(default_factory=list)
    told: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """What the world is to hear: the server has been ``down`` until now, or is ``up`` again since ``until_ms``."""

    kind: Literal["down", "up"]
    until_ms: int
    downtime: Downtime


class Vigil:
    """Times are UTC milliseconds on a clock that does not jump; the world hears nothing for ``down_seconds``."""

    def __init__(self, data_dir: Path, down_seconds: float, started_ms: int) -> None:
        self._alive = data_dir / "alive"
        self._memo = Memo(data_dir / "outage.json")
        self._down_ms = round(down_seconds * 1000)
        self._started_ms = started_ms
        self._answered_ms: int | None = None  # the last good answer of this supervisor's time
        self._recorded_ms: int | None = None
        self._again_ms: int | None = None  # since when it answers again, while an outage is not over yet
        self.downtime: Downtime | None = None

    def resume(self, exits: list[Exit], booted_ms: int) -> None:
        """Take up what an earlier supervisor left: an outage that it knew of, or its own sudden end."""
        document = self._memo.read()
        try:
            self.downtime = Downtime(**document) if document else None
        except TypeError:
            self.downtime = None
        last_ms = self._last_alive_ms()
        if self.downtime is None and last_ms is not None:
            self.downtime = _unplanned(explain_outage(last_ms, exits, booted_ms))

    @property
    def is_live(self) -> bool:
        """Whether the last answer was a good one."""
        return self._answered_ms is not None and (self.downtime is None or self._again_ms is not None)

    def down_ms(self, now_ms: int) -> int:
        """How long the server has not answered; 0 while it does."""
        return 0 if self.downtime is None or self.is_live else max(0, now_ms - self.downtime.since_ms)

    def answered(self, now_ms: int) -> None:
        """The server said that it lives."""
        self._answered_ms = now_ms
        if self.downtime is not None and self._again_ms is None:
            self._again_ms = now_ms
        if self._recorded_ms is None or now_ms - self._recorded_ms >= RECORD_MS:
            self._recorded_ms = now_ms
            self._record(now_ms)

    def failed(self, now_ms: int, why: str) -> None:
        """The server did not answer, or said that it does not live."""
        self._again_ms = None
        if self.downtime is None:
            since_ms = self._answered_ms if self._answered_ms is not None else self._started_ms
            self.downtime = Downtime(since_ms, "unresponsive", why)
        elif not self.downtime.ends and self.downtime.cause == "unresponsive":
            self.downtime = replace(self.downtime, summary=why)

    def died(self, exit: Exit, now_ms: int) -> None:
        """The server process ended. The first end that nobody asked for is the cause of an outage."""
        self._again_ms = None
        known = self.downtime
        if known is None:
            self.downtime = Downtime(now_ms, exit.reason, exit.summary, not exit.unexpected, 1, _few(exit.detail))
        elif exit.unexpected and (known.planned or known.cause == "unresponsive"):
            self.downtime = Downtime(
                known.since_ms, exit.reason, exit.summary, False, known.ends + 1, _few(exit.detail), known.told
            )
        else:
            self.downtime = replace(known, ends=known.ends + 1)
        if self.downtime is not None and self.downtime.told:
            self._memo.write(asdict(self.downtime))

    def look(self, now_ms: int) -> Word | None:
        """What is to be told now."""
        known = self.downtime
        if known is None:
            return None
        if self._again_ms is not None:
            return self._end(known, self._again_ms) if now_ms - self._again_ms >= STEADY_MS else None
        # After a start of the supervisor itself the server gets its time as well, however long ago the outage began.
        waited_ms = now_ms - max(known.since_ms, self._started_ms)
        if known.told or waited_ms < self._down_ms:
            return None
        self.downtime = replace(known, told=True)
        self._memo.write(asdict(self.downtime))
        return Word("down", now_ms, self.downtime)

    def _end(self, known: Downtime, until_ms: int) -> Word | None:
        self.downtime, self._again_ms = None, None
        self._memo.forget()
        long = until_ms - known.since_ms >= self._down_ms and not known.planned
        return Word("up", until_ms, known) if known.told or long else None

    def _record(self, now_ms: int) -> None:
        with suppress(OSError):  # a full disk: an outage of the whole machine would be told as shorter than it was
            self._alive.touch(mode=0o600)
            os.utime(self._alive, (now_ms / 1000, now_ms / 1000))

    def _last_alive_ms(self) -> int | None:
        try:
            return int(self._alive.stat().st_mtime * 1000)
        except OSError:
            return None


def _unplanned(outage: Outage | None) -> Downtime | None:
    if outage is None or outage.planned:
        return None
    ends = outage.detail.get("ends", 0)
    return Downtime(outage.started_ms, outage.cause, outage.summary, ends=ends, lines=_few(outage.detail))


def _few(detail: Mapping[str, Any]) -> list[str]:
    """The lines that say most: what it wrote to stderr, else its log; of a dump of the stacks its beginning."""
    lines: list[str] = detail.get("stderr") or detail.get("log") or []
    return lines[:_LINES] if lines and lines[0].startswith("Fatal Python error") else lines[-_LINES:]
