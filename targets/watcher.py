"""All that is watched beside the model: who is watched, by what, and what is done about it. Wired in ``server.py``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from collectors.sample import Sample, Tick
from storage.error import StorageError
from targets.target import Target, Watch

if TYPE_CHECKING:
    from targets.logfile.watch import LogWatch
    from targets.probe.prober import Prober
    from targets.remedy.ladder import Ladder
    from targets.roster import Roster
    from targets.scrape.inbox import Inbox
    from targets.scrape.scraper import Scraper

log = structlog.get_logger(__name__)

#: The source under which the ladder's series are kept.
REMEDIES = "remedies"


class Watcher:
    """Owns the watches and keeps them to the roster. :meth:`collect` and :meth:`act` are for the thread of the tick."""

    def __init__(
        self,
        *,
        roster: Roster,
        prober: Prober,
        scraper: Scraper,
        logs: LogWatch,
        inbox: Inbox,
        ladder: Ladder,
        on_profiles: Callable[[list[str]], None] = lambda names: None,
    ) -> None:
        self.roster = roster
        self.prober = prober
        self.scraper = scraper
        self.logs = logs
        self.inbox = inbox
        self.ladder = ladder
        self._on_profiles = on_profiles
        self._profiles: list[str] = []
        self._watches: tuple[Watch, ...] = (prober, scraper, logs)
        self._refreshing = threading.Lock()
        self._started: set[int] = set()
        self._failing: set[str] = set()
        self._remedied = False
        self._latest: dict[str, tuple[Sample, ...]] = {}
        self._raised: frozenset[tuple[str, str]] = frozenset()

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch. What cannot be read from the database now is read at a later :meth:`refresh`."""
        self.roster.on_change = self.refresh
        self.refresh()

    def refresh(self) -> None:
        """Watch whom the roster names now. Raises nothing: the database may be busy, and somebody calls it again.

        One at a time: who has read the roster before a change must not have the last word after it.
        """
        with self._refreshing:
            try:
                targets = [target for target in self.roster.targets() if not self.roster.is_paused(target.name)]
            except StorageError as error:
                log.warning("targets_not_read", error=str(error))
                return
            self._watch(targets)

    def _watch(self, targets: list[Target]) -> None:
        self.ladder.replace(targets)
        for index, watch in enumerate(self._watches):
            watch.replace(targets)
            # Without anything to watch there are no threads.
            if index not in self._started and targets:
                self._started.add(index)
                watch.start()
        self._announce(targets)

    def stop(self) -> None:
        """End the threads, at once."""
        for index in self._started:
            self._watches[index].stop()
        self.ladder.stop()

    # --- the stages of a tick -------------------------------------------------------------------------------------

    def collect(self, now_ms: int) -> list[Tick]:
        """What all of them have brought since the last tick. One that fails costs its own series only."""
        logs = self._alone("LogWatch", self.logs.collect, now_ms)
        for tick in logs:
            self._raised = frozenset(_raised(tick))
        ours = [*self._alone("Prober", self.prober.collect, now_ms), *logs, *self._alone("Ladder", self._tell, now_ms)]
        self._remember(ours)
        theirs = [self._alone(type(one).__name__, one.collect, now_ms) for one in (self.scraper, self.inbox)]
        return [*ours, *chain.from_iterable(theirs)]

    def latest(self) -> list[Sample]:
        """The newest samples of what we found out ourselves; what others measured is theirs to expose."""
        return [sample for samples in self._latest.values() for sample in samples]

    def act(self, now_ms: int) -> None:
        """Have the ladders look at how things stand."""
        self.ladder.follow(self.prober.states(), self._raised, now_ms)

    def _remember(self, ticks: Iterable[Tick]) -> None:
        latest = dict(self._latest)
        for tick in ticks:
            if tick.samples:
                latest[tick.source] = tick.samples
            else:
                latest.pop(tick.source, None)
        self._latest = latest

    def _tell(self, now_ms: int) -> list[Tick]:
        """What the ladders have done, as series; their end once there is none any more."""
        samples = tuple(self.ladder.samples(now_ms))
        if not samples and not self._remedied:
            return []
        self._remedied = bool(samples)
        return [Tick(REMEDIES, now_ms, samples)]

    # --- parts ----------------------------------------------------------------------------------------------------

    def _announce(self, targets: Iterable[Target]) -> None:
        """Say which profiles of metrics are in use, if that has changed: they bring rules and panels."""
        profiles: list[str] = sorted(
            {one.profile for target in targets for one in target.settings.scrape if one.profile}
        )
        if profiles == self._profiles:
            return
        try:
            self._on_profiles(list(profiles))
        except Exception as error:  # the edge of another room: what is watched is watched without it
            log.error("profiles_not_taken", profiles=profiles, exc_info=error)
            return
        self._profiles = profiles

    def _alone(self, name: str, collect: Callable[[int], list[Tick]], now_ms: int) -> list[Tick]:
        try:
            ticks = collect(now_ms)
        except Exception as error:  # the edge of one part: the others' ticks must not be lost with it
            if name not in self._failing:
                log.error("watch_failed", watch=name, error=str(error), exc_info=True)
            self._failing.add(name)
            return []
        self._failing.discard(name)
        return ticks


def _raised(tick: Tick) -> Iterable[tuple[str, str]]:
    """Target and pattern of everything that is raised, as the series say it."""
    for sample in tick.samples:
        if sample.name == "log_pattern_active" and sample.value:
            labels = dict(sample.labels)
            yield labels["target"], labels["pattern"]
