"""Which of an outage's alerts explains the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

#: Rules whose alert is the reason of others rather than their consequence, the deepest first: the card, the disk and
#: the file under everything; then the server.
ROOTS = (
    "GPULost",
    "GPUXidError",
    "GPUUncorrectedECC",
    "DatabaseDamaged",
    "HistoryNotWritten",
    "CrashLoop",
    "ServerDown",
)


class Clue(Protocol):
    """As much of an alert as it takes to weigh it."""

    @property
    def id(self) -> int: ...

    @property
    def rule(self) -> str: ...

    @property
    def level(self) -> int: ...

    @property
    def firing_ms(self) -> int | None: ...


AnyClue = TypeVar("AnyClue", bound=Clue)


def explaining(clues: Iterable[AnyClue]) -> AnyClue | None:
    """The alert that explains the others: a root of trouble, else the earliest of the most severe; None of none."""
    return min(clues, key=_weight, default=None)


def _weight(clue: Clue) -> tuple[int, int, int, int]:
    root = ROOTS.index(clue.rule) if clue.rule in ROOTS else len(ROOTS)
    return root, -clue.level, clue.firing_ms or 0, clue.id
