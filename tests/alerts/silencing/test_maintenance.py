"""Windows recur, hide what matches while they are open, and outlive a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import update

from alerts.silencing import maintenance as room
from alerts.silencing.maintenance import Maintenance, Window
from alerts.silencing.matching import parse_matchers
from alerts.silencing.occurrence import Occurrence
from alerts.silencing.silence import SilenceError
from storage.tables import MaintenanceRow


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


WEDNESDAY = moment("2026-11-18T12:00")
SATURDAY_NIGHT = moment("2026-11-21T03:00")
SATURDAYS: dict[str, Any] = {"times": [{"start_time": "02:00", "end_time": "04:00"}], "weekdays": ["saturday"]}
DB = {"service": "db"}


def wanted(text: str = "service=db", **values: Any) -> Window:
    window = Window(0, "Backups", tuple(parse_matchers(text)), (SATURDAYS,), "ada", WEDNESDAY, "weekly")
    return replace(window, **values)


@pytest.fixture
def maintenance(database: Database) -> Maintenance:
    return Maintenance(database)


def test_it_mutes_what_matches_while_it_is_open(maintenance: Maintenance) -> None:
    maintenance.add(wanted())
    assert maintenance.mutes(DB, WEDNESDAY) == []
    assert maintenance.mutes(DB, SATURDAY_NIGHT) == ["Backups"]
    assert maintenance.mutes({"service": "web"}, SATURDAY_NIGHT) == []


def test_one_without_matchers_mutes_everything(maintenance: Maintenance) -> None:
    maintenance.add(wanted(""))
    assert maintenance.mutes({}, SATURDAY_NIGHT) == ["Backups"]


def test_one_that_is_disabled_mutes_nothing(maintenance: Maintenance) -> None:
    window = maintenance.add(wanted(disabled=True))
    assert maintenance.mutes(DB, SATURDAY_NIGHT) == []
    assert maintenance.next(window.id, WEDNESDAY) is None
    maintenance.change(replace(window, disabled=False))
    assert maintenance.mutes(DB, SATURDAY_NIGHT) == ["Backups"]


def test_it_tells_when_it_opens_next(maintenance: Maintenance) -> None:
    window = maintenance.add(wanted())
    night = Occurrence(moment("2026-11-21T02:00"), moment("2026-11-21T04:00"))
    assert maintenance.next(window.id, WEDNESDAY) == night
    assert maintenance.next(window.id, SATURDAY_NIGHT) == night
    assert maintenance.next(window.id, moment("2026-11-21T04:00")) == Occurrence(
        moment("2026-11-28T02:00"), moment("2026-11-28T04:00")
    )
    assert maintenance.next(window.id, WEDNESDAY) == night  # the clock was set back
    maintenance.change(replace(window, intervals=({"weekdays": ["sunday"]},)))
    assert maintenance.next(window.id, WEDNESDAY) == Occurrence(moment("2026-11-22T00:00"), moment("2026-11-23T00:00"))
    assert maintenance.next(99, WEDNESDAY) is None


def test_it_outlives_a_restart(maintenance: Maintenance, database: Database) -> None:
    maintenance.add(wanted())
    maintenance.add(wanted("", name="Another", disabled=True))
    again = Maintenance(database)
    again.load()
    assert again.all() == maintenance.all()
    assert again.mutes(DB, SATURDAY_NIGHT) == ["Backups"]


def test_a_change_keeps_who_made_it_and_when(maintenance: Maintenance, database: Database) -> None:
    window = maintenance.add(wanted())
    changed = maintenance.change(replace(window, name="Weekly backups", created_by="eve", created_ms=1))
    assert (changed.created_by, changed.created_ms, changed.name) == ("ada", WEDNESDAY, "Weekly backups")
    again = Maintenance(database)
    again.load()
    assert again.all() == [changed]


def test_one_that_is_removed_is_gone(maintenance: Maintenance, database: Database) -> None:
    window = maintenance.add(wanted())
    assert maintenance.remove(window.id) == window
    assert maintenance.mutes(DB, SATURDAY_NIGHT) == []
    again = Maintenance(database)
    again.load()
    assert again.all() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "name: must have 1 to 100 characters"),
        ({"name": "x" * 101}, "name: must have 1 to 100 characters"),
        ({"comment": "x" * 2001}, "comment: "),
        ({"intervals": ()}, "intervals: must have 1 to 20 entries"),
        ({"intervals": (SATURDAYS,) * 21}, "intervals: must have 1 to 20 entries"),
        ({"intervals": ({"weekdays": ["saturday"] * 51},)}, "at most 50 ranges"),
        ({"intervals": ({"weekdays": ["someday"]},)}, "intervals: weekdays: someday is not a valid weekday"),
        ({"intervals": ({"location": "Nowhere"},)}, "unknown time zone"),
        ({"matchers": tuple(parse_matchers("a=~.*"))}, "must not match the empty string"),
    ],
)
def test_what_cannot_be_a_window_is_refused(maintenance: Maintenance, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(SilenceError, match=reason):
        maintenance.add(wanted(**change))
    window = maintenance.add(wanted())
    with pytest.raises(SilenceError, match=reason):
        maintenance.change(replace(window, **change))
    assert maintenance.all() == [window]


def test_a_name_is_had_once(maintenance: Maintenance) -> None:
    maintenance.add(wanted())
    other = maintenance.add(wanted(name="Another"))
    with pytest.raises(SilenceError, match="there is a maintenance window 'Backups' already"):
        maintenance.add(wanted())
    with pytest.raises(SilenceError, match="there is a maintenance window 'Backups' already"):
        maintenance.change(replace(other, name="Backups"))


def test_one_that_is_not_there_cannot_be_changed(maintenance: Maintenance) -> None:
    with pytest.raises(SilenceError) as caught:
        maintenance.change(wanted(id=7))
    assert caught.value.kind == "not_found"
    with pytest.raises(SilenceError) as caught:
        maintenance.remove(7)
    assert caught.value.kind == "not_found"


def test_there_are_only_so_many(maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_WINDOWS", 1)
    maintenance.add(wanted())
    with pytest.raises(SilenceError) as caught:
        maintenance.add(wanted(name="Another"))
    assert caught.value.kind == "full"


def test_one_that_cannot_be_read_hides_no_other(maintenance: Maintenance, database: Database) -> None:
    broken = maintenance.add(wanted(name="Broken"))
    maintenance.add(wanted())
    with database.begin() as connection:
        connection.execute(update(MaintenanceRow).where(MaintenanceRow.id == broken.id).values(intervals=["x"]))
    again = Maintenance(database)
    again.load()
    assert [window.name for window in again.all()] == ["Backups"]
