"""Two lists of notices, ours and Alertmanager's, compared group by group, with the reasons of differences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

#: The one difference that is meant: what resolved while it was silenced or inhibited, and then fires anew, is told.
#: Alertmanager takes it for told, since nobody heard of its end, and says nothing until the repeat interval has passed,
#: or until it sees it resolve again.
UNSEEN = "had resolved unseen, under a silence or inhibited: we tell that it fires anew, Alertmanager only its next end"
FOLLOWS = "follows from such a difference earlier in the group"
LATE = "Alertmanager's timers were late by then, past a change of the alerts"
#: Differences that are no fault of ours.
ACCEPTED = (UNSEEN, FOLLOWS, LATE)


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; ``at_ms`` since the schedule began, ``firing`` and ``resolved`` by instance."""

    receiver: str
    group: str
    at_ms: float
    firing: frozenset[str]
    resolved: frozenset[str]

    def __str__(self) -> str:
        parts = (("firing", self.firing), ("resolved", self.resolved))
        told = ", ".join(f"{name} {' '.join(sorted(found))}" for name, found in parts if found)
        return f"{self.receiver} {self.group} at {self.at_ms:.0f} ms: {told}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A notice that only one of them sent, or that says something else, with what is known of the reason."""

    ours: Notice | None
    theirs: Notice | None
    reason: str

    def __str__(self) -> str:
        return f"ours: {self.ours or '-'} | Alertmanager's: {self.theirs or '-'} | {self.reason}"


def compare(
    ours: Sequence[Notice], theirs: Sequence[Notice], tolerance_ms: float
) -> tuple[list[tuple[Notice, Notice]], list[Difference]]:
    """Notices that agree, in pairs, and every difference. Both are compared group by group, in order."""
    sides: dict[tuple[str, str], tuple[list[Notice], list[Notice]]] = defaultdict(lambda: ([], []))
    for side, notices in enumerate((ours, theirs)):
        for notice in sorted(notices, key=lambda notice: notice.at_ms):
            sides[notice.receiver, notice.group][side].append(notice)
    agreed: list[tuple[Notice, Notice]] = []
    differences: list[Difference] = []
    for mine, others in sides.values():
        left = list(others)
        unmatched: list[Notice] = []
        pairs: list[tuple[Notice, Notice]] = []
        for notice in mine:
            twin = next((other for other in left if _agree(notice, other, tolerance_ms)), None)
            if twin is None:
                unmatched.append(notice)
            else:
                left.remove(twin)
                pairs.append((notice, twin))
        agreed += pairs
        differences += _differences(unmatched, left, pairs, tolerance_ms)
    return agreed, differences


def _agree(mine: Notice, other: Notice, tolerance_ms: float) -> bool:
    same = (mine.firing, mine.resolved) == (other.firing, other.resolved)
    return same and abs(mine.at_ms - other.at_ms) <= tolerance_ms


def _differences(
    unmatched: Sequence[Notice], left: Sequence[Notice], agreed: Sequence[tuple[Notice, Notice]], tolerance_ms: float
) -> list[Difference]:
    """What only one side said of one group, put beside what the other said at that time, with the reason."""
    pairs: list[tuple[Notice | None, Notice | None]] = []
    free = list(left)
    for notice in unmatched:
        twin = next((other for other in free if abs(notice.at_ms - other.at_ms) <= tolerance_ms), None)
        if twin is not None:
            free.remove(twin)
        pairs.append((notice, twin))
    pairs += [(None, other) for other in free]
    told = sorted([*(other for _, other in agreed), *left], key=lambda notice: notice.at_ms)
    found: list[Difference] = []
    for mine, other in sorted(pairs, key=lambda pair: _at_ms(*pair)):
        at_ms = _at_ms(mine, other)
        late_ms = max((b.at_ms - a.at_ms for a, b in agreed if abs(b.at_ms - at_ms) < 20 * tolerance_ms), default=0.0)
        if any(difference.reason == UNSEEN for difference in found):
            reason = FOLLOWS
        elif _is_unseen(mine, other, [notice for notice in told if notice.at_ms < at_ms]):
            reason = UNSEEN
        elif late_ms > 0.4 * tolerance_ms:
            reason = LATE
        else:
            reason = "not known"
        found.append(Difference(mine, other, reason))
    return found


def _at_ms(mine: Notice | None, other: Notice | None) -> float:
    return mine.at_ms if mine is not None else other.at_ms if other is not None else 0.0


def _is_unseen(mine: Notice | None, other: Notice | None, before: Sequence[Notice]) -> bool:
    """Whether one side alone speaks because Alertmanager still takes alerts for firing whose end nobody was told.

    We tell that they fire anew; it tells, the next time that it sees them resolved, the end that it owed.
    """
    owed: set[str] = set()
    for notice in before:
        owed = (owed | notice.firing) - notice.resolved
    if mine is not None and other is None:
        return bool(mine.firing) and mine.firing <= owed
    return mine is None and other is not None and not other.firing and bool(owed)


def most_late_ms(agreed: Sequence[tuple[Notice, Notice]]) -> float:
    """How late Alertmanager was at most: its timers slip where the machine is busy."""
    return max((other.at_ms - mine.at_ms for mine, other in agreed), default=float("inf"))


def report(agreed: Sequence[tuple[Notice, Notice]], differences: Sequence[Difference]) -> str:
    """The outcome in some lines."""
    late = sorted(other.at_ms - mine.at_ms for mine, other in agreed)
    lines = [f"{len(agreed)} notices agree, {len(differences)} differ"]
    if late:
        lines.append(
            f"Alertmanager later by: median {late[len(late) // 2]:.0f} ms, from {late[0]:.0f} to {late[-1]:.0f} ms"
        )
    lines += [f"  {count} x {reason}" for reason, count in Counter(found.reason for found in differences).most_common()]
    return "\n".join([*lines, *(f"  {found}" for found in differences)])
