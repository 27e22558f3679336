"""From samples that come with times of their own to ticks: series that come together become one source.

A tick is what one source wrote at one moment, and a series that a source's tick lacks has ended. What others send
knows no sources: series of one job come at one moment, or in parts, late, or every other time. So those that come
together form a cohort, which writes under a source of its own. One that stays away while the others go on has ended;
when it comes again, it is taken up by another cohort. Thereby each finds the company that it comes with.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from collectors.sample import STALE_BITS, Labels, Sample, Tick
from targets.scrape.bits import bits_of

#: A moment is written so long after its first sample, or once all of the cohort are there.
GRACE_MS = 6_000
#: A series that has not come for so long has ended: as long as PromQL looks back.
EXPIRY_MS = 300_000
#: What one moment costs to write beside its samples, in samples: a sender may give each sample a moment of its own.
MOMENT_COST = 10

Verdict = Literal["accepted", "duplicate", "out_of_order"]


class Key(NamedTuple):
    """A series: its metric's name, and its labels without it."""

    name: str
    labels: Labels


@dataclass(eq=False, slots=True)
class _Member:
    """A series: the latest sample of it, the end that was written last, and the cohort that it is in."""

    key: Key
    group: Hashable
    last_ms: int = -1
    last_bits: int = 0
    ended_ms: int = -1
    cohort: _Cohort | None = None


@dataclass(eq=False, slots=True)
class _Cohort:
    """Series that come together. ``pending`` holds the moments that are not written yet, ``since`` when each began."""

    source: str
    written_ms: int
    members: set[_Member] = field(default_factory=set)
    pending: dict[int, dict[_Member, float]] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)
    seen_ms: int = 0
    fresh: bool = True  # nothing of it has been written: more may be on its way


