"""What an alert may have done by its label ``wakeless_action``: the rungs of the ladder, as the loop calls them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from alerts.outage.action import ACTOR, ActionRefused, Doer
from model.release import NoSwitch
from model.remedy import Remedy
from model.status import ModelStatus
from model.switch import Overview, Switch

#: The label ``reason`` of ``model_reloads_total`` for a reload that an alert asked for.
RELOAD_REASON = "alert"
#: Seconds between two looks whether a load has ended.
LOOK_SECONDS = 0.2
_UNDER_WAY = ("loading", "reloading", "draining", "stopped")


class Host(Protocol):
    """What is asked of the model's host; see :class:`model.host.ModelHost`."""

    def reload(self, reason: str) -> bool: ...

    def status(self) -> ModelStatus: ...

    def versions(self) -> Overview: ...

    def switch(self, version: str, *, force: bool = False) -> Switch: ...

    def switched(self, wait_seconds: float) -> Switch | None: ...

    def remedies(self) -> list[Remedy]: ...


class Doers:
    """Does it, and waits for the end: at most ``load_seconds`` for a load. Restarting is told by the next process."""

    def __init__(
        self,
        host: Host,
        restart_process: Callable[[str, str], None],
        load_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._restart = restart_process
        self._load_seconds = load_seconds
        self._clock = clock
        self._sleep = sleep

    def by_name(self) -> Mapping[str, Doer]:
        """What can be done, by the name that a label gives it."""
        return {
            "reload_model": self.reload_model,
            "restart_process": self.restart_process,
            "rollback": self.rollback,
        }

    def busy(self) -> str | None:
        """Why nothing should be begun now: the model is on its way, or its own remedy is still being watched."""
        state = self._host.status().state
        if state in _UNDER_WAY:
            return f"the model is {state}"
        remedies = self._host.remedies()
        return "the model's own remedy is under way" if remedies and remedies[0].state != "done" else None

    def reload_model(self, why: str) -> str:
        """Load the model anew; it serves on meanwhile, where memory allows. Raises :class:`ActionRefused`."""
        if not self._host.reload(RELOAD_REASON):
            raise ActionRefused("the model could not be loaded anew: a load is under way, or there is none to load")
        began = self._clock()
        while self._host.status().state in ("loading", "reloading"):
            if self._clock() - began > self._load_seconds:
                raise ActionRefused("the model was still loading when the wait was over")
            self._sleep(LOOK_SECONDS)
        status = self._host.status()
        if status.state != "ready":
            raise ActionRefused(f"the model did not load: {status.reason or status.state}")
        if status.reason is not None and status.reason.startswith("reload_failed"):
            raise ActionRefused(status.reason)
        return f"the model was loaded anew in {self._clock() - began:.1f} s"

    def rollback(self, why: str) -> str:
        """Put the last good version back into service. Raises :class:`ActionRefused`."""
        known = self._host.versions()
        if known.last_good is None:
            raise ActionRefused("no other version has proved itself here")
        try:
            begun = self._host.switch(known.last_good, force=True)  # it has served before
        except NoSwitch as error:
            raise ActionRefused(error.detail) from error
        found = self._host.switched(self._load_seconds) or begun
        if found.state == "loading":
            raise ActionRefused(f"version {found.version} was still loading when the wait was over")
        if found.state == "failed":
            raise ActionRefused(f"version {found.version} was not put into service: {found.reason}")
        return f"version {found.version} serves instead of {known.serving}"

    def restart_process(self, why: str) -> None:
        """Ask for a new process; this one ends soon. Raises :class:`ActionRefused`."""
        try:
            self._restart(ACTOR, why)
        except RuntimeError as error:
            raise ActionRefused(str(error)) from error
