"""On what terms a caller waits: how important it is, for how long, and whether it is still there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

Priority = Literal["high", "normal", "low"]
#: The priorities, most important first. A *rank* is a place in this tuple.
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class Caller(Protocol):
    """Whoever waits for an answer, as far as its connection tells."""

    def gone(self) -> bool:
        """Whether it has hung up. Costs a system call."""
        ...

    def watch(self, on_gone: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``on_gone`` from another thread, at most once, if the caller hangs up before the block ends."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What one request asks for beside its input. ``timeout_seconds`` can only shorten what the settings allow."""

    priority: Priority = "normal"
    timeout_seconds: float | None = None
    caller: Caller | None = None
    #: The version that it wants, where another one is loaded beside the one that serves.
    version: str | None = None
    #: What keeps it on the same side of a comparison; without it every request is by itself.
    key: str | None = None

    @property
    def rank(self) -> int:
        """0 for high, 1 for normal, 2 for low."""
        return PRIORITIES.index(self.priority)


#: Those of a caller that asks for nothing.
STANDARD = Terms()
