"""What fails most often, and how fast it is noticed, taken on and mended: by rule, by cause, and as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from sqlalchemy import Engine, case, func, select

from storage.incident import DOWN, OUTAGE, Incident, IncidentLog
from storage.tables import AlertRow

_ALERTS = AlertRow.__table__.c


@dataclass(frozen=True, slots=True)
class Means:
    """Mean seconds from a condition's beginning until it was detected and until it was over, and from its detection
    until a person took it on; None of nothing. ``count`` is how many incidents there were."""

    count: int
    mttd: float | None
    mtta: float | None
    mttr: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of failure: a rule whose alerts fired, or a cause of outages. ``seconds`` are those in all."""

    kind: Literal["rule", "cause"]
    name: str
    level: int
    count: int
    seconds: float
    mttd: float | None
    mtta: float | None
    mttr: float | None
    last_ms: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one incident went, in seconds: None while that has not come yet, or never does."""

    seconds: float
    detect: float | None
    acknowledge: float | None
    recover: float | None


def pace(incident: Incident, recovered_ms: int | None, now_ms: int) -> Pace:
    """How fast an incident went; ``recovered_ms`` as :func:`recovered` has it."""
    over_ms = now_ms if incident.over_ms is None else incident.over_ms
    noted_ms = incident.detected_ms
    ack_ms = incident.acknowledged_ms
    return Pace(
        seconds=max(0, over_ms - incident.started_ms) / 1000,
        detect=None if noted_ms is None else max(0, noted_ms - incident.started_ms) / 1000,
        acknowledge=None if ack_ms is None else max(0, ack_ms - (noted_ms or incident.started_ms)) / 1000,
        recover=None if recovered_ms is None else max(0, recovered_ms - incident.started_ms) / 1000,
    )


def recovered(incident: Incident, parts: Iterable[Incident]) -> int | None:
    """When the service was back: where it could not answer, when it last could again; else when all alerts were over.

    Alerts that tell of what happened shortly before, e.g. that a process was restarted, do not prolong it. None while
    it lasts. ``parts`` are all stretches of the outage, the first one included.
    """
    ends = [one.ended_ms for one in parts if one.kind in DOWN]
    if not ends:
        return incident.over_ms
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def means(incidents: Sequence[Incident], now_ms: int) -> Means:
    """Over the outages among ``incidents``; those of their parts that are among them say when the service was back."""
    parts: Mapping[int, list[Incident]] = _by_outage(incidents)
    heads = [one for one in incidents if one.kind in OUTAGE and one.part_of is None]
    paces = [pace(one, recovered(one, parts[one.id]), now_ms) for one in heads]
    return Means(
        len(heads),
        _mean(one.detect for one in paces),
        _mean(one.acknowledge for one in paces),
        _mean(one.recover for one in paces),
    )


def failure_points(database: Engine, log: IncidentLog, start_ms: int, end_ms: int, now_ms: int) -> list[Point]:
    """What failed in a window, the most frequent first: rules whose alerts began to fire in it, causes of outages."""
    found = [*_rules(database, start_ms, end_ms, now_ms), *_causes(log, start_ms, end_ms, now_ms)]
    return sorted(found, key=lambda point: (-point.count, -point.seconds, point.name))


def _rules(database: Engine, start_ms: int, end_ms: int, now_ms: int) -> list[Point]:
    """One row for each rule; SQLite adds up, so that a year of alerts is not read into memory."""
    fired, ended, acked = _ALERTS.firing_ms, _ALERTS.resolved_ms, _ALERTS.ack_ms
    query = (
        select(
            _ALERTS.rule,
            func.max(_ALERTS.level),
            func.count(),
            func.sum(func.coalesce(ended, now_ms) - fired),
            func.avg(fired - _ALERTS.active_ms),
            func.avg(case((acked.is_not(None), acked - fired))),
            func.avg(ended - _ALERTS.active_ms),
            func.max(fired),
        )
        .where(fired >= start_ms, fired <= end_ms)
        .group_by(_ALERTS.rule)
    )
    with database.connect() as connection:
        rows = connection.execute(query).all()
    return [
        Point("rule", name, level, count, lasted / 1000, _seconds(mttd), _seconds(mtta), _seconds(mttr), last_ms)
        for name, level, count, lasted, mttd, mtta, mttr, last_ms in rows
    ]


def _causes(log: IncidentLog, start_ms: int, end_ms: int, now_ms: int) -> list[Point]:
    """One for each cause of stretches without an answer that began in the window."""
    begun = [one for one in log.between(start_ms, end_ms, DOWN) if one.started_ms >= start_ms]
    heads: dict[int | None, Incident | None] = {one.id: one for one in begun}
    by_cause: dict[str, list[Incident]] = defaultdict(list)
    for one in begun:
        by_cause[one.cause].append(one)
        if one.outage is not None and one.outage not in heads:
            heads[one.outage] = log.find(one.outage)
    return [_cause(name, group, heads, now_ms) for name, group in by_cause.items()]


def _cause(name: str, group: Sequence[Incident], heads: Mapping[int | None, Incident | None], now_ms: int) -> Point:
    lasted = [(now_ms if one.ended_ms is None else one.ended_ms) - one.started_ms for one in group]
    taken_on = []
    for one in group:
        head = heads.get(one.outage)
        if head is not None and head.acknowledged_ms is not None:
            taken_on.append(max(0, head.acknowledged_ms - (one.detected_ms or one.started_ms)))
    return Point(
        "cause",
        name,
        max(one.level for one in group),
        len(group),
        sum(lasted) / 1000,
        _seconds(_mean(one.detected_ms - one.started_ms for one in group if one.detected_ms is not None)),
        _seconds(_mean(taken_on)),
        _seconds(_mean(one.ended_ms - one.started_ms for one in group if one.ended_ms is not None)),
        max(one.started_ms for one in group),
    )


def _by_outage(incidents: Iterable[Incident]) -> Mapping[int, list[Incident]]:
    found: dict[int, list[Incident]] = defaultdict(list)
    for one in incidents:
        found[one.outage or one.id].append(one)
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
