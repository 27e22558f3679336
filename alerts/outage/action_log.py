"""What was done because alerts asked for it, as the database has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, select, update

from storage.tables import ActionRow, AlertRow

#: ``started`` while it is under way; ``skipped`` if it was never begun.
ActionState = Literal["started", "done", "failed", "skipped"]

_ROWS, _ALERTS = ActionRow.__table__.c, AlertRow.__table__.c


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """One action as it is kept. Times in UTC milliseconds; ``helped`` is None while, or if, that is not known."""

    id: int
    alert: int
    rule: str
    action: str
    state: ActionState
    started_ms: int
    ended_ms: int | None
    outcome: str
    helped: bool | None


class ActionLog:
    """Reads the table of actions."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def recent(self, limit: int) -> list[ActionEntry]:
        """The newest actions, newest first."""
        return self._read(select(ActionRow.__table__).order_by(_ROWS.id.desc()).limit(limit))

    def about(self, alert_id: int) -> list[ActionEntry]:
        """What was done about an alert, oldest first."""
        return self._read(select(ActionRow.__table__).where(_ROWS.alert == alert_id).order_by(_ROWS.id))

    def of_incident(self, incident: int) -> list[ActionEntry]:
        """What was done about the alerts of an incident, oldest first."""
        members = select(_ALERTS.id).where(_ALERTS.incident == incident)
        return self._read(select(ActionRow.__table__).where(_ROWS.alert.in_(members)).order_by(_ROWS.id))

    def _read(self, query: Select[Any]) -> list[ActionEntry]:
        with self._database.connect() as connection:
            return [ActionEntry(**row) for row in connection.execute(query).mappings()]


def change(connection: Connection, id: int, **values: Any) -> None:
    """Write what has become of an action."""
    connection.execute(update(ActionRow).where(_ROWS.id == id).values(**values))
