"""Writes incidents as they happen: the time without a server process, and the time in which the model cannot serve."""

from __future__ import annotations

from collections.abc import Callable

from dashboard.situation import Restart
from ledger import Ledger, explain_outage
from model.status import ModelStatus
from storage.incident import IncidentLog

#: States on the way to an answer: an outage lasts through them, and they are none of their own.
_UNDER_WAY = ("loading", "reloading", "draining", "stopped")


class Chronicle:
    """Follows one server process. ``machine_booted_ms`` tells a power cut from a kill."""

    def __init__(
        self, incidents: IncidentLog, ledger: Ledger, model: Callable[[], ModelStatus], machine_booted_ms: int
    ) -> None:
        self._incidents = incidents
        self._ledger = ledger
        self._model = model
        self._machine_booted_ms = machine_booted_ms
        self._outage: int | None = None
        self._trouble: int | None = None
        #: The restart that this process began with, for the page.
        self.last_restart: Restart | None = None

    def open(self, last_tick_ms: int | None, now_ms: int) -> None:
        """At the start: turn the time since ``last_tick_ms`` into an incident, which lasts until the model answers.

        Every end of a process is an incident of its own: one that was still open when the process died ends there.
        """
        outage = explain_outage(last_tick_ms, self._ledger.exits(), self._machine_booted_ms)
        if outage is None:
            return
        for incident in self._incidents.unfinished():
            self._incidents.close(incident.id, outage.started_ms)
        kind = "planned" if outage.planned else "process"
        self._outage = self._incidents.open(kind, outage.cause, outage.summary, outage.started_ms, outage.detail)
        self.last_restart = Restart(outage.started_ms, now_ms, outage.cause)

    def follow(self, now_ms: int) -> None:
        """At every tick: an outage ends when loading does; a model that then cannot serve is an incident of its own."""
        status = self._model()
        if status.state in _UNDER_WAY:
            return
        if self._outage is not None:
            self._incidents.close(self._outage, now_ms)
            self._outage = None
        in_trouble = status.state == "failed" or (status.state == "disabled" and status.reason != "disabled")
        if in_trouble and self._trouble is None:
            cause, _, detail = (status.reason or "failed").partition(":")
            summary = f"the model cannot serve: {detail.strip() or cause}"
            self._trouble = self._incidents.open("model", cause, summary, status.since_ms)
        elif not in_trouble and self._trouble is not None:
            self._incidents.close(self._trouble, now_ms)
            self._trouble = None
