"""Our own JSON API, over the real rooms."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.sample import Sample, Tick, make_labels
from ledger import Exit
from tests.dashboard.house import House, MakeHouse

RULES = """
groups:
  - name: test
    rules:
      - alert: Hot
        expr: gpu_temperature_celsius > 80
        labels: {severity: critical}
        annotations: {summary: "GPU {{ $labels.gpu }} is hot"}
      - alert: Warm
        expr: gpu_temperature_celsius > 60
        for: 5m
        labels: {severity: warning}
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def hot(make_house: MakeHouse, tmp_path: Path) -> House:
    """A house in which one alert fires and one is pending."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    house = make_house(alerts={"rules": [rules], "stock_rules": False})
    now = now_ms()
    sample = Sample("gpu_temperature_celsius", make_labels(gpu="0"), 91.0)
    house.services.store.append([Tick("nvml", now - 500, (sample,))])
    house.services.alerts.evaluate(now)
    return house


def get(house: House, path: str, role: str = "viewer") -> dict[str, Any]:
    answer = house.visitor().get(path, headers=house.token(role))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def audit(house: House) -> list[tuple[str, str, str, dict[str, Any]]]:
    return [
        (entry.actor, entry.action, entry.target, entry.detail) for entry in house.services.audit.between(0, 1 << 50)
    ]


def test_it_shows_the_models_state_and_health(house: House) -> None:
    found = get(house, "/api/model")
    assert found["status"]["state"] == "disabled"
    assert found["health"]["live"]["ok"] is True
    assert set(found["health"]["checks"]) == {"api", "model", "gpu"}


def test_it_lists_current_alerts_and_filters_them(hot: House) -> None:
    found = get(hot, "/api/alerts")["alerts"]
    assert [(one["rule"], one["state"]) for one in found] == [("Hot", "firing"), ("Warm", "pending")]
    assert found[0]["summary"] == "GPU 0 is hot"
    assert [one["rule"] for one in get(hot, "/api/alerts?state=pending")["alerts"]] == ["Warm"]
    assert get(hot, "/api/alerts?state=resolved")["alerts"] == []


def test_it_acknowledges_with_a_name_and_a_reason(hot: House) -> None:
    id = get(hot, "/api/alerts?state=firing")["alerts"][0]["id"]
    client, headers = hot.visitor(), hot.token("operator")
    answer = client.post(f"/api/alerts/{id}/ack", json={"reason": " fan replaced "}, headers=headers)
    assert answer.status_code == 200
    alert = answer.get_json()["alert"]
    assert (alert["state"], alert["ack_by"], alert["ack_reason"]) == (
        "acknowledged",
        "token:program-operator",
        "fan replaced",
    )
    assert client.post(f"/api/alerts/{id}/ack", json={"reason": "again"}, headers=headers).status_code == 409
    assert client.delete(f"/api/alerts/{id}/ack", headers=headers).get_json()["alert"]["state"] == "firing"
    assert client.delete(f"/api/alerts/{id}/ack", headers=headers).status_code == 409
    who = "token:program-operator"
    assert audit(hot) == [
        (who, "alert.ack", f"alert:{id}", {"rule": "Hot", "reason": "fan replaced"}),
        (who, "alert.unack", f"alert:{id}", {"rule": "Hot"}),
    ]


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}])
def test_an_acknowledgement_needs_a_reason(hot: House, body: dict[str, str] | None) -> None:
    id = get(hot, "/api/alerts?state=firing")["alerts"][0]["id"]
    answer = hot.visitor().post(f"/api/alerts/{id}/ack", json=body, headers=hot.token("operator"))
    assert answer.status_code == 422
    assert audit(hot) == []


def test_what_does_not_fire_cannot_be_acknowledged(hot: House) -> None:
    id = get(hot, "/api/alerts?state=pending")["alerts"][0]["id"]
    client, headers = hot.visitor(), hot.token("operator")
    assert client.post(f"/api/alerts/{id}/ack", json={"reason": "x"}, headers=headers).status_code == 409
    assert client.post("/api/alerts/4711/ack", json={"reason": "x"}, headers=headers).status_code == 404


def test_it_shows_what_fired_in_a_window(hot: House) -> None:
    now = now_ms()
    cool = Sample("gpu_temperature_celsius", make_labels(gpu="0"), 40.0)
    hot.services.store.append([Tick("nvml", now + 1000, (cool,))])
    hot.services.alerts.evaluate(now + 2000)
    assert get(hot, "/api/alerts")["alerts"] == []
    window = f"start={now - 60_000}&end={now + 60_000}"
    (found,) = get(hot, f"/api/alerts?{window}")["alerts"]
    assert (found["rule"], found["state"]) == ("Hot", "resolved")
    assert get(hot, "/api/alerts?start=1000&end=2000")["alerts"] == []
    assert [one["rule"] for one in get(hot, f"/api/alerts?state=resolved&{window}")["alerts"]] == ["Hot"]


def test_the_strip_merges_alerts_incidents_and_actions(hot: House) -> None:
    now = now_ms()
    hot.services.incidents.add("process", "segfault", "The process crashed.", now - 30_000, now - 20_000)
    hot.services.audit.add(now - 10_000, "ada", "model.reload", "m", {"reason": "new weights"})
    hot.services.audit.add(now - 9_000, "ada", "login", "session", {})
    found = get(hot, "/api/events")["events"]
    assert [(one["kind"], one["level"], one["title"], one["detail"]) for one in found] == [
        ("incident", "critical", "segfault", "The process crashed."),
        ("action", "info", "Model reload asked for", "ada: new weights"),
        ("alert", "critical", "Hot", "GPU 0 is hot"),
    ]
    assert (found[0]["time_ms"], found[0]["end_ms"]) == (now - 30_000, now - 20_000)
    assert found[1]["time_ms"] == found[1]["end_ms"]
    assert found[2]["end_ms"] is None
    assert get(hot, "/api/events?start=1000&end=2000")["events"] == []


def test_it_lists_incidents(house: House) -> None:
    now = now_ms()
    id = house.services.incidents.open("model", "load_failed", "The model did not load.", now - 5000, {"try": 2})
    (found,) = get(house, "/api/incidents")["incidents"]
    assert (found["id"], found["cause"], found["ended_ms"], found["detail"]) == (id, "load_failed", None, {"try": 2})


def test_what_a_process_wrote_before_it_died_is_for_operators(house: House) -> None:
    now, lines = now_ms(), ['  File "/srv/model.py", line 7 in predict']
    detail = {"stderr": lines, "log": lines, "batch": None, "peak_memory_mb": 3456.7}
    house.services.incidents.add("process", "segfault", "it crashed", now - 3000, now - 1000, detail)
    assert get(house, "/api/incidents", "operator")["incidents"][0]["detail"] == detail
    assert get(house, "/api/incidents", "viewer")["incidents"][0]["detail"] == {"batch": None, "peak_memory_mb": 3456.7}
    (event,) = get(house, "/api/events", "viewer")["events"]
    assert event["detail"] == "it crashed; memory at most 3,457 MB"


def test_the_audit_is_for_admins(house: House) -> None:
    house.services.audit.add(now_ms(), "ada", "token.create", "ci", {"role": "viewer"})
    (entry,) = get(house, "/api/audit", "admin")["entries"]
    assert (entry["actor"], entry["action"], entry["target"]) == ("ada", "token.create", "ci")


# --- restarts ---------------------------------------------------------------------------------------------------


def test_it_reloads_the_model(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    ready = replace(house.services.model.status(), state="ready", model="m", last_load_seconds=4.5)
    monkeypatch.setattr(house.services.model, "status", lambda: ready)

    def reload(reason: str) -> bool:
        calls.append(reason)
        return len(calls) == 1

    monkeypatch.setattr(house.services.model, "reload", reload)
    client, headers = house.visitor(), house.token("operator")
    answer = client.post("/api/model/restart", json={"reason": "looks stuck"}, headers=headers)
    assert answer.status_code == 202
    assert answer.get_json() == {"accepted": True, "last_seconds": 4.5}
    assert client.post("/api/model/restart", headers=headers).status_code == 409
    assert calls == ["manual", "manual"], "a person's words must not become a label"
    assert audit(house) == [("token:program-operator", "model.reload", "m", {"reason": "looks stuck"})]


def test_it_restarts_the_process(house: House) -> None:
    calls: list[tuple[str, str]] = []
    house.services.restart_process = lambda actor, reason: calls.append((actor, reason))
    ended = house.services.started_ms - 2500
    house.services.ledger.append(Exit("crash", "x", ended - 9000, ended - 8000, 1))
    house.services.ledger.append(Exit("restart", "x", ended - 1000, ended, 1))
    answer = house.visitor().post("/api/process/restart", json={"reason": "why"}, headers=house.token("operator"))
    assert answer.status_code == 202
    assert answer.get_json() == {"accepted": True, "last_seconds": 2.5}
    assert calls == [("token:program-operator", "why")]
    assert audit(house)[0][1] == "process.restart"


def test_a_process_that_nothing_would_start_again_is_not_ended(house: House) -> None:
    answer = house.visitor().post("/api/process/restart", headers=house.token("operator"))
    assert answer.status_code == 409
    assert "no supervisor" in answer.get_json()["detail"]


def test_a_process_that_stops_already_is_not_restarted(house: House) -> None:
    house.services.stopping = True
    answer = house.visitor().post("/api/process/restart", headers=house.token("operator"))
    assert answer.status_code == 409


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_alert_number_beyond_all_numbers_is_just_not_found(house: House, method: str) -> None:
    answer = house.visitor().open(
        "/api/alerts/99999999999999999999/ack", method=method, json={"reason": "x"}, headers=house.token("operator")
    )
    assert answer.status_code == 404
