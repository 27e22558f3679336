"""The three layers of health, as an orchestrator and an uptime monitor read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model.status import Check, Health
from tests.dashboard.house import House, MakeHouse

GOOD = Check("x", True, None, None, 1_700_000_000_000, 0.01)
BAD = Check("ready", False, "insufficient_gpu_memory: 0.8GB free", "Stop what else uses it.", 1_700_000_000_000, 0.2)
HEALTHY = Health(
    replace(GOOD, name="live"),
    replace(GOOD, name="startup"),
    replace(GOOD, name="ready"),
    {"api": True, "model": True, "gpu": True},
    {"allocated_gb": 1.5, "reserved_gb": 2.0, "total_gb": 80.0},
)


def answers(house: House, monkeypatch: pytest.MonkeyPatch, health: Health) -> dict[str, tuple[int, dict[str, Any]]]:
    """What each path says while the model's verdicts are these."""
    monkeypatch.setattr(house.services.model, "health", lambda: health)
    found = {}
    for name in ("live", "startup", "ready", ""):
        answer = house.visitor().get(f"/health/{name}".rstrip("/"))
        found[name] = (answer.status_code, answer.get_json())
    return found


def test_all_is_well(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers(house, monkeypatch, HEALTHY)
    assert {status for status, _ in found.values()} == {200}
    for _, body in found.values():
        assert body["status"] == "ok"
        assert body["timestamp"].endswith("Z")
        assert body["uptime"] >= 0
        assert body["reason"] is None
        assert len(body["trace_id"]) == 22
    assert found[""][1]["checks"] == {"api": True, "model": True, "gpu": True}
    assert found[""][1]["gpu_memory"] == {"allocated_gb": 1.5, "reserved_gb": 2.0, "total_gb": 80.0}
    assert found["ready"][1]["checked"] == "2023-11-14T22:13:20.000Z"


def test_not_ready_says_why_and_what_to_do_and_is_still_alive(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sick = replace(HEALTHY, ready=BAD, checks={"api": True, "model": False, "gpu": True})
    found = answers(house, monkeypatch, sick)
    assert [found[name][0] for name in ("live", "startup", "ready", "")] == [200, 200, 503, 503]
    for name in ("ready", ""):
        assert found[name][1]["status"] == "unavailable"
        assert found[name][1]["reason"] == "insufficient_gpu_memory: 0.8GB free"
        assert found[name][1]["suggestion"] == "Stop what else uses it."


def test_an_absent_gpu_is_no_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    found = answers(house, monkeypatch, replace(HEALTHY, checks={"api": True, "model": True, "gpu": "absent"}))
    assert found[""][0] == 200
    assert found[""][1]["checks"]["gpu"] == "absent"


def test_a_failure_says_when_to_come_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(house, monkeypatch, replace(HEALTHY, ready=BAD))
    assert house.visitor().get("/health/ready").headers["Retry-After"] == "10"


@pytest.mark.parametrize(("age_seconds", "ok"), [(0.0, True), (29.9, True), (30.1, False), (3600.0, False)])
def test_a_tick_that_stands_still_fails_the_summary_alone(
    house: House, monkeypatch: pytest.MonkeyPatch, age_seconds: float, ok: bool
) -> None:
    house.services.pulse_age_seconds = lambda: age_seconds
    found = answers(house, monkeypatch, HEALTHY)
    assert [found[name][0] for name in ("live", "startup", "ready", "")] == [200, 200, 200, 200 if ok else 503]
    assert found[""][1]["checks"] == {"api": ok, "model": True, "gpu": True}
    assert found[""][1]["reason"] == (None if ok else f"tick_stalled: no tick for {age_seconds:.0f} s")
    assert ok or "restart the process" in found[""][1]["suggestion"].lower()
    told = house.visitor().get("/api/model", headers=house.token("viewer")).get_json()
    assert told["health"]["checks"]["api"] is ok, "all answers agree"


def test_a_slow_tick_is_given_ten_of_its_intervals(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make_house(collectors={"interval_seconds": 60})
    house.services.pulse_age_seconds = lambda: 599.0
    assert answers(house, monkeypatch, HEALTHY)[""][0] == 200
    house.services.pulse_age_seconds = lambda: 601.0
    assert answers(house, monkeypatch, HEALTHY)[""][0] == 503


def test_a_stalled_tick_is_the_reason_where_no_model_is_hosted(house: House) -> None:
    house.services.pulse_age_seconds = lambda: 42.0
    answer = house.visitor().get("/health")
    assert (answer.status_code, answer.get_json()["reason"]) == (503, "tick_stalled: no tick for 42 s")


def test_the_trace_id_is_the_request_id(house: House) -> None:
    answer = house.visitor().get("/health/ready", headers={"X-Request-ID": "trace-7"})
    assert answer.get_json()["trace_id"] == "trace-7"


def test_health_works_while_the_database_does_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(*_: object) -> None:
        raise AssertionError("health must not ask the database")

    monkeypatch.setattr(house.services.database, "connect", stuck)
    monkeypatch.setattr(house.services.database, "begin", stuck)
    headers = {"Authorization": "Bearer wl_whatever", "Cookie": "wakeless_8000=nonsense"}
    for name in ("", "/live", "/startup", "/ready"):
        status = house.visitor().get(f"/health{name}", headers=headers).status_code
        assert status == (503 if name == "/ready" else 200)  # there is no model
