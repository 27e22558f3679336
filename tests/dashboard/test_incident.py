"""Incidents, uptime, points of failure and actions, as programs and the page ask for them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from alerts.state import Alert
from dashboard.moment import now_ms
from storage.tables import ActionRow, OutboxRow
from tests.alerts.outage.scene import Scene
from tests.dashboard.house import House

MINUTE, HOUR = 60_000, 3_600_000


class Night:
    """A crash an hour ago with two alerts about it, and one that fires now for another reason."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.now = now_ms()
        self.rooms = house.services
        self.scene = Scene(self.rooms.database)
        self.scene.incidents = self.rooms.incidents
        self.scene.outages = self.rooms.outages
        began = self.now - HOUR
        detail = {"stderr": ["Fatal Python error"], "batch": None}
        self.crash = self.rooms.incidents.open("process", "segfault", "it crashed", began, detail, began + 2000)
        self.rooms.incidents.close(self.crash, began + MINUTE)
        self.restarted = self.put("ProcessRestarted", began + 5000)
        self.follow()
        self.scene.change(self.restarted, state="acknowledged", ack_by="li", ack_reason="=1+1", ack_ms=began + 12_000)
        self.follow()
        self.scene.change(self.restarted, state="resolved", resolved_ms=began + 10 * MINUTE, ended_by="recovered")
        self.follow()
        self.hot = self.put("GPUTemperatureHigh", self.now - 10 * MINUTE)
        self.follow()

    def put(self, rule: str, at_ms: int) -> int:
        id = self.scene.fire(rule, 0)
        moved = replace(self.scene.alerts[id], active_ms=at_ms - 3000, firing_ms=at_ms, seen_ms=at_ms)
        self.scene.change(id, **{name: getattr(moved, name) for name in Alert.__slots__ if name.endswith("_ms")})
        return id

    def follow(self) -> None:
        self.scene.outages.follow(list(self.scene.alerts.values()), self.now)

    def get(self, path: str, role: str = "viewer") -> Any:
        found = self.house.visitor().get(path, headers=self.house.token(role))
        assert found.status_code == 200, found.text
        return found.get_json() if found.is_json else found.text


@pytest.fixture
def night(house: House) -> Night:
    return Night(house)


def test_it_lists_each_outage_once_with_its_pace_and_the_means(night: Night) -> None:
    found = night.get("/api/incidents")
    crash, hot = found["incidents"]
    assert (crash["id"], crash["kind"], crash["cause"], crash["part_of"]) == (night.crash, "process", "segfault", None)
    assert crash["pace"] == {"seconds": 600.0, "detect": 2.0, "acknowledge": 10.0, "recover": 60.0}
    assert crash["over_ms"] == crash["started_ms"] + 10 * MINUTE
    assert crash["recovered_ms"] == crash["ended_ms"] == crash["started_ms"] + MINUTE
    assert (hot["kind"], hot["cause"], hot["over_ms"], hot["recovered_ms"]) == (
        "alert",
        "GPUTemperatureHigh",
        None,
        None,
    )
    assert found["means"] == {"count": 2, "mttd": 2.5, "mtta": 10.0, "mttr": 60.0}
    assert night.get(f"/api/incidents?start={night.now - 5 * MINUTE}")["incidents"] == [
        hot | {"pace": pytest.approx(hot["pace"], abs=60)}
    ]


def test_an_outage_comes_with_all_of_its_parts_though_some_were_over_before_the_window(night: Night) -> None:
    began = night.now - 10 * MINUTE
    part = night.rooms.incidents.add("process", "killed", "it was killed", began + MINUTE, began + 3 * MINUTE)
    night.follow()
    found = night.get(f"/api/incidents?start={began + 5 * MINUTE}")
    hot, killed = found["incidents"]
    assert (killed["id"], killed["part_of"], hot["cause"]) == (part, hot["id"], "killed")
    assert found["means"] == {"count": 1, "mttd": 3.0, "mtta": None, "mttr": 183.0}


def test_a_part_is_told_with_what_it_is_a_part_of(night: Night) -> None:
    part = night.rooms.incidents.open("model", "load_failed", "no weights", night.now - 9 * MINUTE)
    night.follow()
    hot = night.get("/api/incidents")["incidents"][1]
    assert hot["cause"] == "load_failed"
    told = night.get(f"/api/incidents/{part}")
    assert (told["incident"]["id"], [one["id"] for one in told["parts"]]) == (hot["id"], [part])
    assert told["parts"][0]["part_of"] == hot["id"]