class Cohorts:
    """Not safe for threads. Sources are called ``<prefix>:1``, ``<prefix>:2`` and so on, and used again."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._members: dict[Key, _Member] = {}
        self._groups: dict[Hashable, list[_Cohort]] = {}
        self._free: list[tuple[str, int]] = []  # sources that nobody writes, and the time of their last tick
        self._made = 0
        self._live = 0
        self.pending = 0  #: samples that wait for their moment to be written
        self.moments = 0  #: and the moments that they are of, counted for each cohort

    def __len__(self) -> int:
        """Series that are known: those that live, and those that have ended lately."""
        return len(self._members)

    @property
    def live(self) -> int:
        """Series that come, none of them ended."""
        return self._live

    def __contains__(self, key: Key) -> bool:
        return key in self._members

    @property
    def sources(self) -> set[str]:
        """The sources under which series are open."""
        return {cohort.source for cohorts in self._groups.values() for cohort in cohorts if cohort.members}

    def add(self, group: Hashable, key: Key, time_ms: int, value: float, now_ms: int) -> Verdict:
        """Take a sample; a stale marker ends its series. Times of a series ascend; one that does not is left out."""
        member = self._members.get(key)
        if member is None:
            member = self._members[key] = _Member(key, group)
        bits = bits_of(value)
        if time_ms == member.last_ms and bits == member.last_bits:
            return "duplicate"
        cohort = member.cohort
        if time_ms <= max(member.last_ms, member.ended_ms):
            return "out_of_order"
        if cohort is None or time_ms <= cohort.written_ms:
            self._leave(member)
            cohort = self._company(member, time_ms)
        member.last_ms, member.last_bits = time_ms, bits
        self._note(cohort, member, time_ms, value, now_ms)
        return "accepted"

    def flush(self, now_ms: int, grace_ms: int = GRACE_MS, most: float = math.inf) -> list[Tick]:
        """What is to be written now, in order of time for each source: of about ``most`` samples, the rest later."""
        ticks: list[Tick] = []
        for group, cohorts in list(self._groups.items()):
            for cohort in list(cohorts):
                for tick in self._due(cohort, now_ms, grace_ms):
                    ticks.append(tick)
                    most -= len(tick.samples) + MOMENT_COST
                    if most <= 0:
                        self._groups[group] = self._groups.pop(group)  # the others come first the next time
                        return ticks
                if not cohort.pending and (not cohort.members or now_ms - cohort.seen_ms >= EXPIRY_MS):
                    ticks += self._dissolve(cohort)
                    cohorts.remove(cohort)
            if not cohorts:
                del self._groups[group]
        if len(self._members) > 2 * self._live:
            self._forget(now_ms)
        return ticks

    # --- within ---------------------------------------------------------------------------------------------------

    def _note(self, cohort: _Cohort, member: _Member, time_ms: int, value: float, now_ms: int) -> None:
        if member.cohort is None:
            self._live += 1
        member.cohort = cohort
        cohort.members.add(member)
        if time_ms not in cohort.pending:
            cohort.pending[time_ms], cohort.since[time_ms] = {}, now_ms
            self.moments += 1
        cohort.pending[time_ms][member] = value
        cohort.seen_ms = now_ms
        self.pending += 1

    def _company(self, member: _Member, time_ms: int) -> _Cohort:
        """The cohort that a series joins: one of its group that has this moment, or a new one."""
        cohorts = self._groups.setdefault(member.group, [])
        for cohort in cohorts:
            if time_ms in cohort.pending and time_ms > cohort.written_ms:
                return cohort
        cohort = _Cohort(*self._source(time_ms))
        cohorts.append(cohort)
        return cohort

    def _source(self, time_ms: int) -> tuple[str, int]:
        for place, (_, last_ms) in enumerate(self._free):
            if last_ms < time_ms:
                return self._free.pop(place)
        self._made += 1
        return f"{self._prefix}:{self._made}", -1

    def _leave(self, member: _Member) -> None:
        """Part a series from its cohort, whose next tick is without it."""
        if member.cohort is not None:
            member.cohort.members.discard(member)
            member.cohort = None
            self._live -= 1

    def _due(self, cohort: _Cohort, now_ms: int, grace_ms: int) -> Iterator[Tick]:
        """The moments of a cohort that are complete, or have waited long enough, and all before them."""
        ripe = [
            time_ms
            for time_ms, samples in cohort.pending.items()
            if abs(now_ms - cohort.since[time_ms]) >= grace_ms  # or the clock was set back by as much
            or (not cohort.fresh and len(samples) == len(cohort.members))
        ]
        latest = max(ripe, default=-1)
        for time_ms in sorted(time_ms for time_ms in cohort.pending if time_ms <= latest):
            samples = cohort.pending.get(time_ms)
            if samples:  # moments later on may have lost theirs to another cohort
                yield self._write(cohort, time_ms)
            elif cohort.pending.pop(time_ms, None) is not None:
                del cohort.since[time_ms]
                self.moments -= 1

    def _write(self, cohort: _Cohort, time_ms: int) -> Tick:
        samples = cohort.pending.pop(time_ms)
        arrived = cohort.since.pop(time_ms)
        self.moments -= 1
        self.pending -= len(samples)
        cohort.fresh, cohort.written_ms = False, time_ms
        gone = cohort.members.difference(samples)
        if gone:
            self._part(cohort, gone, time_ms, arrived)
        alive: list[Sample] = []
        for member, value in samples.items():
            if bits_of(value) == STALE_BITS:
                member.ended_ms = time_ms
                if member.last_ms == time_ms:  # it has not come again
                    self._leave(member)
            else:
                alive.append(Sample(*member.key, value))
        return Tick(cohort.source, time_ms, tuple(alive))

    def _part(self, cohort: _Cohort, gone: set[_Member], time_ms: int, now_ms: int) -> None:
        """These were not there when the others were: what they have of later moments goes to other cohorts."""
        for member in gone:
            self._leave(member)
            member.ended_ms = time_ms
        for moment in sorted(cohort.pending):  # each is looked at once, however many have gone
            samples = cohort.pending[moment]
            for member in samples.keys() & gone:
                value = samples.pop(member)
                self.pending -= 1
                other = member.cohort or self._apart(cohort, member, moment)
                self._note(other, member, moment, value, now_ms)

    def _apart(self, cohort: _Cohort, member: _Member, time_ms: int) -> _Cohort:
        """As :meth:`_company`, but for one."""
        cohorts = self._groups[member.group]
        for other in cohorts:
            if other is not cohort and time_ms in other.pending and time_ms > other.written_ms:
                return other
        fresh = _Cohort(*self._source(time_ms))
        cohorts.append(fresh)
        return fresh

    def _dissolve(self, cohort: _Cohort) -> list[Tick]:
        """End what is left of a cohort; its source is free for another."""
        ticks = []
        if cohort.members:
            cohort.written_ms += 1  # what was sent meanwhile may still come
            ticks.append(Tick(cohort.source, cohort.written_ms, ()))
        for member in list(cohort.members):
            member.ended_ms = cohort.written_ms
            self._leave(member)
        self._free.append((cohort.source, cohort.written_ms))
        return ticks

    def _forget(self, now_ms: int) -> None:
        """Forget series that have ended a while ago."""
        for key, member in list(self._members.items()):
            if member.cohort is None and member.last_ms < now_ms - 2 * EXPIRY_MS:
                del self._members[key]
