"""Writes incidents as they happen: the time without a server process, and the time in which the model cannot serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from dashboard.situation import Restart
from ledger import Ledger, explain_outage
from model.remedy import Remedy
from model.status import ModelStatus
from storage.incident import IncidentLog
from storage.record import AuditLog

#: States on the way to an answer: an outage lasts through them, and they are none of their own.
_UNDER_WAY = ("loading", "reloading", "draining", "stopped")


class Chronicle:
    """Follows one server process. ``machine_booted_ms`` tells a power cut from a kill."""

    def __init__(
        self,
        incidents: IncidentLog,
        ledger: Ledger,
        model: Callable[[], ModelStatus],
        machine_booted_ms: int,
        remedies: Callable[[], Sequence[Remedy]] = list,
        audit: AuditLog | None = None,
    ) -> None:
        self._remedies = remedies
        self._recorded = 0  # the last remedy that is in the database
        self._audit = audit
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

        Every end of a process is an incident of its own: one that was still open when the process died ends there. One
        about the same end stays what it is, if a process died right after it had written that.
        """
        exits = self._ledger.exits()
        known = [now_ms, *([] if last_tick_ms is None else [last_tick_ms]), *(end.started_ms for end in exits[:1])]
        self._incidents.note_first_start(min(known))
        outage = explain_outage(last_tick_ms, exits, self._machine_booted_ms)
        if outage is None:
            return
        kind = "planned" if outage.planned else "process"
        for incident in self._incidents.unfinished():
            if (incident.kind, incident.cause, incident.started_ms) == (kind, outage.cause, outage.started_ms):
                self._outage = incident.id
            else:
                self._incidents.close(incident.id, outage.started_ms)
        if self._outage is None:
            self._outage = self._incidents.open(
                kind, outage.cause, outage.summary, outage.started_ms, outage.detail, detected_ms=now_ms
            )
        self.last_restart = Restart(outage.started_ms, now_ms, outage.cause)

    def follow(self, now_ms: int) -> None:
        """At every tick: an outage ends when loading does; a model that then cannot serve is an incident of its own.

        So is everything that was done about the model, with whether it helped.
        """
        for remedy in reversed(self._remedies()):
            if remedy.state == "done" and remedy.id > self._recorded:
                self._record(remedy)
        status = self._model()
        if status.state in _UNDER_WAY:
            return
        if self._outage is not None:
            self._incidents.close(self._outage, now_ms)
            self._outage = None
        in_trouble = status.state == "failed" or (status.state == "disabled" and status.reason != "disabled")
        shut = not in_trouble and status.breaker_reason is not None
        if (in_trouble or shut) and self._trouble is None:
            cause, _, detail = ((status.breaker_reason if shut else status.reason) or "failed").partition(":")
            summary = f"the model cannot serve: {detail.strip() or cause}"
            started_ms = now_ms if shut else min(status.since_ms, now_ms)
            self._trouble = self._incidents.open("model", cause, summary, started_ms, detected_ms=now_ms)
        elif not in_trouble and not shut and self._trouble is not None:
            self._incidents.close(self._trouble, now_ms)
            self._trouble = None

    def _record(self, remedy: Remedy) -> None:
        """Why, what, how long, and did it help."""
        ended_ms = remedy.began_ms + round((remedy.seconds or 0.0) * 1000)
        done = {
            "rollback": f"the last good version was put back ({remedy.why})",
            "end_canary": f"the canary was taken out ({remedy.why})",
            "reload_model": f"the model was reloaded ({remedy.why})",
        }[remedy.action]
        verdicts = {
            True: f"that helped: {remedy.outcome}",
            False: f"that did not help: {remedy.outcome}",
            None: f"whether that helped is not known: {remedy.outcome}",
        }
        summary = f"{done}; {verdicts[remedy.helped]}"
        self._incidents.add("remedy", remedy.cause, summary, remedy.began_ms, ended_ms, asdict(remedy))
        self._recorded = remedy.id
        audited = {"rollback": "model.rollback", "end_canary": "model.canary_out"}.get(remedy.action)
        if audited is not None and self._audit is not None:
            detail = {"reason": remedy.why, "helped": remedy.helped, "outcome": remedy.outcome}
            self._audit.note(remedy.began_ms, "wakeless", audited, "model", detail)
