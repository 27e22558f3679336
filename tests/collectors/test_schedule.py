"""Jobs that run on time, alone, and go on whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from structlog.testing import capture_logs

from collectors.schedule import Schedule, _WholeSeconds

TICK = 0.05


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule()
    yield made
    made.stop()


class Job:
    """Counts its runs and lets a test wait for the n-th."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.threads: set[int] = set()
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.times.append(time.time())
            self.threads.add(threading.get_ident())
            self._changed.notify_all()

    def wait(self, runs: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.times) >= runs, timeout=30)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_job_runs_again_and_again_on_one_thread(schedule: Schedule) -> None:
    job = Job()
    schedule.every(TICK, "tick", job)
    schedule.start()
    job.wait(5)
    assert len(job.threads) == 1


def test_a_job_that_raises_runs_again_and_is_told_once_with_its_traceback(schedule: Schedule) -> None:
    job = Job()
    problem = LookupError("no such thing")

    def fail() -> None:
        job()
        if len(job.times) < 4:
            raise problem

    with capture_logs() as logs:
        schedule.every(TICK, "bad", fail)
        schedule.start()
        job.wait(5)
        schedule.stop()
    assert [entry["event"] for entry in logs] == ["job_failed", "job_recovered"]
    assert logs[0]["exc_info"] is problem
    assert problem.__traceback__ is not None


def test_a_job_never_overlaps_itself_nor_holds_up_another(schedule: Schedule) -> None:
    gate, running = threading.Event(), Job()
    quick = Job()

    def slow() -> None:
        running()
        assert gate.wait(30)

    with capture_logs() as logs:
        schedule.every(TICK, "slow", slow)
        schedule.every(TICK, "quick", quick)
        schedule.start()
        running.wait(1)
        seen = len(quick.times)
        quick.wait(seen + 5)
        assert len(running.times) == 1
        gate.set()
        running.wait(3)
        schedule.stop()
    told = [(entry["event"], entry["job"]) for entry in logs if entry["job"] == "slow"]
    assert told[:2] == [("job_overrun", "slow"), ("job_back_in_time", "slow")]


def test_stop_starts_nothing_more_and_does_not_wait_for_a_hanging_job(schedule: Schedule) -> None:
    gate, job = threading.Event(), Job()

    def hang() -> None:
        job()
        gate.wait(30)

    schedule.every(TICK, "hang", hang)
    schedule.start()
    job.wait(1)
    start = time.monotonic()
    schedule.stop()
    assert time.monotonic() - start < 5
    gate.set()
    assert len(job.times) == 1
    schedule.stop()


def test_jobs_fire_on_whole_seconds_and_keep_their_pace() -> None:
    trigger = _WholeSeconds(1.0, 0.0)
    first = trigger.get_next_fire_time(None, at(1000.3))
    assert first == at(1001)
    assert trigger.get_next_fire_time(first, at(1001.002)) == at(1002)
    assert trigger.get_next_fire_time(first, at(1001)) == at(1002)
    assert _WholeSeconds(0.2, 0.0).get_next_fire_time(at(1001), at(1001.01)) == at(1001.2)


def test_the_first_run_waits_for_its_delay() -> None:
    assert _WholeSeconds(3600, 60).get_next_fire_time(None, at(1000.3)) == at(1061)


def test_times_that_were_missed_are_skipped_in_one_step() -> None:
    trigger = _WholeSeconds(1.0, 0.0)
    year = 366 * 86400
    start = time.perf_counter()
    assert trigger.get_next_fire_time(at(1000), at(1000 + year + 0.5)) == at(1000 + year + 1)
    assert time.perf_counter() - start < 1


def test_a_clock_that_is_set_back_by_an_hour_does_not_stop_the_jobs(schedule: Schedule) -> None:
    job = Job()
    schedule.every(TICK, "tick", job)
    schedule.start()
    job.wait(2)
    with time_machine.travel(time.time() - 3600, tick=True):
        job.wait(len(job.times) + 3)
        assert job.times[-1] < job.times[0]


def test_a_clock_that_is_set_forward_by_a_year_runs_a_job_once_and_goes_on(schedule: Schedule) -> None:
    job = Job()
    schedule.every(TICK, "tick", job)
    schedule.start()
    job.wait(2)
    with time_machine.travel(time.time() + 365 * 86400, tick=True):
        seen = len(job.times)
        job.wait(seen + 3)
        assert len(job.times) < seen + 50


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_it_refuses_an_interval_that_is_not_positive(schedule: Schedule, seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        schedule.every(seconds, "tick", lambda: None)
