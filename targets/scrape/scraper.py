"""Scrapes what exposes metrics, each endpoint at its interval, on threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from collectors.sample import Tick
from config_target import ScrapeTarget
from targets.fetch import Request, Response, fetch
from targets.round import Rounds
from targets.scrape.job import ScrapeJob, ScrapeState, instances
from targets.scrape.relabel import RelabelError
from targets.target import Target

log = structlog.get_logger(__name__)

#: Endpoints that are waited for at the same time. Threads come only as they are needed.
WORKERS = 32

_Key = tuple[str, int]


class Scraper:
    """A :class:`targets.target.Watch`. Its history is its state: what a scrape brought is in the series."""

    def __init__(
        self,
        clock_ms: Callable[[], int],
        *,
        fetch: Callable[[Request], Response] = fetch,
        rounds: Rounds | None = None,
    ) -> None:
        self._clock_ms = clock_ms
        self._fetch = fetch
        self._rounds = rounds or Rounds(WORKERS, "scrape")
        self._jobs: dict[_Key, ScrapeJob] = {}
        self._refused: dict[_Key, tuple[ScrapeTarget, ScrapeState]] = {}
        self._ticks: list[Tick] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to scrape."""
        self._rounds.start()

    def stop(self) -> None:
        """Begin no more scrapes; one that is under way is not waited for."""
        self._rounds.stop()

    def replace(self, targets: Sequence[Target]) -> None:
        """Scrape the endpoints of these targets. One that has not changed keeps its times and its series."""
        wanted: dict[_Key, tuple[ScrapeTarget, str]] = {}
        for target in targets:
            scrapes = target.settings.scrape
            for index, (settings, instance) in enumerate(zip(scrapes, instances(scrapes), strict=True)):
                wanted[target.name, index] = settings, instance
        with self._lock:
            for key, job in list(self._jobs.items()):
                if wanted.get(key) != (job.settings, job.instance):
                    self._drop(key)
            self._refused = {key: one for key, one in self._refused.items() if wanted.get(key, (None,))[0] is one[0]}
            for key, (settings, instance) in wanted.items():
                if key not in self._jobs and key not in self._refused:
                    self._add(key, settings, instance)

    def collect(self, now_ms: int) -> list[Tick]:
        """What scrapes have brought since the last call."""
        with self._lock:
            ticks, self._ticks = self._ticks, []
        return ticks

    def states(self) -> list[ScrapeState]:
        """How the latest scrape of each endpoint went."""
        with self._lock:
            found = {key: job.state for key, job in self._jobs.items()}
            found.update((key, state) for key, (_, state) in self._refused.items())
        return [found[key] for key in sorted(found)]

    # --- within ---------------------------------------------------------------------------------------------------

    def _add(self, key: _Key, settings: ScrapeTarget, instance: str) -> None:
        try:
            job = ScrapeJob(*key, settings, instance, self._fetch)
        except RelabelError as error:
            log.error("scrape_impossible", target=key[0], error=str(error))
            state = ScrapeState(*key, up=False, error=str(error), url=settings.url, profile=settings.profile)
            self._refused[key] = settings, state
            return
        self._jobs[key] = job
        self._rounds.every(_name(key), settings.interval, lambda: self._scrape(key, job))

    def _drop(self, key: _Key) -> None:
        job = self._jobs.pop(key)
        self._rounds.drop(_name(key))
        self._ticks += job.end(self._clock_ms())

    def _scrape(self, key: _Key, job: ScrapeJob) -> None:
        before = job.state
        ticks = job.scrape(self._clock_ms())
        with self._lock:
            if self._jobs.get(key) is not job:
                return  # it has been taken off meanwhile, and its series have ended
            self._ticks += ticks
        if job.state.up != before.up and (job.state.up is False or before.up is False):
            event = "scrape_recovered" if job.state.up else "scrape_failed"
            log.warning(event, target=key[0], index=key[1], reason=job.state.error)


def _name(key: _Key) -> str:
    return f"{key[0]}/{key[1]}"
