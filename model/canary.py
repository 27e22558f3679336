"""A second version beside the one that serves: it takes a share of the requests, is compared, and goes if it is bad."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from model.breaker import Breaker, BreakerState, Verdict
from model.comparison import Comparison
from model.contract import Incompatible, tell_apart
from model.errors import NoVersion
from model.examiner import Examination
from model.fault import LoadFailure
from model.home import Home
from model.loader import Instance
from model.pair import Pair
from model.plan import Plan
from model.release import NoSwitch, Releases, Target
from model.terms import Terms

log = structlog.get_logger(__name__)

#: So many deep checks in a row must have found its golden input failing.
GOLDEN_CHECKS = 2

State = Literal["loading", "running", "failed", "ended", "promoted", "taken_out"]


@dataclass(frozen=True, slots=True)
class CanaryView:
    """The canary under way, or the last one. ``reason`` is why it failed to load, was taken out, or had to end."""

    version: str
    #: What served when it began.
    before: str | None
    percent: float
    forced: bool
    began_ms: int
    state: State = "loading"
    ended_ms: int | None = None
    reason: str | None = None
    suggestion: str | None = None
    differs: tuple[str, ...] = ()
    comparison: Comparison | None = None


class Canary:
    """One at a time. Any thread may call; ``latency_ratio`` is how many times as slow as the other is too slow.

    It does not outlive the process: whatever it did to it, the next one starts without.
    """

    def __init__(
        self,
        releases: Releases,
        home: Callable[[], Home],
        latency_ratio: float,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._releases = releases
        self._home = home
        self._ratio = latency_ratio
        self._clock = clock
        self._wall_ms = wall_ms
        self._changed = threading.Condition()
        self._pair: Pair | None = None
        self._view: CanaryView | None = None
        self._began = 0.0
        self._seen: Examination | None = None
        self._golden_failures = 0

    # --- what people ask for -------------------------------------------------------------------------------------

    def begin(self, version: str, percent: float, *, force: bool) -> CanaryView:
        """Begin to load ``version`` beside the one that serves, or set its share if it runs.

        Raises :class:`NoSwitch`.
        """
        with self._changed:
            if (view := self._current()) is not None and view.state == "running" and view.version == version:
                return self.share(percent)
            self._refuse_another()
        target = self._told_apart(self._releases.beside(version, force=force))
        view = CanaryView(version, self._releases.serving, percent, force, self._wall_ms())
        plan = Plan("canary", [target], seat=lambda instance: self._seat(view, instance), done=self._loaded)
        with self._changed:
            self._refuse_another()
            if self._home().instance is None:
                raise NoSwitch("No version serves that another one could be compared with.")
            before, self._view = self._view, view
            if not self._home().begin(plan):
                self._view = before
                raise NoSwitch("The model is being loaded already, or only a new process helps.")
        log.info("canary_begins", version=version, percent=percent, forced=force)
        return view

    def share(self, percent: float) -> CanaryView:
        """Set the share of the one that runs. Raises :class:`NoSwitch`."""
        with self._changed:
            pair, view = self.running()
            pair.percent = percent
        log.info("canary_share", version=view.version, percent=percent)
        return replace(view, percent=percent)

    def end(self) -> CanaryView:
        """All requests go to the version that serves again. Raises :class:`NoSwitch`."""
        pair, view = self.running()
        self._close(pair, "ended", None)
        return self.view() or view

    def running(self) -> tuple[Pair, CanaryView]:
        """The one that runs. Raises :class:`NoSwitch`."""
        with self._changed:
            if self._pair is None or self._view is None:
                raise NoSwitch("No canary is running.")
            return self._pair, self._view

    def refuse_while_busy(self) -> None:
        """Another version may not be put into service meanwhile. Raises :class:`NoSwitch`."""
        with self._changed:
            self._refuse_another()

    def wait(self, timeout_seconds: float) -> CanaryView | None:
        """The last canary, once it has been loaded or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._view is None or self._view.state != "loading", timeout_seconds)
        return self.view()

    def view(self) -> CanaryView | None:
        """The canary under way or the last one, with both sides' numbers."""
        with self._changed:
            pair, view = self._pair, self._view
            if pair is None or view is None:
                return view
            return replace(view, percent=pair.percent, comparison=pair.comparison(self._clock() - self._began))

    # --- what every request asks ---------------------------------------------------------------------------------

    @property
    def instance(self) -> Instance | None:
        """What runs beside."""
        pair = self._pair
        return None if pair is None else pair.canary

    @property
    def taking(self) -> tuple[Instance, float] | None:
        """What runs beside, and how many of 100 requests it takes."""
        pair = self._pair
        return None if pair is None else (pair.canary, pair.percent)

    def route(self, serving: Instance, request_id: str, terms: Terms) -> Instance:
        """Who answers a request. Raises :class:`NoVersion` where it asks for one that is not loaded."""
        pair = self._pair
        if terms.version is not None:
            return self.named(serving, terms.version)
        if pair is None or not pair.wants(terms.key or request_id):
            return serving
        home = self._home()
        return pair.canary if home.serving and home.breaker(pair.canary).state == "closed" else serving

    def named(self, serving: Instance, version: str) -> Instance:
        """The loaded version of that name. Raises :class:`NoVersion`."""
        pair = self._pair
        loaded = [serving] if pair is None else [serving, pair.canary]
        for found in loaded:
            if found.version == version:
                return found
        names = " and ".join(one.version for one in loaded)
        raise NoVersion(f"Version {version[:50]} is not loaded; {names} can be asked for.", reason="version_not_loaded")

    # --- what it hears -------------------------------------------------------------------------------------------

    def finished(self, version: str, outcome: str, seconds: float, result_class: str | None) -> None:
        """A request ended."""
        if (pair := self._pair) is not None:
            pair.finished(version, outcome, seconds, result_class)
            if version == pair.canary.version and (outcome != "ok" or pair.nan):
                self._judge(pair)  # now that the request is counted

    def answered(self, instance: Instance, *, nan: bool) -> None:
        """A model made an answer, with NaN in it or not."""
        if (pair := self._pair) is not None:
            pair.answered(instance, nan=nan)

    def witness(self, instance: Instance, verdict: Verdict) -> None:
        """A model was asked, and this came of it."""
        if (pair := self._pair) is not None:
            pair.witness(instance, verdict)

    def batch(self, instance: Instance, size: int, seconds: float) -> None:
        """A batch succeeded."""
        if (pair := self._pair) is not None:
            pair.batch(instance, size, seconds)

    def breaker_changed(self, breaker: Breaker, state: BreakerState) -> None:
        """Some breaker did; the canary's takes it out when it opens."""
        if state == "open" and (pair := self._pair) is not None and breaker is self._home().breaker(pair.canary):
            self._take_out(pair, breaker.reason or "breaker_open")

    def look(self, found: Examination | None) -> None:
        """At every deep check, with what the last one of the canary itself has found."""
        if (pair := self._pair) is None:
            return
        if found is not None and found is not self._seen:
            self._seen = found
            wrong = not found.model_ok and (found.reason or "").startswith(("golden_failed", "model_in_training_mode"))
            self._golden_failures = self._golden_failures + 1 if wrong else 0
            if self._golden_failures >= GOLDEN_CHECKS:
                self._take_out(pair, found.reason or "golden_failed")
                return
        self._judge(pair)

    def stranded(self, why: str) -> None:
        """The engine that it lives on has failed, and answers nothing any more."""
        if (pair := self._pair) is not None:
            self._close(pair, "ended", f"canary_ended: {why}")

    def installed(self, instance: Instance) -> None:
        """Something has come into service: the canary itself, or another version that it was not compared with."""
        pair, view = self._pair, self._view
        if pair is None or view is None:
            return
        if instance is pair.canary:
            self._close(pair, "promoted", None)
        elif self._releases.version_of(instance) != view.before:
            self._close(pair, "ended", f"canary_ended: version {instance.version} was put into service")

    # --- details -------------------------------------------------------------------------------------------------

    def _told_apart(self, target: Target) -> Target:
        def approve(instance: Instance) -> None:
            target.approve(instance)
            tell_apart(self._home().instance, instance)

        return replace(target, approve=approve)

    def _seat(self, view: CanaryView, instance: Instance) -> None:
        """On the model thread, between two batches: it has passed all that a switch asks for."""
        home = self._home()
        serving = home.instance
        assert serving is not None, "only a load takes it away, and there is one load at a time"
        home.welcome(instance)
        self._releases.canary_began(view.version, instance)
        with self._changed:
            self._seen, self._golden_failures, self._began = None, 0, self._clock()
            self._view = replace(view, state="running", began_ms=self._wall_ms())
            self._pair = Pair(instance, serving, view.percent)

    def _loaded(self, failure: LoadFailure | None) -> None:
        """The load has ended, well or not."""
        with self._changed:
            if failure is not None and self._view is not None and self._view.state == "loading":
                self._view = replace(
                    self._view,
                    state="failed",
                    ended_ms=self._wall_ms(),
                    reason=failure.reason,
                    suggestion=failure.suggestion,
                    differs=failure.differs if isinstance(failure, Incompatible) else (),
                )
            self._changed.notify_all()

    def _judge(self, pair: Pair) -> None:
        if (why := pair.verdict(self._ratio)) is not None:
            self._take_out(pair, why)

    def _take_out(self, pair: Pair, why: str) -> None:
        if self._close(pair, "taken_out", why):
            log.error("canary_taken_out", version=pair.canary.version, why=why)

    def _close(self, pair: Pair, state: State, why: str | None) -> bool:
        """Once: ``False`` when it was over already."""
        with self._changed:
            if self._pair is not pair or (view := self.view()) is None:
                return False
            self._pair = None
            self._view = replace(view, state=state, ended_ms=self._wall_ms(), reason=why)
            self._changed.notify_all()
        if state != "promoted":
            self._releases.canary_ended(why, failed=state == "taken_out")
            self._home().dismiss(pair.canary, why if state == "taken_out" else None)
        log.info("canary_ended", version=pair.canary.version, state=state, why=why)
        return True

    def _current(self) -> CanaryView | None:
        view = self._view
        return view if view is not None and view.state in ("loading", "running") else None

    def _refuse_another(self) -> None:
        if (view := self._current()) is None:
            return
        if view.state == "loading":  # there is nothing to promote or to end yet
            raise NoSwitch(f"Version {view.version} is being loaded as a canary.")
        raise NoSwitch(f"Version {view.version} is a canary now: promote or end it first.")
