"""What happened in a period: incidents, alerts and who answered them, notices, what targets did, what logs held."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sqlalchemy import Engine, func, or_, select

from alerts.book import AlertBook
from alerts.outage.failure import recovered
from alerts.outage.stretch import Stretch, union, without
from alerts.outage.uptime import Record, Share
from alerts.state import Alert
from storage.incident import DOWN, OUTAGE, Incident, IncidentLog
from storage.tables import (
    ActionRow,
    AuditRow,
    LogEventRow,
    OutboxRow,
    ProbeRow,
    RemedyRow,
    TargetOutageRow,
)

_TOP = 10
#: Incidents that a report names one by one.
_MOST = 50
#: Acts that say nothing of how the service was run.
_PLAIN_ACTS = ("login", "logout", "report.send")


@dataclass(frozen=True, slots=True)
class Availability:
    """``ratio`` None: there was no service yet. Restarts that were asked for are in neither part of it."""

    ratio: float | None
    since_ms: int
    seconds_down: float
    seconds_planned: float


@dataclass(frozen=True, slots=True)
class DayShare:
    """How a day went: its date, and the share of it in which the service could answer."""

    day: str
    ratio: float | None


@dataclass(frozen=True, slots=True)
class IncidentNote:
    """An outage that reaches into the period. ``seconds`` is all of it; it lasts while ``ended_ms`` is None."""

    id: int
    kind: str
    cause: str
    summary: str
    level: int
    started_ms: int
    ended_ms: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Incidents:
    """``count`` began in the period; ``notes`` are those that reach into it, ``mttr`` is the mean of those over."""

    count: int
    mttr: float | None
    notes: tuple[IncidentNote, ...]


@dataclass(frozen=True, slots=True)
class RuleNote:
    """A rule whose alerts began to fire in the period."""

    rule: str
    level: int
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acknowledged alerts, and the mean seconds until they did."""

    name: str
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts that began to fire in the period; ``acknowledge_seconds`` is the mean of those that were."""

    count: int
    acknowledged: int
    acknowledge_seconds: float | None
    rules: tuple[RuleNote, ...]
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Notices:
    """Notices that were made in the period, by how they stand now."""

    sent: int
    failed: int
    waiting: int
    merged: int


@dataclass(frozen=True, slots=True)
class TargetNote:
    """A target: the share of the time in which any of its probes had a verdict, and none said that it was down.

    ``ratio`` is None where none had one. ``longest_seconds`` is of the part of an outage that lies in the period.
    """

    target: str
    ratio: float | None
    outages: int
    seconds_down: float
    longest_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class PatternNote:
    """Lines of one pattern in a target's logs; ``raised`` is how often there were enough of them."""

    target: str
    pattern: str
    level: int
    lines: int
    raised: int


@dataclass(frozen=True, slots=True)
class Deeds:
    """What was done: by alerts on their own, by targets' remedies, and by people (act → how often)."""

    actions: int
    actions_helped: int
    remedies: int
    remedies_helped: int
    people: Mapping[str, int]


def availability(log: IncidentLog, start_ms: int, until_ms: int, now_ms: int) -> tuple[Availability, Record, int]:
    """How the service did in ``[start_ms, until_ms)``; also the record, and since when there is a service."""
    since_ms = log.first_start_ms()
    found = log.between(start_ms, until_ms, (*DOWN, "planned"))
    down = [_stretch(one, now_ms) for one in found if one.kind in DOWN]
    planned = [_stretch(one, now_ms) for one in found if one.kind == "planned"]
    record = Record(down, planned, (), now_ms if since_ms is None else since_ms, now_ms)
    share: Share = record.share(start_ms, until_ms)
    told = Availability(share.ratio, share.since_ms, share.seconds_down, share.seconds_planned)
    return told, record, until_ms if since_ms is None else since_ms


def incidents(log: IncidentLog, start_ms: int, until_ms: int, now_ms: int) -> Incidents:
    """Outages, one for all of its stretches and alerts."""
    found = sorted(log.outages(start_ms, until_ms - 1), key=lambda one: (one.started_ms, one.id))
    parts: dict[int, list[Incident]] = defaultdict(list)
    for one in found:
        parts[one.outage or one.id].append(one)
    notes = []
    for one in found:
        if one.kind in OUTAGE and one.part_of is None:
            ended_ms = recovered(one, parts[one.id])
            seconds = max(0, (now_ms if ended_ms is None else ended_ms) - one.started_ms) / 1000
            notes.append(
                IncidentNote(one.id, one.kind, one.cause, one.summary, one.level, one.started_ms, ended_ms, seconds)
            )
    over = [note.seconds for note in notes if note.ended_ms is not None and note.started_ms >= start_ms]
    worst = sorted(notes, key=lambda note: (-note.seconds, note.id))[:_MOST]
    count = sum(note.started_ms >= start_ms for note in notes)
    return Incidents(count, fmean(over) if over else None, tuple(sorted(worst, key=lambda note: note.started_ms)))


def alerts(database: Engine, start_ms: int, until_ms: int, now_ms: int) -> Alerts:
    """Alerts whose condition had held for long enough in ``[start_ms, until_ms)`` for the first time."""
    rules: dict[str, list[Alert]] = defaultdict(list)
    answers: dict[str, list[float]] = defaultdict(list)
    for alert, _ in AlertBook(database).stream(start_ms, until_ms - 1):
        if alert.firing_ms is None or alert.firing_ms < start_ms:
            continue
        rules[alert.rule].append(alert)
        if alert.ack_ms is not None:
            answers[alert.ack_by or ""].append(max(0, alert.ack_ms - alert.firing_ms) / 1000)
    every = [seconds for some in answers.values() for seconds in some]
    notes = [
        RuleNote(rule, max(one.level for one in some), len(some), sum(_lasted(one, now_ms) for one in some))
        for rule, some in rules.items()
    ]
    people = [Person(name, len(some), fmean(some)) for name, some in answers.items()]
    return Alerts(
        sum(map(len, rules.values())),
        len(every),
        fmean(every) if every else None,
        tuple(sorted(notes, key=lambda note: (-note.count, -note.level, note.rule))[:_TOP]),
        tuple(sorted(people, key=lambda person: (-person.count, person.name))[:_TOP]),
    )


