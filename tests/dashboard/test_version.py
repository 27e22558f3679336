"""Switching versions through the API: who did it, how it ended, and what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from chronicle import Chronicle
from tests.dashboard.house import House, MakeHouse
from tests.running import eventually

CODE = """
from model import Model

class Echo(Model):
    name = "echo"
    {classes}

    def load(self, device):
        pass

    def predict(self, batch):
        if {version} > 1 and "poison" in batch:
            raise RuntimeError("this version cannot take that")
        return [dict(version={version}, said=said) for said in batch]

    def golden(self):
        return [("hello", lambda answer: answer["version"] == {golden})]
"""


def put(folder: Path, version: int, *, golden: int | None = None, classes: str = "") -> None:
    place = folder / str(version)
    place.mkdir(parents=True)
    (place / "model.py").write_text(CODE.format(version=version, golden=golden or version, classes=classes))


@pytest.fixture
def house(make_house: MakeHouse, tmp_path: Path) -> House:
    """A house with version 1 of a model in service, and more beside it."""
    folder = tmp_path / "models" / "echo"
    put(folder, 1, classes='classes = ["cat"]')
    found = make_house(model={"path": str(folder), "device": "cpu", "heal_seconds": 0})
    found.services.model.start()
    eventually(lambda: found.services.model.status().state == "ready", what="the load")
    put(folder, 2)
    put(folder, 3, golden=7)
    put(folder, 4, classes='classes = ["dog"]')
    return found


def versions(house: House) -> Any:
    return house.visitor().get("/api/model/versions", headers=house.token("viewer")).get_json()


def switch(house: House, **body: Any) -> TestResponse:
    return house.visitor().post("/api/model/version", json=body, headers=house.token("operator"))


def audit(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    found = house.visitor().get("/api/audit", headers=house.token("admin")).get_json()["entries"]
    return [(entry["actor"], entry["action"], entry["detail"]) for entry in found if entry["action"][:5] == "model"]


def test_a_switch_is_answered_when_it_has_ended_and_is_in_the_audit(house: House) -> None:
    answer = switch(house, version="2", reason="the new one", wait_seconds=20)
    assert answer.status_code == 200
    assert answer.get_json()["switch"]["state"] == "done"
    said = house.visitor().post("/predict", json="hello").get_json()
    assert (said["version"], said["result"]) == ("2", {"version": 2, "said": "hello"})
    found = versions(house)
    assert (found["serving"], found["last_good"], found["probation"]["version"]) == ("2", "1", "2")
    assert [(one["version"], one["state"]) for one in found["versions"]] == [
        ("4", "unknown"),
        ("3", "unknown"),
        ("2", "trial"),
        ("1", "good"),
    ]
    detail = {"version": "2", "force": False, "reason": "the new one", "before": "1"}
    assert audit(house) == [("token:program-operator", "model.switch", detail)]
    events = house.visitor().get("/api/events", headers=house.token("viewer")).get_json()["events"]
    assert "Switch to another version asked for" in [event["title"] for event in events]


def test_what_cannot_serve_is_refused_and_what_served_serves_on(house: House) -> None:
    wrong = switch(house, version="3", wait_seconds=20)
    assert (wrong.status_code, wrong.get_json()["reason"]) == (409, "golden_failed: pair 1 of 1")
    other = switch(house, version="4", wait_seconds=20)
    assert other.status_code == 409
    assert other.get_json()["differs"] == ["no class cat any more", "a new class dog"]
    assert versions(house)["serving"] == "1"
    assert switch(house, version="4", wait_seconds=20, force=True).status_code == 200
    assert versions(house)["serving"] == "4"


def test_a_caller_who_does_not_wait_is_told_that_it_began(house: House) -> None:
    answer = switch(house, version="2", wait_seconds=0)
    assert answer.status_code in (200, 202)
    eventually(lambda: versions(house)["switch"]["state"] == "done", what="the switch")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"version": ""}, 422),
        ({"version": 2}, 422),
        ({"version": "2", "force": "yes"}, 422),
        ({"version": "2", "wait_seconds": 61}, 422),
        ({"version": "2", "colour": "red"}, 422),
        ({"version": "17"}, 404),
        ({"version": "../1"}, 404),
        ({"version": "1"}, 409),
    ],
)
def test_what_makes_no_sense_changes_nothing(house: House, body: dict[str, Any], status: int) -> None:
    assert switch(house, **body).status_code == status
    assert versions(house)["serving"] == "1"
    assert audit(house) == []


def test_a_rollback_is_an_incident_and_in_the_audit(house: House) -> None:
    assert switch(house, version="2", wait_seconds=20).status_code == 200
    for _ in range(5):
        assert house.visitor().post("/predict", json="poison").status_code == 500
    eventually(lambda: versions(house)["serving"] == "1", what="the rollback")
    host, rooms = house.services.model, house.services
    eventually(lambda: [one.state for one in host.remedies()] == ["watching"], what="the end of the rollback")
    host.check(1_000)
    Chronicle(rooms.incidents, rooms.ledger, host.status, 0, host.remedies, rooms.audit).follow(2_000)
    found = house.visitor().get("/api/incidents", headers=house.token("viewer")).get_json()["incidents"]
    why = "failures: 100% of 5 requests failed, 0% before"
    summary = f"the last good version was put back ({why}); that helped: version 1 serves"
    assert [(one["kind"], one["cause"], one["summary"]) for one in found] == [("remedy", "probation", summary)]
    detail = {"reason": why, "helped": True, "outcome": "version 1 serves"}
    assert ("wakeless", "model.rollback", detail) in audit(house)
    assert house.visitor().post("/predict", json="poison").get_json()["version"] == "1"


def test_a_model_that_is_no_folder_of_versions_has_none(calm: House) -> None:
    found = versions(calm)
    assert (found["serving"], found["versions"]) == (None, [])
    assert switch(calm, version="2").status_code == 409
