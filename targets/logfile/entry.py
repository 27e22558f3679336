"""What the reading side hands to the meaning side: entries of logs, and what is asked of who looks through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from collectors.sample import Sample
from config_target import LogTarget


@dataclass(frozen=True, slots=True)
class Entry:
    """What was logged at once: a line, with the lines that continue it (a traceback).

    ``text`` is bounded, decoded with replacement, joined by newlines and without one at its end. ``lines`` and
    ``bytes`` say how much of the source it took, which is more than ``text`` holds where it was ``truncated``.
    """

    text: str
    time_ms: int  #: when it was read
    lines: int
    bytes: int
    truncated: bool = False


class EntryMatcher(Protocol):
    """Who looks through the entries of one source; called by one thread at a time.

    A round is ``feed`` (any number of times), ``pending`` inside the transaction that also takes the reader's position,
    and then ``settled`` or ``undo``. After ``undo`` the same lines come again.
    """

    @property
    def multiline(self) -> str | None:
        """RE2 for a line that begins an entry: of the settings, or else of the profile. None: told automatically."""
        ...

    def may_match(self, block: bytes) -> bool:
        """Whether any line of these (whole lines, as they are in the file) could matter, once decoded.

        Entries that lie wholly in a block of which this says False are counted by the reader, and never fed: a cheap
        look (one search over all of it) spares making objects of the thousands of lines that are nothing special.
        True is always right. What needs every line (a metric, context) says True.
        """
        ...

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Go on from what :meth:`counters` said when it was last committed."""
        ...

    def feed(self, entries: Sequence[Entry], now_ms: int) -> None:
        """Look through these, in their order."""
        ...

    def pending(self, connection: Connection, now_ms: int) -> None:
        """Write what changed, inside the caller's transaction. Called each round, also without new entries."""
        ...

    def counters(self) -> dict[str, Any]:
        """What must outlive this process, for JSON; kept beside the reader's position."""
        ...

    def settled(self) -> None:
        """The transaction is committed."""
        ...

    def undo(self) -> None:
        """The transaction came to nothing: be as after the last :meth:`settled`, or :meth:`restore`."""
        ...

    def samples(self, now_ms: int) -> list[Sample]:
        """Its series; asked after each commit, on the reader's thread."""
        ...


class MakeMatcher(Protocol):
    """How one is made: its class."""

    def __call__(self, target: str, source: str, settings: LogTarget) -> EntryMatcher: ...


@dataclass(frozen=True, slots=True)
class LogState:
    """How the reading of one source goes. ``up`` is None where nobody can know: what would tell is not there."""

    target: str
    source: str
    up: bool | None
    error: str | None  #: why it is not up, in words for people
    lines: int
    bytes: int
    behind_bytes: int
    gaps: int  #: how often a part of it was gone before it was read
    read_ms: int | None  #: when lines were last taken from it