def notices(database: Engine, start_ms: int, until_ms: int) -> Notices:
    """How what was to be told was told."""
    made = OutboxRow.created_ms
    query = select(OutboxRow.state, func.count()).where(made >= start_ms, made < until_ms).group_by(OutboxRow.state)
    with database.connect() as connection:
        counts: dict[str, int] = {state: count for state, count in connection.execute(query)}  # noqa: C416 - rows
    return Notices(*(counts.get(state, 0) for state in ("sent", "failed", "waiting", "merged")))


def targets(database: Engine, start_ms: int, until_ms: int, now_ms: int) -> tuple[TargetNote, ...]:
    """Each target that was watched in the period, the worst first."""
    rows = TargetOutageRow
    reaching = or_(rows.ended_ms.is_(None), rows.ended_ms > start_ms)
    asked = select(rows.target, rows.started_ms, rows.ended_ms, rows.reason).where(rows.started_ms < until_ms, reaching)
    probes = select(ProbeRow.target, ProbeRow.first_ms, ProbeRow.state, ProbeRow.since_ms)
    known: dict[str, list[Stretch]] = defaultdict(list)  # when a probe had a verdict
    with database.connect() as connection:
        for name, first_ms, state, since_ms in connection.execute(probes.where(ProbeRow.first_ms < until_ms)):
            known[name].append(Stretch(first_ms, max(first_ms, since_ms) if state == "unknown" else now_ms))
        outages: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for name, started_ms, ended_ms, reason in connection.execute(asked.order_by(rows.started_ms, rows.id)):
            outages[name].append((started_ms, now_ms if ended_ms is None else ended_ms, reason))
    found = [
        _target(name, outages[name], known.get(name, []), Stretch(start_ms, until_ms), now_ms)
        for name in sorted({*outages, *known})
    ]
    return tuple(sorted(found, key=lambda one: (-one.seconds_down, one.target)))


def _target(
    name: str, outages: Sequence[tuple[int, int, str]], known: Sequence[Stretch], period: Stretch, now_ms: int
) -> TargetNote:
    def inside_ms(one: Stretch) -> int:
        return min(one.end_ms, period.end_ms) - max(one.start_ms, period.start_ms)

    down = union(Stretch(started_ms, ended_ms) for started_ms, ended_ms, _ in outages)
    blind = without([period], union(known))
    share = Record(down, blind, (), period.start_ms, now_ms).share(period.start_ms, period.end_ms)
    longest = max(down, key=inside_ms, default=None)
    seconds = 0.0 if longest is None else inside_ms(longest) / 1000
    reason = next((why for started_ms, _, why in outages if longest and started_ms == longest.start_ms), "")
    begun = sum(one.start_ms >= period.start_ms for one in down)
    return TargetNote(name, share.ratio, begun, share.seconds_down, seconds, reason)


def patterns(database: Engine, start_ms: int, until_ms: int) -> tuple[PatternNote, ...]:
    """What was found most often in logs; an event counts in the period in which its last line came."""
    rows = LogEventRow
    query = (
        select(rows.target, rows.pattern, func.max(rows.level), func.sum(rows.count), func.count(rows.raised_ms))
        .where(rows.last_ms >= start_ms, rows.last_ms < until_ms)
        .group_by(rows.target, rows.pattern)
        .order_by(func.sum(rows.count).desc(), rows.target, rows.pattern)
        .limit(_TOP)
    )
    with database.connect() as connection:
        return tuple(PatternNote(*row) for row in connection.execute(query))


def deeds(database: Engine, start_ms: int, until_ms: int) -> Deeds:
    """What was done about it all."""
    done = _done(database, ActionRow, start_ms, until_ms)
    tried = _done(database, RemedyRow, start_ms, until_ms)
    acts: Counter[str] = Counter()
    query = select(AuditRow.action, func.count()).where(AuditRow.time_ms >= start_ms, AuditRow.time_ms < until_ms)
    with database.connect() as connection:
        for act, count in connection.execute(query.group_by(AuditRow.action)):
            if not act.startswith(_PLAIN_ACTS):
                acts[act] = count
    return Deeds(*done, *tried, dict(acts.most_common(_TOP)))


def _done(database: Engine, table: type[ActionRow | RemedyRow], start_ms: int, until_ms: int) -> tuple[int, int]:
    query = select(func.count(), func.count().filter(table.helped.is_(True))).where(
        table.started_ms >= start_ms, table.started_ms < until_ms, table.state.in_(("done", "failed", "started"))
    )
    with database.connect() as connection:
        count, helped = connection.execute(query).one()
    return count, helped


def day_shares(record: Record, days: Iterable[tuple[str, int, int]]) -> tuple[DayShare, ...]:
    """How each day went."""
    return tuple(DayShare(name, record.share(start_ms, end_ms).ratio) for name, start_ms, end_ms in days)


def _stretch(one: Incident, now_ms: int) -> Stretch:
    return Stretch(one.started_ms, now_ms if one.ended_ms is None else one.ended_ms)


def _lasted(alert: Alert, now_ms: int) -> float:
    end_ms = now_ms if alert.resolved_ms is None else alert.resolved_ms
    return max(0, end_ms - (alert.firing_ms or end_ms)) / 1000
