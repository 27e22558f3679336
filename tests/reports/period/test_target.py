"""What a report says of targets: only what their probes had a verdict on, and only of its own time."""

from __future__ import annotations

from sqlalchemy import Engine as Database
from sqlalchemy import insert

from reports.event import TargetNote, targets
from storage.tables import ProbeRow, TargetOutageRow
from tests.reports.period.month import DAY_MS, END_MS, HOUR_MS, START_MS


def probe(database: Database, kind: str, state: str, since_ms: int, first_ms: int) -> None:
    """A probe of the one target, as it is kept."""
    values = {"target": "backup", "probe": kind, "state": state, "since_ms": since_ms, "first_ms": first_ms}
    with database.begin() as connection:
        connection.execute(insert(ProbeRow).values(**values, seen_ms=0, streak=0, reason="", detail={}))


def outage(database: Database, start_ms: int, end_ms: int | None, reason: str = "") -> None:
    """A time in which the target was down."""
    values = {"target": "backup", "probe": "http", "reason": reason, "started_ms": start_ms, "detected_ms": start_ms}
    with database.begin() as connection:
        connection.execute(insert(TargetOutageRow).values(**values, ended_ms=end_ms))


def told(database: Database, start_ms: int = START_MS, until_ms: int = START_MS + DAY_MS) -> TargetNote:
    """What is said of the one target, a month later."""
    (found,) = targets(database, start_ms, until_ms, END_MS)
    return found


def test_a_probe_that_never_had_a_verdict_has_no_ratio(database: Database) -> None:
    probe(database, "push", "unknown", START_MS - DAY_MS, START_MS - DAY_MS)
    assert told(database).ratio is None


def test_the_time_after_the_last_verdict_does_not_count_as_up(database: Database) -> None:
    probe(database, "http", "unknown", START_MS + 4 * HOUR_MS, START_MS - DAY_MS)
    outage(database, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)
    assert told(database).ratio == 0.75
    assert told(database, START_MS + DAY_MS, START_MS + 2 * DAY_MS).ratio is None


def test_one_probe_with_a_verdict_is_enough(database: Database) -> None:
    probe(database, "systemd", "unknown", START_MS - DAY_MS, START_MS - DAY_MS)
    probe(database, "http", "up", START_MS + 12 * HOUR_MS, START_MS + 12 * HOUR_MS)
    outage(database, START_MS + 12 * HOUR_MS, START_MS + 15 * HOUR_MS)
    assert told(database).ratio == 0.75, "of the twelve hours in which one of them knew"


def test_the_longest_outage_is_no_longer_than_the_part_of_it_that_lies_in_the_period(database: Database) -> None:
    probe(database, "http", "down", START_MS + 20 * HOUR_MS, START_MS - 9 * DAY_MS)
    outage(database, START_MS - 5 * DAY_MS, START_MS + HOUR_MS, "long before")
    outage(database, START_MS + 5 * HOUR_MS, START_MS + 8 * HOUR_MS, "all of it")
    outage(database, START_MS + 22 * HOUR_MS, None, "still lasts")
    note = told(database)
    assert (note.seconds_down, note.longest_seconds, note.reason) == (6 * 3600, 3 * 3600, "all of it")
    assert note.outages == 2
