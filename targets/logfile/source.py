"""What lines come from: a file, a journal, a container; all are read the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from targets.logfile.entry import Entry


@dataclass(slots=True)
class Count:
    """What was given out of a source, in all: since it was first followed."""

    lines: int = 0
    bytes: int = 0
    gaps: int = 0


class Source(Protocol):
    """One source of lines. Used by the reader's thread alone; others read its plain attributes.

    A round is ``look``, ``read`` (until it brings nothing more), ``position`` inside the transaction, and then
    ``settled`` or ``undo``.
    """

    up: bool | None
    error: str | None
    behind_bytes: int

    @property
    def count(self) -> Count:
        """What was given out, committed or not."""
        ...

    def look(self, now_ms: int) -> None:
        """Find out what there is to read. Quick; what is wrong shows in ``up`` and ``error``."""
        ...

    def read(self, now_ms: int, most: int) -> tuple[list[Entry], bool]:
        """The next entries, of about ``most`` bytes, and whether there is more already."""
        ...

    def position(self) -> dict[str, Any]:
        """Where to go on, if what was read so far is committed; for JSON."""
        ...

    def settled(self) -> None:
        """What was read is committed."""
        ...

    def undo(self) -> None:
        """It is not: read it again."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...
