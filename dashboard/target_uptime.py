"""Which share of the time each probe of each target said that it was up: over windows, and day by day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import Engine, or_, select

from alerts.outage.stretch import Stretch
from alerts.outage.uptime import Record, first_ms
from storage.incident import IncidentLog
from storage.tables import ProbeRow, TargetOutageRow

#: Stretches of our own in which nobody looked at anything.
_BLIND = ("process", "power", "planned")
_PROBES, _OUTAGES = ProbeRow.__table__.c, TargetOutageRow.__table__.c

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch in which a probe said that its target is down; it lasts while ``ended_ms`` is None."""

    target: str
    probe: str
    reason: str
    started_ms: int
    detected_ms: int
    ended_ms: int | None


class Uptimes:
    """The outages of some targets, or of all, as far back as anybody asks. Reads the database once, when it is made.

    The time before a probe's first verdict counts as nothing, nor does that since it has none any more, nor that in
    which we were not there to look, but where the target was down before and after it.
    """

    def __init__(
        self, database: Engine, incidents: IncidentLog, now_ms: int, zone: tzinfo | None, target: str | None = None
    ) -> None:
        self._now_ms = now_ms
        self._zone = zone
        start_ms = first_ms(now_ms, zone)
        self._blind = [
            Stretch(one.started_ms, now_ms if one.ended_ms is None else one.ended_ms)
            for one in incidents.between(start_ms, now_ms, _BLIND)
        ]
        self._outages: dict[Key, list[Outage]] = {}
        for outage in outages_between(database, start_ms, now_ms, target):
            self._outages.setdefault((outage.target, outage.probe), []).append(outage)
        with database.connect() as connection:
            columns = _PROBES.target, _PROBES.probe, _PROBES.first_ms, _PROBES.state, _PROBES.since_ms
            rows = connection.execute(select(*columns)).all()
        self._since: Mapping[Key, int] = {(row.target, row.probe): row.first_ms for row in rows}
        self._unknown = {
            (row.target, row.probe): Stretch(row.since_ms, now_ms)
            for row in rows
            if row.state == "unknown" and row.since_ms < now_ms
        }

    def of(self, target: str, probe: str) -> dict[str, Any]:
        """``uptime`` by window, and 90 ``days``, of one probe, None where it had no verdict.

        ``watched_since_ms`` is its first verdict, or its first look as long as it has none.
        """
        since_ms = self._since.get((target, probe))
        found = self._outages.get((target, probe), [])
        down = [Stretch(one.started_ms, self._now_ms if one.ended_ms is None else one.ended_ms) for one in found]
        begun = [one.started_ms for one in found]
        unknown = self._unknown.get((target, probe))
        blind = self._blind if unknown is None else [*self._blind, unknown]
        record = Record(down, blind, begun, self._now_ms if since_ms is None else since_ms, self._now_ms)
        days = [
            {"day": day.day, "ratio": day.ratio, "seconds_down": day.seconds_down, "outages": day.incidents}
            for day in record.days(self._zone)
        ]
        windows = {name: share.ratio for name, share in record.windows().items()}
        return {"uptime": windows, "days": days, "watched_since_ms": since_ms}


def outages_between(database: Engine, start_ms: int, end_ms: int, target: str | None = None) -> list[Outage]:
    """The outages of which any part lies in the window, of one target or of all, oldest first."""
    query = (
        select(*(_OUTAGES[name] for name in Outage.__slots__))
        .where(_OUTAGES.started_ms <= end_ms, or_(_OUTAGES.ended_ms.is_(None), _OUTAGES.ended_ms >= start_ms))
        .order_by(_OUTAGES.started_ms, _OUTAGES.id)
    )
    if target is not None:
        query = query.where(_OUTAGES.target == target)
    with database.connect() as connection:
        return [Outage(**row) for row in connection.execute(query).mappings()]
