"""The closed loop: an alert that asks for a remedy by its label gets it, once, and is then looked at: did it help?

Each action is a row that is written before anything is done. A restart ends this process; the next one finds the row,
and tells the rest of the story.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, Engine, func, insert, select

from alerts.book import AlertBook
from alerts.delivery.message import Action
from alerts.outage.action_log import ActionEntry, ActionLog, ActionState, change
from alerts.state import Alert
from storage.record import AuditLog
from storage.tables import ActionRow

log = structlog.get_logger(__name__)

#: The label of a rule that asks for an action.
LABEL = "wakeless_action"
#: What may be asked for. ``none`` is for a rule that takes the place of one that asks for something.
ACTIONS = ("reload_model", "restart_process", "rollback", "none")
HOUR_MS = 3_600_000
#: A restart that was asked for, and after which this process is still there, has failed.
LEAVING_MS = 600_000
#: Alerts that one tick decides about; each takes a write.
MOST_AT_ONCE = 50
#: Characters of an outcome that are kept.
MAX_OUTCOME = 500
#: Who the audit names for what nobody did by hand.
ACTOR = "wakeless"

#: Does it, on a thread of its own, told why; returns what came of it, or None if only the next process will know.
#: Raises :class:`ActionRefused`.
Doer = Callable[[str], str | None]

_ROWS = ActionRow.__table__.c


class ActionRefused(Exception):
    """What was asked for cannot be done; the message says why, in a sentence for people."""

    permanent = True


class _Result(NamedTuple):
    """What a doer's thread brings back."""

    id: int
    state: ActionState
    outcome: str
    ended_ms: int


def start_thread(work: Callable[[], None]) -> None:
    """Run ``work`` on a thread of its own."""
    threading.Thread(target=work, name="alert-action", daemon=True).start()


