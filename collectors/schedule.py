"""Runs jobs at fixed intervals; the only file that knows APScheduler.

Jobs fire on whole seconds of the wall clock. A job never overlaps itself, a late one runs once, and neither a clock
that is set forwards nor one that is set back stops the work.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

_log = structlog.get_logger(__name__)

Job = Callable[[], None]

#: A job that is further ahead than its interval by this much stands behind a clock that was set back.
_CLOCK_SLACK_SECONDS = 1.0


class Schedule:
    """A set of jobs, each on a thread of its own."""

    def __init__(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._executor = _ThreadPerJob()
        self._scheduler = _Scheduler(
            timezone=UTC,
            daemon=True,
            executors={"default": self._executor},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._overrun, EVENT_JOB_MAX_INSTANCES)
        self._overrunning: set[str] = set()

    def every(self, seconds: float, name: str, job: Job, *, first_delay_seconds: float = 0) -> None:
        """Run ``job`` every ``seconds``, first at the first whole second after the delay. Names are unique.

        Raises ``ValueError`` for an interval that is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"the interval of {name} must be positive, not {seconds}")
        trigger = _WholeSeconds(seconds, first_delay_seconds)
        self._scheduler.add_job(self._guarded(name, job), trigger, id=name, name=name)

    def start(self) -> None:
        """Begin; returns at once."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no more jobs. A job that is running goes on to its end on its own thread."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _guarded(self, name: str, job: Job) -> Job:
        last_error: str | None = None

        def run() -> None:
            nonlocal last_error
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the edge of a scheduled job: it runs again next time
                reason = f"{type(error).__name__}: {error}"
                if reason != last_error:  # one that fails every second is told once
                    _log.error("job_failed", job=name, exc_info=error)
                last_error = reason
            else:
                if last_error is not None:
                    _log.info("job_recovered", job=name)
                last_error = None
            if name in self._overrunning:
                self._overrunning.discard(name)
                _log.info("job_back_in_time", job=name)

        return run

    def _overrun(self, event: JobSubmissionEvent) -> None:
        """Say once that a job takes longer than its interval."""
        if event.job_id not in self._overrunning:
            self._overrunning.add(event.job_id)
            _log.warning("job_overrun", job=event.job_id)


class _WholeSeconds(BaseTrigger):  # type: ignore[misc]
    """Fires at whole seconds, then every interval; times that have passed are skipped, however many they are."""

    def __init__(self, seconds: float, first_delay_seconds: float) -> None:
        self.seconds = seconds
        self.first_delay_seconds = first_delay_seconds

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        now_seconds = now.timestamp()
        if previous_fire_time is None:
            return datetime.fromtimestamp(math.ceil(now_seconds + self.first_delay_seconds), UTC)
        previous = previous_fire_time.timestamp()
        steps = max(math.floor((now_seconds - previous) / self.seconds) + 1, 1)
        return datetime.fromtimestamp(previous + steps * self.seconds, UTC)


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]
    """APScheduler's, which would sleep for an hour after the clock was set back by one."""

    def _process_jobs(self) -> float | None:
        now = datetime.now(UTC)
        with self._jobstores_lock:
            for job in self.get_jobs():
                furthest = max(job.trigger.seconds, job.trigger.first_delay_seconds) + _CLOCK_SLACK_SECONDS
                if job.next_run_time is not None and job.next_run_time - now > timedelta(seconds=furthest):
                    _log.warning("clock_set_back", job=job.id)
                    self._lookup_jobstore("default").update_job(_moved(job, now))
        wait: float | None = super()._process_jobs()
        return wait


def _moved(job: Any, now: datetime) -> Any:
    job._modify(next_run_time=job.trigger.get_next_fire_time(None, now))
    return job


class _ThreadPerJob(BaseExecutor):  # type: ignore[misc]
    """One lasting thread for each job: cheaper than a pool, and no job waits for another's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._inboxes: dict[str, SimpleQueue[tuple[Any, list[datetime]] | None]] = {}

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        inbox = self._inboxes.get(job.id)
        if inbox is None:
            inbox = self._inboxes[job.id] = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), name=f"job-{job.id}", daemon=True).start()
        inbox.put((job, run_times))

    def _work(self, inbox: SimpleQueue[tuple[Any, list[datetime]] | None]) -> None:
        while (task := inbox.get()) is not None:
            job, run_times = task
            self._run_job_success(job.id, run_job(job, job._jobstore_alias, run_times, self._logger.name))

    def shutdown(self, wait: bool = True) -> None:
        """End the threads; one that is busy ends after its job. ``wait`` is not supported and not used by us."""
        for inbox in self._inboxes.values():
            inbox.put(None)