def test_one_incident_has_its_whole_story(night: Night) -> None:
    began = night.now - HOUR
    with night.rooms.database.begin() as connection:
        connection.execute(
            OutboxRow.__table__.insert(),  # type: ignore[attr-defined]
            [
                {"key": f"k{alert}", "channel": "mail", "title": f"about {alert}", "body": "", "kind": "failure",
                 "state": "sent", "created_ms": began + 6000, "next_ms": 0, "sent_ms": began + 7000, "attempts": 1,
                 "message": {"alerts": [{"id": alert}]}}
                for alert in (night.restarted, night.hot)
            ],
        )  # fmt: skip
        connection.execute(
            ActionRow.__table__.insert(),  # type: ignore[attr-defined]
            {"alert": night.restarted, "rule": "ProcessRestarted", "action": "rollback", "state": "done",
             "started_ms": began + 8000, "ended_ms": began + 9000, "outcome": "version 1 serves", "helped": True},
        )  # fmt: skip
    story = night.get(f"/api/incidents/{night.crash}")
    kinds = [(line["kind"], line["time_ms"] - began, line["actor"], line["text"]) for line in story["entries"]]
    assert kinds == [
        ("state", 0, "", "it crashed"),
        ("fired", 5000, "", "ProcessRestarted fires"),
        ("notice", 7000, "", f"about {night.restarted}"),
        ("action", 8000, "", "version 1 serves"),
        ("acknowledged", 12_000, "li", "=1+1"),
        ("state", MINUTE, "", "it crashed"),
        ("resolved", 10 * MINUTE, "", "ProcessRestarted fires"),
        ("state", 10 * MINUTE, "", "over"),
    ]
    assert [alert["id"] for alert in story["alerts"]] == [night.restarted]
    assert [action["outcome"] for action in story["actions"]] == ["version 1 serves"]
    assert "stderr" not in story["incident"]["detail"]
    assert "stderr" in night.get(f"/api/incidents/{night.crash}", "operator")["incident"]["detail"]
    assert night.house.visitor().get("/api/incidents/99", headers=night.house.token("viewer")).status_code == 404


def test_people_add_notes_which_are_audited(night: Night) -> None:
    client, path = night.house.visitor(), f"/api/incidents/{night.crash}/notes"
    headers = night.house.token("operator")
    answer = client.post(path, json={"text": "  the card was replaced \n"}, headers=headers)
    assert answer.status_code == 201
    entry = answer.get_json()["entry"]
    assert (entry["kind"], entry["text"]) == ("note", "the card was replaced")
    assert entry in night.get(f"/api/incidents/{night.crash}")["entries"]
    (audited,) = night.rooms.audit.between(night.now, night.now + HOUR)
    assert (audited.action, audited.target) == ("incident.note", f"incident:{night.crash}")
    for text, status in (("", 422), ("x" * 2001, 422), ("x" * 2000, 201)):
        assert client.post(path, json={"text": text}, headers=headers).status_code == status
    assert client.post("/api/incidents/99/notes", json={"text": "x"}, headers=headers).status_code == 404


def test_uptime_is_told_by_window_and_by_day(night: Night) -> None:
    night.rooms.incidents.note_first_start(night.now - 10 * HOUR)
    found = night.get("/api/uptime?tz=Asia/Shanghai")
    assert found["windows"].keys() == {"24h", "7d", "30d", "90d"}
    assert found["windows"]["90d"] == pytest.approx(1 - 1 / 600, abs=1e-4)
    assert found["spans"]["90d"]["seconds_down"] == 60
    assert len(found["days"]) == 90
    assert sum(day["seconds_down"] for day in found["days"]) == 60
    assert found["days"][0]["ratio"] is None
    for zone in ("Mars/Olympus", "../../etc/passwd", "Asia"):
        answer = night.house.visitor().get(f"/api/uptime?tz={zone}", headers=night.house.token("viewer"))
        assert (answer.status_code, answer.get_json()["field"]) == (422, "tz")


def test_points_of_failure_are_told(night: Night) -> None:
    points = {point["name"]: point for point in night.get("/api/failures")["points"]}
    assert points.keys() == {"segfault", "ProcessRestarted", "GPUTemperatureHigh"}
    assert (points["ProcessRestarted"]["mttd"], points["ProcessRestarted"]["mtta"]) == (3.0, 7.0)


def test_the_files_have_a_line_for_each_and_no_formula(night: Night) -> None:
    alerts = list(csv.DictReader(io.StringIO(night.get("/api/alerts.csv"))))
    assert [(row["rule"], row["reason"]) for row in alerts] == [
        ("ProcessRestarted", "'=1+1"), ("GPUTemperatureHigh", ""),
    ]  # fmt: skip
    assert alerts[0]["incident"] == str(night.crash)
    assert alerts[0]["labels"] == '{"alertname":"ProcessRestarted"}'
    rows = list(csv.DictReader(io.StringIO(night.get("/api/incidents.csv"))))
    assert next((row["cause"], row["seconds"], row["seconds_to_recover"]) for row in rows) == (
        "segfault",
        "600.0",
        "60.0",
    )
    answer = night.house.visitor().get("/api/alerts.csv", headers=night.house.token("viewer"))
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_long_files_come_in_pieces(night: Night) -> None:
    for number in range(1100):
        night.rooms.incidents.add("planned", "restart", f"restart {number}", night.now - 1000 - number, night.now)
    rows = list(csv.DictReader(io.StringIO(night.get("/api/incidents.csv"))))
    assert len({row["id"] for row in rows}) == 1102


def test_what_was_done_is_listed(night: Night) -> None:
    assert night.get("/api/actions") == {"actions": []}
