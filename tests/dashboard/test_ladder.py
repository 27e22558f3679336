"""One list of what was done: remedies, restarts, loads that failed, and what people asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from ledger import Exit
from model.remedy import Remedy
from model.retreat import Retreat
from tests.dashboard.house import House

DETAIL: dict[str, Any] = {
    "stderr": ["Fatal Python error: Segmentation fault"],
    "log": ["12:00:00 info x"],
    "peak_memory_mb": 812.0,
}


def history(house: House, role: str = "operator", query: str = "?start=0") -> list[dict[str, Any]]:
    answer = house.visitor().get(f"/api/model/history{query}", headers=house.token(role))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["history"]
    return found


def crash(house: House, ended_ms: int, lived_ms: int = 400_000, **detail: Any) -> Exit:
    found = Exit(
        "segfault", "the program crashed with SIGSEGV", ended_ms - lived_ms, ended_ms, 7, None, "SIGSEGV", detail
    )
    house.services.ledger.append(found)
    return found


def test_without_a_past_it_is_empty(house: House) -> None:
    assert history(house) == []


def test_a_crash_tells_how_it_ended_and_whether_the_next_process_served(house: House) -> None:
    ended = house.services.started_ms - 2_000
    crash(house, ended, **DETAIL)
    (rung,) = history(house)
    assert (rung["kind"], rung["cause"], rung["action"]) == ("restart", "segfault", "start")
    assert (rung["seconds"], rung["helped"]) == (2.0, True)
    assert rung["detail"]["signal"] == "SIGSEGV"
    assert rung["detail"]["lived_seconds"] == 400
    assert rung["detail"]["stderr"] == DETAIL["stderr"]


def test_what_a_process_wrote_is_for_operators(house: House) -> None:
    crash(house, house.services.started_ms - 2_000, **DETAIL)
    (rung,) = history(house, "viewer")
    assert not {"stderr", "log"} & set(rung["detail"])
    assert rung["detail"]["peak_memory_mb"] == 812.0


def test_until_the_model_answers_again_it_lasts_as_long_as_the_incident(house: House) -> None:
    end = crash(house, house.services.started_ms - 2_000)
    id = house.services.incidents.open("process", end.reason, end.summary, end.ended_ms, end.detail)
    assert history(house)[0]["seconds"] is None
    house.services.incidents.close(id, end.ended_ms + 9_500)
    assert [rung["seconds"] for rung in history(house)] == [9.5]


def test_a_restart_after_which_it_crashed_again_did_not_help(house: House) -> None:
    now = house.services.started_ms
    crash(house, now - 9_000)
    crash(house, now - 6_000, lived_ms=2_000)
    crash(house, now - 1_000, lived_ms=2_000, safe_mode=True)
    newest, middle, oldest = history(house)
    assert (oldest["helped"], middle["helped"]) == (False, False)
    assert (newest["action"], newest["helped"]) == ("start_without", None), "safe mode is no help for the model"


def test_a_rollback_out_of_safe_mode_is_told_with_its_versions(house: House) -> None:
    now = house.services.started_ms
    words = {"actor": "ada", "reason": "asleep", "version": "1", "instead_of": "2"}
    house.services.ledger.append(
        Exit("restart", "rolled back by ada from version 2 to 1", now - 9_000, now - 500, 7, 0, None, words)
    )
    (rung,) = history(house)
    assert (rung["action"], rung["helped"], rung["detail"]["version"]) == ("start_other", None, "1")


def test_remedies_of_this_process_and_of_earlier_ones_are_in_it_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Remedy(
        1, "leak", "leak: 300 MB more", 1_000, state="done", seconds=4.0, helped=True, outcome="all came back"
    )
    running = replace(over, id=2, began_ms=5_000, state="watching", seconds=None, helped=None, outcome=None)
    house.services.incidents.add("remedy", over.cause, "x", over.began_ms, 5_000, asdict(over))
    monkeypatch.setattr(house.services.model, "remedies", lambda: [running, over])
    newest, oldest = history(house)
    assert (newest["time_ms"], newest["seconds"], newest["action"]) == (5_000, None, "reload")
    assert (oldest["why"], oldest["seconds"], oldest["helped"], oldest["outcome"]) == (
        "leak: 300 MB more",
        4.0,
        True,
        "all came back",
    )


def test_power_cuts_failed_loads_and_what_people_asked_for_are_in_it(house: House) -> None:
    rooms = house.services
    rooms.incidents.add("process", "power", "the machine went down", 1_000, 9_000, {})
    rooms.incidents.open("model", "load_failed", "the model cannot serve: no_such_module shop", 10_000)
    rooms.audit.note(20_000, "ada", "model.reload", "shop", {"reason": "mended"})
    rooms.audit.note(21_000, "ada", "user.create", "bob", {})
    asked, trouble, power = history(house)
    assert (power["cause"], power["seconds"], power["helped"]) == ("power", 8.0, True)
    assert (trouble["kind"], trouble["cause"], trouble["seconds"]) == ("trouble", "load_failed", None)
    assert (asked["kind"], asked["why"]) == ("action", "ada: mended")


def test_it_is_cut_to_the_window_and_to_the_newest_lines(house: House) -> None:
    first = 1_700_000_000_000
    for second in range(5):
        moment = first + second * 1000
        house.services.incidents.add("process", "power", "x", moment, moment + 10, {})

    def moments(query: str) -> list[int]:
        return [(rung["time_ms"] - first) // 1000 for rung in history(house, query=query)]

    assert moments("?start=0&limit=2") == [4, 3]
    assert moments(f"?start={first + 500}&end={first + 2500}") == [2, 1]
    assert house.visitor().get("/api/model/history?limit=0", headers=house.token("viewer")).status_code == 422


# --- back to the last good version ------------------------------------------------------------------------------


@pytest.fixture
def in_safe_mode(house: House) -> House:
    house.services.safe_mode = True
    return house


def ask(house: House, role: str = "operator", **body: Any) -> Any:
    return house.visitor().post("/api/process/restart", json=body, headers=house.token(role))


def test_in_safe_mode_the_next_process_is_started_with_the_last_good_version(
    in_safe_mode: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []
    way = Retreat("2", "1")
    monkeypatch.setattr(in_safe_mode.services.model.rearguard, "step_back", lambda: way)
    in_safe_mode.services.restart_process = lambda *given: calls.append(given)
    assert ask(in_safe_mode, roll_back=True, reason="asleep").status_code == 202
    assert calls == [("token:program-operator", "asleep", way)]
    (entry,) = in_safe_mode.services.audit.between(0, 1 << 50)
    detail = {"reason": "asleep", "version": "1", "before": "2"}
    assert (entry.actor, entry.action, entry.detail) == ("token:program-operator", "process.rollback", detail)


def test_where_there_is_none_the_answer_says_why_and_nothing_is_restarted(in_safe_mode: House) -> None:
    in_safe_mode.services.restart_process = lambda *given: pytest.fail("nothing was to be restarted")
    answer = ask(in_safe_mode, roll_back=True)
    assert answer.status_code == 409
    assert "one model only" in answer.get_json()["detail"]
    found = in_safe_mode.visitor().get("/api/model", headers=in_safe_mode.token("viewer")).get_json()
    assert found["retreat"]["obstacle"].startswith("There is one model only")
    assert in_safe_mode.services.audit.between(0, 1 << 50) == []


def test_outside_safe_mode_another_version_is_switched_to_instead(house: House) -> None:
    house.services.restart_process = lambda *given: pytest.fail("nothing was to be restarted")
    answer = ask(house, roll_back=True)
    assert (answer.status_code, answer.get_json()["detail"]) == (
        409,
        "This is not safe mode: switch to another version instead.",
    )
    assert house.visitor().get("/api/model", headers=house.token("viewer")).get_json()["retreat"] is None


def test_deciding_takes_the_role_operator(in_safe_mode: House) -> None:
    assert ask(in_safe_mode, role="viewer", roll_back=True).status_code == 403
