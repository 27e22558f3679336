from __future__ import annotations

import pytest
from sqlalchemy import Engine

from storage.incident import Incident, IncidentLog

T0 = 1_795_000_000_000


@pytest.fixture
def log(engine: Engine) -> IncidentLog:
    return IncidentLog(engine)


def test_an_incident_lasts_until_it_is_closed(log: IncidentLog) -> None:
    id = log.open("model", "load_failed", "The model cannot be loaded.", T0, {"error": "x"})
    assert log.unfinished() == [
        Incident(id, "model", "load_failed", "The model cannot be loaded.", T0, None, {"error": "x"})
    ]
    assert log.close(id, T0 + 5000)
    assert log.unfinished() == []
    assert log.recent(1)[0].ended_ms == T0 + 5000


def test_an_incident_is_closed_once(log: IncidentLog) -> None:
    id = log.open("model", "hang", "The model hangs.", T0)
    assert log.close(id, T0 + 1)
    assert not log.close(id, T0 + 2)
    assert not log.close(id + 1, T0)
    assert log.recent(1)[0].ended_ms == T0 + 1


def test_an_incident_never_ends_before_it_started(log: IncidentLog) -> None:
    id = log.open("model", "hang", "The model hangs.", T0)
    assert log.close(id, T0 - 60_000)  # the clock was set back meanwhile
    assert log.recent(1)[0].ended_ms == T0


def test_a_window_shows_all_that_reaches_into_it(log: IncidentLog) -> None:
    log.add("process", "over", "Over before.", T0 - 5000, T0 - 1)
    log.add("process", "ends", "Ends inside.", T0 - 5000, T0)
    log.add("power", "covers", "Covers it.", T0 - 5000, T0 + 5000)
    log.open("model", "lasts", "Still lasts.", T0 - 9000)
    log.add("process", "starts", "Starts inside.", T0 + 10, T0 + 5000)
    log.add("process", "later", "Starts later.", T0 + 11, T0 + 5000)
    assert [incident.cause for incident in log.between(T0, T0 + 10)] == ["lasts", "ends", "covers", "starts"]


def test_what_was_asked_for_is_of_little_weight(log: IncidentLog) -> None:
    for kind in ("planned", "model"):
        log.add(kind, "restart", "It began anew.", T0, T0)
    assert [incident.level for incident in log.between(T0, T0)] == [1, 3]


def test_recent_incidents_come_newest_first(log: IncidentLog) -> None:
    for number in (2, 0, 1):
        log.add("process", f"cause{number}", "Died.", T0 + number, T0 + 10)
    assert [incident.cause for incident in log.recent(2)] == ["cause2", "cause1"]
