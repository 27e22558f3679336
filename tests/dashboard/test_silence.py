"""The page's own calls: what a silence would hide, and windows that recur."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.dashboard.house import House
from tests.dashboard.test_alertmanager import alert, at, make_silence, post

SATURDAYS = {"times": [{"start_time": "02:00", "end_time": "04:00"}], "weekdays": ["saturday"]}


def call(house: House, method: str, path: str, document: object = None, role: str = "operator") -> TestResponse:
    return house.visitor().open(f"/api/{path}", method=method, headers=house.token(role), json=document)


def window(**fields: Any) -> dict[str, Any]:
    matchers = [{"name": "service", "value": "db", "isRegex": False, "isEqual": True}]
    return {"name": "Backups", "matchers": matchers, "intervals": [SATURDAYS], "comment": "weekly"} | fields


def windows(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(house, "GET", "maintenance", role="viewer").get_json()["maintenance"]
    return found


def audit(house: House) -> list[tuple[str, str]]:
    return [(entry.action, entry.target) for entry in house.services.audit.between(0, 1 << 50)]


# --- what a silence would hide -----------------------------------------------------------------------------------


def test_a_person_sees_what_a_silence_would_hide(house: House) -> None:
    post(house, alert("Down", service="db"), alert("Slow", service="web"))
    post(house, alert("Down", service="db", zone="a"))
    post(house, alert("Down", service="db", zone="a") | {"startsAt": at(-5), "endsAt": at(-1)})
    matchers = [{"name": "service", "value": "d.", "isRegex": True}]
    answer = call(house, "POST", "silences/preview", {"matchers": matchers, "startsAt": at(0), "endsAt": at(60)})
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    assert [(one["rule"], one["labels"]["service"], one["silenced_by"]) for one in found["alerts"]] == [
        ("Down", "db", [])
    ]
    assert found["recent"] == [{"rule": "Down", "count": 2}]
    assert (found["total"], found["complete"]) == (2, True)
    assert house.services.quieting.silences.all(0) == []


def test_matchers_may_be_words(house: House) -> None:
    post(house, alert("Down", service="db"))
    id = make_silence(house)
    found = call(house, "POST", "silences/preview", {"matchers": ['service=~"d.*"', "zone="]}, role="viewer").get_json()
    assert [one["silenced_by"] for one in found["alerts"]] == [[id]]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "matchers"),
        ({"matchers": []}, "matchers"),
        ({"matchers": ["="]}, "matchers"),
        ({"matchers": ["a=~.*"]}, "matchers"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, "matchers"),
        ({"matchers": ["a=b"], "endsAt": "2020-01-01T00:00:00Z"}, "endsAt"),
        ({"matchers": ["a=b"], "endsAt": "soon"}, "endsAt"),
        ({"matchers": ["a=b"], "startsAt": at(60), "endsAt": at(30)}, "endsAt"),
    ],
)
def test_what_could_not_be_a_silence_is_refused(calm: House, document: object, field: str) -> None:
    answer = call(calm, "POST", "silences/preview", document)
    assert answer.status_code == 422
    assert answer.get_json()["field"] == field, answer.text


# --- maintenance -------------------------------------------------------------------------------------------------


def test_a_window_is_made_changed_and_deleted(house: House) -> None:
    made = call(house, "POST", "maintenance", window())
    assert made.status_code == 201, made.text
    [found] = windows(house)
    assert made.get_json() == found
    assert found["created_by"] == "token:program-operator"
    assert (found["active"], found["disabled"]) == (False, False)
    assert found["until_ms"] - found["next_ms"] == 2 * 3_600_000
    path = f"maintenance/{found['id']}"
    assert call(house, "PUT", path, window(disabled=True)).get_json()["next_ms"] is None
    assert call(house, "PUT", path, window(intervals=[{}], matchers=[])).get_json()["active"] is True
    assert call(house, "DELETE", path).status_code == 200
    assert windows(house) == []
    target = f"maintenance:{found['id']}"
    actions = ("maintenance.create", "maintenance.change", "maintenance.change", "maintenance.delete")
    assert audit(house) == [(action, target) for action in actions]


def test_an_open_window_hides_what_matches(house: House) -> None:
    post(house, alert("Down", service="db"), alert("Down", service="web"))
    assert call(house, "POST", "maintenance", window(intervals=[{}])).status_code == 201
    shown = call(house, "GET", "alerts").get_json()["alerts"]
    assert {(one["labels"]["service"], *one["muted_by"]) for one in shown} == {("db", "Backups"), ("web",)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"intervals": []}, "intervals"),
        ({"intervals": [{"weekdays": ["someday"]}]}, "intervals"),
        ({"intervals": [{"location": "Nowhere"}]}, "intervals"),
        ({"matchers": ["="]}, "matchers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_window_that_cannot_be_is_refused(calm: House, change: dict[str, Any], field: str) -> None:
    answer = call(calm, "POST", "maintenance", window(**change))
    assert answer.status_code == 422
    assert answer.get_json()["field"] == field, answer.text
    assert windows(calm) == []


def test_a_name_that_is_taken_and_a_window_that_is_not_there_are_said(house: House) -> None:
    assert call(house, "POST", "maintenance", window()).status_code == 201
    taken = call(house, "POST", "maintenance", window())
    assert (taken.status_code, taken.get_json()["field"]) == (422, "name")
    assert call(house, "PUT", "maintenance/99", window()).status_code == 404
    assert call(house, "DELETE", "maintenance/99").status_code == 404