def wall_ms() -> int:
    """The wall clock in UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Actions:
    """Carries out what alerts ask for. :meth:`follow` is for the thread of the tick; the others may be called by any.

    ``doers`` are what can be done, by name. ``muted(labels, now_ms)`` names the silences and windows that cover an
    alert; ``busy()`` says why nothing should be begun now, or None; ``forbidden`` why nothing may be done at all, as in
    safe mode. ``on_change(alert_id)`` is called when an action was done, failed, or has been judged.
    """

    def __init__(
        self,
        database: Engine,
        doers: Mapping[str, Doer],
        *,
        limit_per_hour: int,
        help_seconds: float,
        muted: Callable[[Mapping[str, str], int], Sequence[str]] = lambda labels, now_ms: (),
        busy: Callable[[], str | None] = lambda: None,
        forbidden: str | None = None,
        audit: AuditLog | None = None,
        on_change: Callable[[int], None] = lambda alert_id: None,
        clock: Callable[[], int] = wall_ms,
        spawn: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self._database = database
        #: What was done until now.
        self.log = ActionLog(database)
        self._book = AlertBook(database)
        self._doers = doers
        self._limit = limit_per_hour
        self._help_ms = round(help_seconds * 1000)
        self._muted = muted
        self._busy = busy
        self._forbidden = forbidden
        self._audit = audit
        self._on_change = on_change
        self._clock = clock
        self._spawn = spawn
        self._results: deque[_Result] = deque()
        self._began_ms: int | None = None
        self._decided: set[int] = set()  # alerts that have had theirs
        self._running: int | None = None
        self._leaving: dict[int, int] = {}  # restarts that were asked for, and when
        self._watched: dict[int, ActionEntry] = {}  # done, and not judged yet

    def follow(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """At each tick: begin what alerts ask for, write what came of it, judge whether it helped.

        Raises :class:`storage.error.StorageError` while the database takes nothing; nothing is begun then.
        """
        if self._began_ms is None:
            self._take_up(now_ms)
            self._began_ms = now_ms
        self._collect(now_ms)
        for entry in list(self._watched.values()):
            self._judge(entry, alerts, now_ms)
        # Ours come first: no flood of another server's holds up a remedy.
        asking = sorted((alert for alert in alerts if LABEL in alert.labels), key=lambda alert: alert.source != "rules")
        for alert in islice((alert for alert in asking if self._asks(alert, now_ms)), MOST_AT_ONCE):
            self._decide(alert, now_ms)

    def of(self, alert_id: int) -> tuple[Action, ...]:
        """What was done about an alert, for its notices."""
        entries = self.log.about(alert_id)
        return tuple(Action(one.action, one.state, one.started_ms, one.outcome, one.helped) for one in entries)

    # --- from one process to the next -----------------------------------------------------------------------------

    def _take_up(self, now_ms: int) -> None:
        """What the last process left: a restart has happened, anything else was cut short; and what is to be judged."""
        with self._database.begin() as connection:
            open_rows = connection.execute(select(ActionRow.__table__).where(_ROWS.state == "started")).all()
            for row in open_rows:
                restarted = row.action == "restart_process"
                state, outcome = (
                    ("done", "a new process has started") if restarted else ("failed", "the process ended meanwhile")
                )
                change(connection, row.id, state=state, outcome=outcome, ended_ms=now_ms)
            waiting = (_ROWS.state == "done") & _ROWS.helped.is_(None) & (_ROWS.ended_ms > now_ms - self._help_ms)
            done = connection.execute(select(ActionRow.__table__).where(waiting)).mappings().all()
        self._watched = {row["id"]: ActionEntry(**row) for row in done}
        for row in open_rows:
            self._on_change(row.alert)

    # --- beginning ------------------------------------------------------------------------------------------------

    def _asks(self, alert: Alert, now_ms: int) -> bool:
        """Whether an alert asks for something now: it has been seen to fire, and nobody has taken it on or muted it."""
        if alert.state != "firing" or alert.labels[LABEL] == "none" or alert.id <= 0 or alert.id in self._decided:
            return False
        if self._began_ms is None or alert.seen_ms < self._began_ms:
            return False  # as the last process left it: whether it still holds is not known yet
        return alert.source != "rules" or not self._muted(alert.labels, now_ms)

    def _decide(self, alert: Alert, now_ms: int) -> None:
        """Do it, say why not, or leave it for a later tick while something else is under way."""
        refusal = self._refusal(alert)
        if refusal is None and (self._running is not None or self._leaving or self._busy() is not None):
            return
        with self._database.begin() as connection:
            if connection.execute(select(_ROWS.id).where(_ROWS.alert == alert.id)).first() is not None:
                self._decided.add(alert.id)
                return
            if refusal is None and self._spent(connection, now_ms) >= self._limit:
                refusal = f"no more than {self._limit} in an hour"
            state: ActionState = "started" if refusal is None else "skipped"
            values = {
                "alert": alert.id, "rule": alert.rule, "action": alert.labels[LABEL][:100], "state": state,
                "started_ms": now_ms, "ended_ms": None if refusal is None else now_ms, "outcome": refusal or "",
            }  # fmt: skip
            id = connection.execute(insert(ActionRow).returning(_ROWS.id), values).scalar_one()
        self._decided.add(alert.id)
        detail = {"rule": alert.rule, "action": alert.labels[LABEL], "reason": alert.summary}
        if refusal is not None:
            log.warning("alert_action_skipped", alert=alert.id, why=refusal, **detail)
            return
        log.warning("alert_action_begins", alert=alert.id, **detail)
        if self._audit is not None:
            self._audit.note(now_ms, ACTOR, "alert.action", f"alert:{alert.id}", detail)
        self._running = id
        doer, why = self._doers[alert.labels[LABEL]], f"the alert {alert.rule} asked for it"
        self._spawn(lambda: self._carry_out(id, doer, why))

    def _refusal(self, alert: Alert) -> str | None:
        """Why nothing will ever be done about an alert, in a sentence; None where it may be."""
        action = alert.labels[LABEL]
        if action not in ACTIONS:
            return f"unknown action: {action[:100]}"
        if alert.source != "rules":
            return "another server's alert says nothing about this process"
        if self._forbidden is not None:
            return self._forbidden
        if self._limit == 0:
            return "switched off by alerts.action_limit_per_hour"
        return None if action in self._doers else f"{action} is not possible here"

    def _spent(self, connection: Connection, now_ms: int) -> int:
        query = select(func.count()).where(_ROWS.state != "skipped", _ROWS.started_ms > now_ms - HOUR_MS)
        return int(connection.execute(query).scalar_one())

    def _carry_out(self, id: int, doer: Doer, why: str) -> None:
        """On a thread of its own: do it, and leave the result for the next tick."""
        state: ActionState = "done"
        try:
            outcome = doer(why)
        except ActionRefused as refusal:
            state, outcome = "failed", str(refusal)
        except Exception as error:  # the edge of a thread: what a doer raises must not be lost with it
            log.error("alert_action_failed", action=id, exc_info=error)
            state, outcome = "failed", f"{type(error).__name__}: {error}"
        if outcome is None:
            state, outcome = "started", ""
        self._results.append(_Result(id, state, outcome[:MAX_OUTCOME], self._clock()))

    # --- what came of it ------------------------------------------------------------------------------------------

    def _collect(self, now_ms: int) -> None:
        """Write what the doers' threads have brought back."""
        while self._results:
            result = self._results[0]
            if result.state == "started":
                self._leaving[result.id] = now_ms
            else:
                self._end(result)
            self._results.popleft()
            self._running = None
        for id, asked_ms in list(self._leaving.items()):
            if not 0 <= now_ms - asked_ms < LEAVING_MS:
                self._end(_Result(id, "failed", "the process did not end", now_ms))
                del self._leaving[id]

    def _end(self, result: _Result) -> None:
        with self._database.begin() as connection:
            change(connection, result.id, state=result.state, outcome=result.outcome, ended_ms=result.ended_ms)
            row = connection.execute(select(ActionRow.__table__).where(_ROWS.id == result.id)).mappings().one()
        entry = ActionEntry(**row)
        log.info(
            "alert_action_over", **{name: getattr(entry, name) for name in ("alert", "action", "state", "outcome")}
        )
        if entry.state == "done":
            self._watched[entry.id] = entry
        self._on_change(entry.alert)

    def _judge(self, entry: ActionEntry, alerts: Sequence[Alert], now_ms: int) -> None:
        """It has helped if its alert recovered within the time given; what is not known by then stays so."""
        late = entry.ended_ms is None or not entry.ended_ms - HOUR_MS <= now_ms < entry.ended_ms + self._help_ms
        helped: bool | None = None
        if not any(alert.id == entry.alert and alert.is_firing for alert in alerts):
            found = self._book.find(entry.alert)
            if found is not None and found.is_firing:
                return  # the database has yet to hear of its end
            helped = True if found is not None and found.ended_by in (None, "recovered") else None
        elif late:
            helped = False
        else:
            return
        if helped is not None:
            with self._database.begin() as connection:
                change(connection, entry.id, helped=helped)
        del self._watched[entry.id]
        log.info("alert_action_judged", alert=entry.alert, action=entry.action, helped=helped)
        if helped is not None:
            self._on_change(entry.alert)
