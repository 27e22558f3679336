"""The alerts table: alerts written, read back, and looked up by time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, or_, select, update

from alerts.state import Alert
from storage.tables import AlertRow

_COLUMNS = AlertRow.__table__.c


class AlertBook:
    """Owns the rows of the alerts table. Writing takes the caller's connection, so that it can share a transaction."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def open_alerts(self) -> list[Alert]:
        """Every alert that was pending or firing when it was last written, oldest first."""
        query = select(AlertRow.__table__).where(_COLUMNS.state != "resolved").order_by(_COLUMNS.id)
        with self._database.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def find(self, alert_id: int) -> Alert | None:
        """One alert by its id."""
        if alert_id >= 1 << 63:  # more than SQLite can hold
            return None
        with self._database.connect() as connection:
            row = connection.execute(select(AlertRow.__table__).where(_COLUMNS.id == alert_id)).one_or_none()
        return None if row is None else _alert(row)

    def between(self, start_ms: int, end_ms: int, limit: int) -> list[Alert]:
        """Alerts that fired at some time in ``[start_ms, end_ms]``, the newest first, ``limit`` at most."""
        query = (
            select(AlertRow.__table__)
            .where(_COLUMNS.firing_ms <= end_ms, or_(_COLUMNS.resolved_ms.is_(None), _COLUMNS.resolved_ms >= start_ms))
            .order_by(_COLUMNS.firing_ms.desc(), _COLUMNS.id.desc())
            .limit(limit)
        )
        with self._database.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def add(self, connection: Connection, alert: Alert) -> int:
        """Write a new alert; returns its id."""
        result = connection.execute(insert(AlertRow).values(**_values(alert)))
        key: Any = result.inserted_primary_key
        return int(key[0])

    def change(self, connection: Connection, alert: Alert) -> None:
        """Write an alert that is there already."""
        connection.execute(update(AlertRow).where(_COLUMNS.id == alert.id).values(**_values(alert)))

    def remove(self, connection: Connection, alert_id: int) -> None:
        """Delete a pending alert that never fired: it is not history."""
        connection.execute(delete(AlertRow).where(_COLUMNS.id == alert_id))


def _values(alert: Alert) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in Alert.__slots__ if name != "id"}
    values["state"] = "firing" if alert.state == "acknowledged" else alert.state
    return values | {"labels": dict(alert.labels), "annotations": dict(alert.annotations)}


def _alert(row: Row[Any]) -> Alert:
    values = {name: row._mapping[name] for name in Alert.__slots__}
    if values["state"] == "firing" and values["ack_ms"] is not None:
        values["state"] = "acknowledged"
    return Alert(**values)
