"""Whatever comes, and wherever a process dies: each alert in one incident that was live, and uptime adds up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from alerts.outage.joining import QUIET_MS, REOPEN_MS
from alerts.outage.stretch import Stretch, covered_ms, union, without
from alerts.outage.uptime import uptime
from storage.engine import open_database
from storage.error import StorageError
from storage.incident import DOWN
from tests.alerts.outage.scene import MINUTE, T0, Scene

#: What may happen in a minute, and how long until the next thing does.
EVENTS = st.sampled_from(
    [
        "fire",
        "fire_low",
        "fire_severe",
        "resolve",
        "acknowledge",
        "crash",
        "planned",
        "trouble",
        "well",
        "restart",
        "none",
    ]
)
STORIES = st.lists(st.tuples(EVENTS, st.integers(0, 20)), min_size=1, max_size=25)


@contextmanager
def fresh_scene() -> Iterator[Scene]:
    with TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "wakeless.db")
        try:
            yield Scene(database)
        finally:
            database.dispose()


def play(scene: Scene, story: list[tuple[str, int]], *, diligent: bool) -> int:
    """Let it happen; who is not diligent follows only now and then. Returns the moment of the end."""
    now = 0
    down: list[int] = []
    for place, (what, minutes) in enumerate(story):
        if what.startswith("fire"):
            level = {"fire": 2, "fire_low": 1, "fire_severe": 3}[what]
            scene.fire(f"Rule{place % 4}", now, after=minutes * MINUTE, level=level)
        elif what in ("resolve", "acknowledge") and scene.alerts:
            getattr(scene, what)(min(scene.alerts), now)
        elif what in ("crash", "planned"):
            kind = "process" if what == "crash" else "planned"
            for open_one in down:
                scene.incidents.close(open_one, T0 + now)
            down = [scene.stretch(kind, what, now, None, noted=now + 1000)]
        elif what == "trouble":
            down.append(scene.stretch("model", "load_failed", now, None))
        elif what == "well":
            for open_one in down:
                scene.incidents.close(open_one, T0 + now)
            down = []
        elif what == "restart":
            scene.restart()
        if diligent or what in ("none", "restart"):
            scene.follow(now)
        now += minutes * MINUTE
    scene.follow(now + MINUTE)
    return now


@settings(max_examples=30, deadline=None)
@given(STORIES, st.booleans())
def test_each_alert_is_in_one_incident_which_is_over_when_all_of_it_is(
    story: list[tuple[str, int]], diligent: bool
) -> None:
    with fresh_scene() as scene:
        end = play(scene, story, diligent=diligent)
        heads = scene.heads()
        severe = {one.id for one in scene.book.between(0, T0 + end, 1000) if one.level >= 2}
        members = scene.members()
        assert {id for id, incident in members.items() if incident is not None} == severe
        assert {members[id] for id in severe} <= {one.id for one in heads}
        for head in heads:
            mine = [one for one in scene.book.between(0, T0 + end, 1000) if members[one.id] == head.id]
            parts = [one for one in scene.incidents.parts(head.id) if one.kind in DOWN]
            ends = [one.resolved_ms for one in mine] + [one.ended_ms for one in parts]
            assert head.over_ms == (None if None in ends else max(end for end in ends if end is not None))
        scene.restart()
        before_restart = (heads, members, [scene.lines(one.id) for one in heads])
        scene.follow(end + MINUTE)
        assert (scene.heads(), scene.members(), [scene.lines(one.id) for one in heads]) == before_restart


class Mark(NamedTuple):
    """A sign as the database has it at the end."""

    time_ms: int
    name: str
    end_ms: int | None
    grave: bool


def marks_of(scene: Scene) -> dict[int, list[Mark]]:
    """The signs of each incident, in the order of their times."""
    members = scene.members()
    found: dict[int, list[Mark]] = {one.id: [] for one in scene.heads()}
    for alert in scene.book.between(0, T0 + 10**9, 1000):
        head = members[alert.id]
        if head is not None and alert.firing_ms is not None:
            found[head].append(Mark(alert.firing_ms, f"alert {alert.id}", alert.resolved_ms, alert.level >= 3))
    for head in found:
        for part in scene.incidents.parts(head):
            if part.kind in DOWN:
                found[head].append(Mark(part.started_ms, part.kind, part.ended_ms, True))
    return {head: sorted(marks, key=lambda one: (one.time_ms, one.name)) for head, marks in found.items()}


def is_live(marks: list[Mark], moment: int, *, at_it: bool) -> bool:
    """Whether an incident of these takes what begins now. ``at_it`` says whether what ends now has ended already."""
    ends = [mark.end_ms for mark in marks if mark.end_ms is not None and mark.end_ms < moment + at_it]
    if any(mark.grave and (mark.end_ms is None or mark.end_ms >= moment + at_it) for mark in marks):
        return True
    happened = [*(mark.time_ms for mark in marks), *ends]
    return moment - max(happened) <= (REOPEN_MS if len(ends) == len(marks) else QUIET_MS)


@settings(max_examples=60, deadline=None)
@given(STORIES, st.booleans())
def test_a_sign_joins_an_incident_that_is_live_and_begins_one_only_where_none_is(
    story: list[tuple[str, int]], diligent: bool
) -> None:
    with fresh_scene() as scene:
        play(scene, story, diligent=diligent)
        found = marks_of(scene)
        for head, marks in found.items():
            first, *later = marks
            others = [[mark for mark in found[one] if mark.time_ms < first.time_ms] for one in found if one != head]
            assert not any(is_live(known, first.time_ms, at_it=False) for known in others if known)
            for place, mark in enumerate(later, 1):
                assert is_live(marks[:place], mark.time_ms, at_it=True)


@settings(max_examples=30, deadline=None)
@given(STORIES.map(lambda story: [(what, minutes + 1) for what, minutes in story]))
def test_it_makes_no_difference_to_what_is_joined_when_somebody_looks(story: list[tuple[str, int]]) -> None:
    def joined(diligent: bool) -> list[list[Mark]]:
        with fresh_scene() as scene:
            play(scene, story, diligent=diligent)
            return sorted(marks_of(scene).values(), key=str)

    assert joined(diligent=True) == joined(diligent=False)


@settings(max_examples=30, deadline=None)
@given(STORIES, st.integers(0, 60))
def test_uptime_is_what_counting_minutes_gives(story: list[tuple[str, int]], since: int) -> None:
    with fresh_scene() as scene:
        scene.incidents.note_first_start(T0 + since * MINUTE)
        end = max(play(scene, story, diligent=True), MINUTE)
        first_ms = scene.incidents.first_start_ms()
        assert first_ms is not None
        found = uptime(scene.incidents, T0 + end, UTC)
        rows = scene.incidents.recent(1000)

        def lies_in(minute: int, kinds: tuple[str, ...]) -> bool:
            moment = T0 + minute * MINUTE
            return any(
                one.started_ms <= moment and (one.ended_ms is None or moment < one.ended_ms)
                for one in rows
                if one.kind in kinds
            )

        minutes = range((first_ms - T0) // MINUTE, end // MINUTE)
        down = sum(lies_in(minute, DOWN) for minute in minutes)
        planned = sum(lies_in(minute, ("planned",)) and not lies_in(minute, DOWN) for minute in minutes)
        counted = len(minutes) - planned
        share = found.windows["90d"]
        assert share.seconds_down == down * 60
        assert share.seconds_planned == planned * 60
        assert share.ratio == (1 - down / counted if counted > 0 else None)
        assert sum(day.seconds_down for day in found.days) == share.seconds_down


SETS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Stretch(*pair)), max_size=8)


@given(SETS, SETS)
def test_sets_of_stretches_are_sets_of_moments(some: list[Stretch], others: list[Stretch]) -> None:
    def moments(stretches: list[Stretch]) -> set[int]:
        return {moment for one in stretches for moment in range(one.start_ms, one.end_ms)}

    joined, taken = union(some), union(others)
    assert moments(joined) == moments(some)
    assert moments(without(joined, taken)) == moments(some) - moments(others)
    assert covered_ms(joined, 10, 30) == len(moments(some) & set(range(10, 30)))
    assert all(before.end_ms < after.start_ms for before, after in pairwise(joined))


def test_a_gap_is_as_long_as_it_may_be(scene: Scene) -> None:
    assert REOPEN_MS == 5 * MINUTE
    scene.stretch("process", "killed", 0, MINUTE)
    scene.stretch("process", "killed", MINUTE + REOPEN_MS, 10 * MINUTE)
    scene.follow(10 * MINUTE)
    assert len(scene.heads()) == 1


@settings(max_examples=20, deadline=None)
@given(STORIES, st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_a_process_that_dies_amid_a_change_leaves_nothing_half_done(
    story: list[tuple[str, int]], deaths: list[int]
) -> None:
    """At the n-th statement of a change it dies; what the next process makes of it is what would have been anyway."""

    def outcome(kill: bool) -> list[object]:
        with fresh_scene() as scene:
            left = iter(deaths if kill else ())
            follow = scene.follow

            def dying_follow(at: int) -> None:
                after = next(left, None)
                if after is not None:
                    with suppress(StorageError), dying(scene, after):
                        follow(at)
                    scene.restart()
                follow(at)

            scene.follow = dying_follow  # type: ignore[method-assign]
            play(scene, story, diligent=True)
            lines = [sorted(scene.lines(one.id)) for one in scene.heads()]
            return [scene.heads(), scene.members(), lines]

    assert outcome(kill=True) == outcome(kill=False)


@contextmanager
def dying(scene: Scene, after: int) -> Iterator[None]:
    """The database takes so many statements, and then no more."""
    count = iter(range(after))

    def refuse(*_: object) -> None:
        if next(count, None) is None:
            raise StorageError("killed", permanent=True)

    event.listen(scene.database, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(scene.database, "before_cursor_execute", refuse)
