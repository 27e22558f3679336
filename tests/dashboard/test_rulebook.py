"""The rules through the API: seen, checked, tried, saved, and read anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collectors.sample import Sample, Tick
from dashboard.moment import now_ms
from tests.dashboard.house import House, MakeHouse

HOT = """groups:
  - name: mine
    rules:
      - alert: Hot   # in summer
        expr: gpu_temperature_celsius > 70
        for: 1m
        annotations: {summary: hot}
"""


def ask(house: House, method: str, path: str = "", role: str = "viewer", **body: Any) -> Any:
    return house.visitor().open(f"/api/rules{path}", method=method, headers=house.token(role), json=body or None)


def save(house: House, text: str, version: int, comment: str = "") -> Any:
    return ask(house, "PUT", role="admin", text=text, version=version, comment=comment)


def in_force(house: House) -> list[str]:
    return [rule.rule.name for group in house.services.alerts.rules() for rule in group.rules]


def test_a_fresh_house_has_the_stock_rules_and_an_empty_page(make_house: MakeHouse) -> None:
    house = make_house(alerts={"stock_rules": True})
    document = ask(house, "GET").get_json()
    assert (document["version"], document["text"], document["author"]) == (0, "", "")
    stock, page = document["files"]
    assert (stock["path"], page["path"], page["rules"], page["editable"]) == ("stock.yml", "page", 0, True)
    assert stock["rules"] > 30
    assert stock["problems"] == []


def test_a_save_is_in_force_at_once_and_audited(house: House) -> None:
    answer = save(house, HOT, 0, "summer")
    assert answer.status_code == 200, answer.text
    document = answer.get_json()
    assert (document["version"], document["author"], document["comment"]) == (1, "token:program-admin", "summer")
    assert "Hot" in in_force(house)
    entries = house.services.audit.between(0, now_ms() + 1)
    assert ("rules.save", {"version": 1, "comment": "summer"}) in [(one.action, one.detail) for one in entries]


def test_a_bad_text_changes_nothing_and_says_all_that_is_wrong(house: House) -> None:
    before = in_force(house)
    answer = save(house, "groups: [{name: g, rules: [{alert: A}, {alert: B, expr: 'up =='}]}]", 0)
    assert answer.status_code == 422
    assert len(answer.get_json()["problems"]) == 2
    assert in_force(house) == before
    assert ask(house, "GET").get_json()["version"] == 0


def test_of_two_who_save_the_second_is_told_of_the_first(house: House) -> None:
    save(house, HOT, 0)
    answer = save(house, "groups: []", 0)
    assert answer.status_code == 409
    assert (answer.get_json()["version"], answer.get_json()["author"]) == (1, "token:program-admin")
    assert "Hot" in in_force(house)


def test_earlier_versions_are_listed_shown_and_restored(house: House) -> None:
    save(house, HOT, 0, "first")
    save(house, "", 1, "none")
    assert "Hot" not in in_force(house)
    listed = ask(house, "GET", "/versions").get_json()["versions"]
    assert [(one["version"], one["comment"]) for one in listed] == [(2, "none"), (1, "first")]
    assert ask(house, "GET", "/versions/1").get_json()["text"] == HOT
    assert ask(house, "GET", "/versions/9").status_code == 404
    answer = ask(house, "POST", "/versions/1/restore", role="admin", version=2)
    assert (answer.get_json()["version"], answer.get_json()["comment"]) == (3, "Version 1 again")
    assert "Hot" in in_force(house)
    assert ask(house, "POST", "/versions/1/restore", role="admin", version=2).status_code == 409
    assert ask(house, "POST", "/versions/9/restore", role="admin", version=3).status_code == 404


def test_a_check_names_the_lines_and_changes_nothing(house: House) -> None:
    text = (
        HOT
        + "      - alert: Worse\n        expr: gpu_temperture_celsius > 80\n      - alert: Bad\n        expr: up ==\n"
    )
    document = ask(house, "POST", "/check", text=text).get_json()
    assert document["rules"] == 2
    found = {(one["level"], one["line"]) for one in document["problems"]}
    assert found == {("error", 11), ("warning", 8)}
    assert any(
        "nothing here writes the metric gpu_temperture_celsius" in one["message"] for one in document["problems"]
    )
    assert ask(house, "GET").get_json()["version"] == 0


def warm(house: House, degrees: list[float]) -> None:
    """GPU temperatures of the last minutes, one each five seconds."""
    first = now_ms() - len(degrees) * 5_000
    for number, value in enumerate(degrees):
        sample = Sample("gpu_temperature_celsius", (("gpu", "0"),), value)
        house.services.store.append([Tick("test", first + number * 5_000, (sample,))])


def test_a_preview_does_not_look_to_before_history_began(house: House) -> None:
    warm(house, [60.0] * 120)
    document = ask(house, "POST", "/preview", expr="absent(gpu_temperature_celsius)", hours=24).get_json()
    assert document["fired"] == 0
    assert 590_000 <= document["end_ms"] - document["start_ms"] <= 610_000


def test_a_preview_tells_when_a_rule_would_have_fired(house: House) -> None:
    warm(house, [60.0] * 24 + [80.0] * 60 + [60.0] * 24)
    asked: dict[str, Any] = {"expr": "gpu_temperature_celsius > 70", "for": "1m", "hours": 1}
    answer = ask(house, "POST", "/preview", **asked)
    document = answer.get_json()
    assert document["fired"] == 1
    (span,) = document["spans"]
    assert span["labels"] == {"gpu": "0"}
    # It was hot for 5 minutes, the first of which the rule waited.
    assert 235 <= document["firing_seconds"] <= 245
    assert document["threshold"] == {"op": ">", "value": 70.0}
    (series,) = document["series"]
    assert {value for _, value in series["points"]} == {60.0, 80.0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expr": "up =="}, "expr"),
        ({"expr": "up[5m]"}, "expr"),
        ({"expr": "up", "for": "5"}, "for"),
        ({"expr": "up", "keep_firing_for": "x"}, "keep_firing_for"),
        ({"expr": "up", "hours": 1000}, "hours"),
    ],
)
def test_what_cannot_be_previewed_is_named(calm: House, body: dict[str, Any], field: str) -> None:
    answer = ask(calm, "POST", "/preview", **body)
    assert answer.status_code == 422
    assert answer.get_json()["field"] == field


def test_one_rule_is_shown_as_it_is_written(make_house: MakeHouse) -> None:
    house = make_house(alerts={"stock_rules": True})
    save(house, HOT, 0)
    answer = ask(house, "GET", "/source?name=Hot&group=mine")
    assert answer.get_json() == {"text": HOT, "file": "page"}
    stock = ask(house, "GET", "/source?name=ServerDown&group=wakeless-service").get_json()
    assert stock["file"] == "stock.yml"
    assert "# The first load is no outage" in stock["text"]
    assert ask(house, "POST", "/check", text=stock["text"]).get_json() == {"problems": [], "rules": 1}
    assert ask(house, "GET", "/source?name=None&group=mine").status_code == 404


def test_a_hostile_text_is_refused_and_the_server_lives(house: House) -> None:
    for text in ("[" * 150_000, "- " * 90_000, "groups: [{name: g, rules: [{alert: A, expr: " + "(" * 10_000 + "}]}]"):
        answer = ask(house, "POST", "/check", text=text)
        assert answer.status_code == 200
        assert answer.get_json()["problems"][0]["level"] == "error"
    assert ask(house, "POST", "/check", text="x" * 300_000).status_code == 422


def test_a_reload_reads_changed_files_and_tells_of_bad_ones(make_house: MakeHouse, tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(HOT)
    house = make_house(alerts={"rules": [str(file)]})
    file.write_text(HOT.replace("Hot", "Hotter"))
    assert ask(house, "POST", "/reload", role="admin").get_json()["changed"] is True
    assert "Hotter" in in_force(house)
    file.write_text(HOT + "  - name: mine\n")
    document = ask(house, "POST", "/reload", role="admin").get_json()
    assert document["changed"] is False
    (state,) = [one for one in document["files"] if one["path"] == "own.yml"]
    assert "the same name" in state["problems"][0]
    assert "Hotter" in in_force(house)
