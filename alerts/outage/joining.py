"""Which alerts and stretches are one outage. Pure: no clock, no database.

An outage lasts while any of its signs does. What begins while it lasts, or soon after, belongs to it; so outages never
overlap, and each sign is of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: What begins within so many milliseconds after an outage was over reopens it: a thing that fails again at once, and
#: alerts on what happened shortly before.
REOPEN_MS = 300_000


@dataclass(frozen=True, slots=True)
class Sign:
    """An alert, or a stretch in which the service could not answer. Times in UTC milliseconds.

    ``time_ms`` is when the alert fired, or the stretch began; ``began_ms`` when the condition did, ``noted_ms`` when
    somebody could know. ``end_ms`` is None while it lasts. ``minor`` ones belong to an outage and make none: what was
    done about it, and restarts that somebody asked for.
    """

    id: int
    is_alert: bool
    time_ms: int
    began_ms: int
    noted_ms: int
    end_ms: int | None
    minor: bool = False


class Case:
    """An outage as it is put together: since when it lasts, and the signs that are new to it."""

    def __init__(self, started_ms: int, signs: Iterable[Sign] = ()) -> None:
        self.started_ms = started_ms
        self.fresh: list[Sign] = []
        #: When a sign came after all others had been over.
        self.reopened_ms: list[int] = []
        self._lasting = 0
        self._latest_ms = started_ms
        for sign in signs:
            self._count(sign)

    @property
    def over_ms(self) -> int | None:
        """When all of its signs were over; None while one lasts."""
        return None if self._lasting else self._latest_ms

    def takes(self, sign: Sign) -> bool:
        """Whether ``sign`` belongs to it."""
        return bool(self._lasting) or sign.time_ms <= self._latest_ms + REOPEN_MS

    def join(self, sign: Sign) -> None:
        """Take it in."""
        if not sign.minor and not self._lasting and sign.time_ms > self._latest_ms:
            self.reopened_ms.append(sign.time_ms)
        self._count(sign)
        self.fresh.append(sign)

    def _count(self, sign: Sign) -> None:
        if sign.minor:
            return
        if sign.end_ms is None:
            self._lasting += 1
        else:
            self._latest_ms = max(self._latest_ms, sign.end_ms)


def arrange(last: Case | None, signs: Iterable[Sign]) -> tuple[list[Case], list[Sign]]:
    """Put new ``signs`` into the last outage or into new ones: all of these, oldest first, and what belongs to none.

    A new outage begins when its first sign's condition did, but never before the last one was over. Of minor signs
    those are left that belong to no outage.
    """
    cases: list[Case] = [] if last is None else [last]
    alone: list[Sign] = []
    for sign in sorted(signs, key=lambda one: (one.time_ms, one.is_alert, one.id)):
        if cases and cases[-1].takes(sign):
            cases[-1].join(sign)
        elif sign.minor:
            alone.append(sign)
        else:
            floor_ms = cases[-1].over_ms if cases else None
            case = Case(sign.began_ms if floor_ms is None else max(sign.began_ms, floor_ms))
            case.join(sign)
            case.reopened_ms.clear()
            cases.append(case)
    return cases, alone
