"""Jobs run at their times, spread out, and never over one another."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.round import FIRST_WITHIN_SECONDS, Rounds, Timetable
from tests.running import eventually


def _nothing() -> None:
    pass


def _times(table: Timetable, until: float, *, took: float = 0.0) -> dict[str, list[float]]:
    """When each job begins until then, where each takes so long and there are threads enough."""
    began: dict[str, list[float]] = {}
    while (at := table.next_at()) is not None and at <= until:
        found = table.take(at)
        assert found is not None
        began.setdefault(found[0].key, []).append(at)
        table.done(found[0], at + took)
    return began


@given(st.integers(1, 60), st.sampled_from([0.5, 5.0, 30.0, 3600.0]))
def test_the_first_runs_come_soon_and_spread_out(count: int, interval: float) -> None:
    table = Timetable()
    for index in range(count):
        table.every(f"job-{index}", interval, _nothing, 100.0)
    window = min(interval, FIRST_WITHIN_SECONDS)
    first = sorted(times[0] for times in _times(table, 100.0 + window).values())
    assert len(first) == count
    gaps = [later - earlier for earlier, later in itertools.pairwise(first)]
    assert all(gap > window / (3 * count) for gap in gaps)


def test_a_job_keeps_its_interval_without_drifting() -> None:
    table = Timetable()
    table.every("a", 5.0, _nothing, 0.0)
    times = _times(table, 100.0, took=0.7)["a"]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([5.0] * 19)


def test_one_that_took_longer_than_its_interval_runs_once_at_once_and_then_on_its_grid_again() -> None:
    table = Timetable()
    table.every("a", 5.0, _nothing, 0.0)
    first = table.next_at()
    assert first is not None
    entry = table.take(first)
    assert entry is not None
    table.done(entry[0], first + 12.0)
    assert table.next_at() == first + 10.0  # which has passed
    again = table.take(first + 12.0)
    assert again is not None
    assert again[1] == pytest.approx(2.0)
    table.done(again[0], first + 12.5)
    assert table.next_at() == first + 15.0


def test_a_running_job_is_not_due_however_late_it_is() -> None:
    table = Timetable()
    table.every("a", 1.0, _nothing, 0.0)
    assert table.take(10.0) is not None
    assert table.next_at() is None


def test_one_run_may_begin_sooner_and_the_next_is_on_the_grid() -> None:
    table = Timetable()
    table.every("a", 5.0, _nothing, 0.0)
    first = table.next_at()
    assert first is not None
    found = table.take(first)
    assert found is not None
    table.sooner("a", 2.0)
    table.done(found[0], first + 2.0)
    assert table.next_at() == first + 3.0
    found = table.take(first + 3.0)
    assert found is not None
    table.done(found[0], first + 3.1)
    assert table.next_at() == first + 10.0


def test_a_job_that_is_replaced_keeps_its_times_if_its_interval_is_the_same() -> None:
    table = Timetable()
    table.every("a", 5.0, _nothing, 0.0)
    before = table.next_at()
    table.every("a", 5.0, lambda: None, 3.0)
    assert table.next_at() == before
    table.every("a", 60.0, _nothing, 3.0)
    assert len(_times(table, 59.0)["a"]) == 1


def test_a_job_that_is_dropped_while_it_runs_does_not_come_back() -> None:
    table = Timetable()
    table.every("a", 5.0, _nothing, 0.0)
    found = table.take(5.0)
    assert found is not None
    table.drop("a")
    table.done(found[0], 6.0)
    assert table.next_at() is None


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Timetable().every("a", 0.0, _nothing, 0.0)


def test_one_that_hangs_holds_up_nobody_and_a_failing_one_runs_again() -> None:
    rounds = Rounds(3, "rounds")
    free = threading.Event()
    ran: list[str] = []

    def fail() -> None:
        ran.append("fail")
        raise RuntimeError("no")

    rounds.every("hang", 0.05, lambda: void(free.wait(30)))
    rounds.every("fail", 0.05, fail)
    rounds.every("well", 0.05, lambda: ran.append("well"))
    rounds.start()
    try:
        eventually(lambda: ran.count("fail") > 2 and ran.count("well") > 2, what="both run on")
        assert rounds.threads <= 3
    finally:
        free.set()
        rounds.stop()
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("rounds-")])


def test_a_machine_without_threads_to_spare_costs_the_threads_that_are_there_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("short-") and (not spare or started.count("short") >= spare[-1]):
            raise RuntimeError("can't start new thread")
        started.append(thread.name.partition("-")[0])
        start(thread)

    spare: list[int] = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    rounds = Rounds(8, "short")
    ran: list[str] = []
    rounds.every("a", 0.05, lambda: ran.append("a"))
    rounds.start()
    assert rounds.threads == 0
    spare.append(1)
    rounds.every("b", 0.05, lambda: ran.append("b"))
    try:
        eventually(lambda: ran.count("a") > 3 and ran.count("b") > 3, what="both run on the only thread")
        assert rounds.threads == 1
    finally:
        rounds.stop()


def void(_: object) -> None:
    """Forget a result."""


def test_jobs_of_many_threads_do_not_overlap_themselves_and_new_ones_are_noticed() -> None:
    rounds = Rounds(8, "many")
    rounds.start()
    running: dict[int, int] = {}
    most: list[int] = []
    lock = threading.Lock()

    def job(index: int) -> None:
        with lock:
            running[index] = running.get(index, 0) + 1
            most.append(running[index])
        time.sleep(0.001)
        with lock:
            running[index] -= 1

    try:
        rounds.every("late", 3600.0, _nothing)
        for index in range(20):
            rounds.every(str(index), 0.02, lambda index=index: job(index))  # type: ignore[misc]
        eventually(lambda: len(most) > 200, what="200 runs")
        assert max(most) == 1
        assert rounds.late_seconds < 5
    finally:
        rounds.stop()
