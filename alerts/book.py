"""The alerts table: alerts written, read back, and looked up by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, delete, func, insert, or_, select, update

from alerts.state import Alert
from storage.tables import AlertRow

_COLUMNS = AlertRow.__table__.c
#: Made once: to build and compile it would be most of the work of a flood.
_INSERT = insert(AlertRow)


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

    def of_incident(self, incident: int) -> list[Alert]:
        """The alerts of one incident, in the order in which they fired."""
        query = select(AlertRow.__table__).where(_COLUMNS.incident == incident)
        with self._database.connect() as connection:
            return [_alert(row) for row in connection.execute(query.order_by(_COLUMNS.firing_ms, _COLUMNS.id))]

    def stream(self, start_ms: int, end_ms: int, page: int = 500) -> Iterator[tuple[Alert, int | None]]:
        """Alerts that fired at some time in ``[start_ms, end_ms]`` with their incidents, as they were raised.

        Few of them are in memory at once.
        """
        touching = or_(_COLUMNS.resolved_ms.is_(None), _COLUMNS.resolved_ms >= start_ms)
        last = 0
        while True:
            query = select(AlertRow.__table__).where(_COLUMNS.firing_ms <= end_ms, touching, _COLUMNS.id > last)
            with self._database.connect() as connection:
                rows = connection.execute(query.order_by(_COLUMNS.id).limit(page)).all()
            yield from ((_alert(row), row.incident) for row in rows)
            if len(rows) < page:
                return
            last = rows[-1].id

    def latest(self, fingerprints: Collection[str]) -> dict[str, Alert]:
        """The alert of each label set that began to fire last, also if it has resolved; none for those that never did.

        Rules and other servers may raise alerts with the same labels.
        """
        each = func.json_each(orjson.dumps([*fingerprints]).decode()).table_valued("value").alias("wanted")
        newest = (
            select(_COLUMNS.id)
            .where(_COLUMNS.fingerprint == each.c.value, _COLUMNS.firing_ms.is_not(None))
            .order_by(_COLUMNS.firing_ms.desc(), _COLUMNS.id.desc())
            .limit(1)
            .correlate(each)
            .scalar_subquery()
        )
        query = select(AlertRow.__table__).select_from(each.join(AlertRow.__table__, _COLUMNS.id == newest))
        with self._database.connect() as connection:
            return {row.fingerprint: _alert(row) for row in connection.execute(query)}

    def firings(self, fingerprints: Collection[str], since_ms: int, until_ms: int) -> Counter[tuple[str, str]]:
        """How often alerts began to fire in ``(since_ms, until_ms]``, by (fingerprint, rule)."""
        found: Counter[tuple[str, str]] = Counter()
        with self._database.connect() as connection:
            for some in _chunks(sorted(fingerprints)):
                query = (
                    select(_COLUMNS.fingerprint, _COLUMNS.rule, func.count())
                    .where(_COLUMNS.fingerprint.in_(some))
                    .where(_COLUMNS.firing_ms > since_ms, _COLUMNS.firing_ms <= until_ms)
                    .group_by(_COLUMNS.fingerprint, _COLUMNS.rule)
                )
                for fingerprint, rule, count in connection.execute(query):
                    found[fingerprint, rule] = count
        return found

    def add(self, connection: Connection, alert: Alert) -> int:
        """Write a new alert; returns its id."""
        result = connection.execute(_INSERT, _values(alert))
        key: Any = result.inserted_primary_key
        return int(key[0])

    def change(self, connection: Connection, alert: Alert) -> None:
        """Write an alert that is there already."""
        connection.execute(update(AlertRow).where(_COLUMNS.id == alert.id).values(**_values(alert)))

    def remove(self, connection: Connection, alert_id: int) -> None:
        """Delete a pending alert that never fired: it is not history."""
        connection.execute(delete(AlertRow).where(_COLUMNS.id == alert_id))


def _chunks(texts: list[str], size: int = 500) -> Iterator[list[str]]:
    return (texts[first : first + size] for first in range(0, len(texts), size))


def _values(alert: Alert) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in Alert.__slots__ if name != "id"}
    values["state"] = "firing" if alert.state == "acknowledged" else alert.state
    return values | {"labels": dict(alert.labels), "annotations": dict(alert.annotations)}


def _alert(row: Row[Any]) -> Alert:
    values = {name: row._mapping[name] for name in Alert.__slots__}
    if values["state"] == "firing" and values["ack_ms"] is not None:
        values["state"] = "acknowledged"
    return Alert(**values)
