"""Which alerts and stretches are one outage. Pure: no clock, no database.

An outage lasts while any of its signs does, but takes a new one only while it is live: while something grave of it
lasts, or shortly after something of it began or ended. So a warning that nobody mends swallows nothing of what breaks
meanwhile: outages may overlap, and each sign is of one.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

#: What begins within so many milliseconds after an outage was over reopens it: a thing that fails again at once, and
#: alerts on what happened shortly before.
REOPEN_MS = 300_000

#: An outage of which only warnings last takes nothing more when nothing of it has begun or ended for so many.
QUIET_MS = 900_000


@dataclass(frozen=True, slots=True)
class Sign:
    """An alert, or a stretch in which the service could not answer. Times in UTC milliseconds.

    ``time_ms`` is when the alert fired, or the stretch began; ``began_ms`` when the condition did, ``noted_ms`` when
    somebody could know. ``end_ms`` is None while it lasts. ``grave`` ones keep their outage live: the service cannot
    answer, or an alert says that it is critical. ``minor`` ones belong to an outage and make none: what was done about
    it, and restarts that somebody asked for.
    """

    id: int
    is_alert: bool
    time_ms: int
    began_ms: int
    noted_ms: int
    end_ms: int | None
    grave: bool = False
    minor: bool = False


class Case:
    """An outage as it is put together: since when it lasts, and the signs that are new to it.

    Whether it takes a sign is asked as of when that began, so it is the same whenever somebody looks. Signs come in the
    order of their times, but for some that are told of late.
    """

    def __init__(self, started_ms: int, signs: Iterable[Sign] = ()) -> None:
        self.fresh: list[Sign] = []
        #: When a sign came after all others had been over.
        self.reopened_ms: list[int] = []
        #: When a sign of it began last.
        self.last_began_ms = started_ms
        #: When something of it began or ended, in order.
        self._moments = [started_ms]
        #: When the last of all, and of the grave ones, was over; infinity while one lasts.
        self._until_ms: float = started_ms
        self._grave_until_ms: float = -inf
        for sign in signs:
            self._count(sign)

    @property
    def over_ms(self) -> int | None:
        """When all of its signs were over; None while one lasts."""
        return None if self._until_ms == inf else int(self._until_ms)

    def takes(self, sign: Sign) -> bool:
        """Whether ``sign`` belongs to it."""
        if sign.time_ms < self._moments[0]:  # told late: it belongs here if it would have taken what this began with
            return Case(sign.time_ms, [replace(sign, minor=False)])._is_live(self._moments[0])
        return self._is_live(sign.time_ms)

    def join(self, sign: Sign) -> None:
        """Take it in."""
        if not sign.minor and self._until_ms < sign.time_ms:
            self.reopened_ms.append(sign.time_ms)
        self._count(sign)
        self.fresh.append(sign)

    def _is_live(self, moment: int) -> bool:
        if self._grave_until_ms > moment:
            return True
        latest = self._moments[bisect_right(self._moments, moment) - 1]
        return moment - latest <= (QUIET_MS if self._until_ms > moment else REOPEN_MS)

    def _count(self, sign: Sign) -> None:
        if sign.minor:
            return
        insort(self._moments, sign.time_ms)
        if sign.end_ms is not None:
            insort(self._moments, sign.end_ms)
        self.last_began_ms = max(self.last_began_ms, sign.time_ms)
        end_ms = inf if sign.end_ms is None else sign.end_ms
        self._until_ms = max(self._until_ms, end_ms)
        if sign.grave:
            self._grave_until_ms = max(self._grave_until_ms, end_ms)


def arrange(known: Sequence[Case], signs: Iterable[Sign]) -> tuple[list[Case], list[Sign]]:
    """Put new ``signs`` into outages: all of these, the ``known`` ones first, and what belongs to none.

    Of several that are live, the one of which a sign began last takes the next: that is the one that something grave
    keeps live, if there is one.
    A new outage begins when its first sign's condition did. Of minor signs those are left that belong to no outage.
    """
    cases, alone = list(known), []
    for sign in sorted(signs, key=lambda one: (one.time_ms, one.is_alert, one.id)):
        live = [case for case in cases if case.takes(sign)]
        if live:
            max(live, key=lambda case: case.last_began_ms).join(sign)
        elif sign.minor:
            alone.append(sign)
        else:
            case = Case(sign.began_ms, [sign])
            case.fresh.append(sign)
            cases.append(case)
    return cases, alone
