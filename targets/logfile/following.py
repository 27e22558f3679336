"""One source that is followed: what is read of it, who looks through it, and what is committed of both."""

from __future__ import annotations

from functools import partial
from typing import Any

import re2
from sqlalchemy import Connection

from collectors.sample import Sample, make_labels
from targets.logfile.entry import EntryMatcher, LogState
from targets.logfile.framing import Framer
from targets.logfile.multiline import rule
from targets.logfile.part import MakeFramer
from targets.logfile.source import Count, Source
from targets.logfile.store import Key, Stored, save


class Following:
    """A source and its matcher. Used by the reader's thread; ``state`` and ``samples`` tell what is committed."""

    def __init__(self, key: Key, source: Source, matcher: EntryMatcher, stored: Stored | None) -> None:
        self.key = key
        self.source = source
        self._matcher = matcher
        self._read_ms: int | None = None
        self._saved: tuple[Any, ...] | None = None
        self._pending: tuple[Any, ...] | None = None
        self._told = Count() if stored is None else stored.count
        self._behind = 0
        self.missing_ms: int | None = None  #: since when there is nothing to follow
        if stored is not None:
            matcher.restore(stored.counters)

    def look(self, now_ms: int) -> None:
        """Find out what there is to read."""
        self.source.look(now_ms)
        if self.source.up:
            self.missing_ms = None
        elif self.missing_ms is None:
            self.missing_ms = now_ms

    def read(self, now_ms: int, most: int) -> bool:
        """Read about ``most`` bytes; returns whether there is more already."""
        lines = self.source.count.lines
        entries, more = self.source.read(now_ms, most)
        if entries:
            self._matcher.feed(entries, now_ms)
        if self.source.count.lines != lines:
            self._read_ms = now_ms
        return more

    def save(self, connection: Connection, now_ms: int) -> None:
        """Write what was read, and what was found in it, if that is anything new."""
        self._matcher.pending(connection, now_ms)
        count = self.source.count
        latest = (self.source.position(), count.lines, count.bytes, count.gaps, self._matcher.counters())
        if latest != self._saved:
            save(connection, self.key, latest[0], count, latest[4], now_ms)
        self._pending = latest

    def settled(self) -> None:
        """It is committed."""
        self.source.settled()
        self._matcher.settled()
        self._saved = self._pending
        count = self.source.count
        self._told = Count(count.lines, count.bytes, count.gaps)

    def undo(self) -> None:
        """It is not."""
        self.source.undo()
        self._matcher.undo()

    def fail(self, reason: str) -> None:
        """Say what keeps it from being read."""
        self.source.up, self.source.error = False, reason

    def state(self) -> LogState:
        """How its reading goes."""
        told, source = self._told, self.source
        return LogState(
            *self.key, source.up, source.error, told.lines, told.bytes, source.behind_bytes, told.gaps, self._read_ms
        )

    def samples(self, now_ms: int) -> list[Sample]:
        """Its series."""
        labels = make_labels(target=self.key[0], source=self.key[1])
        own = [
            Sample("log_lines_total", labels, float(self._told.lines)),
            Sample("log_bytes_total", labels, float(self._told.bytes)),
            Sample("log_gaps_total", labels, float(self._told.gaps)),
            Sample("log_behind_bytes", labels, float(self.source.behind_bytes)),
        ]
        if self.source.up is not None:
            own.append(Sample("log_up", labels, float(self.source.up)))
        return own + self._matcher.samples(now_ms)


def framer_maker(matcher: EntryMatcher, most_bytes: int) -> MakeFramer:
    """What makes the framers of a source. Raises ``ValueError`` where the expression for its entries is none."""
    try:
        goes_on = rule(matcher.multiline)
    except re2.error as error:
        raise ValueError(f"multiline is no RE2 expression: {error}") from None
    return partial(Framer, goes_on=goes_on, may_match=matcher.may_match, most_bytes=most_bytes)
