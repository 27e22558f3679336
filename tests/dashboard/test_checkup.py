"""The checklist through its API, on a real app."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import insert

from collectors.sample import Sample, Tick
from dashboard.moment import iso, now_ms
from storage.record import RequestEntry
from storage.tables import AlertRow, RemedyRow
from tests.dashboard.house import House


def get(house: House, query: str = "") -> Any:
    answer = house.visitor().get(f"/api/checkup{query}", headers=house.token("viewer"))
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def steps(house: House, query: str = "") -> dict[str, Any]:
    return {step["key"]: step for step in get(house, query)["steps"]}


def alert(house: House, **more: Any) -> int:
    now = now_ms()
    row = {
        "fingerprint": "f", "rule": "Slow", "group": "g", "state": "firing", "severity": "warning", "level": 2,
        "labels": {}, "annotations": {}, "active_ms": now - 60_000, "firing_ms": now - 30_000, "seen_ms": now,
    }  # fmt: skip
    with house.services.database.begin() as connection:
        key: Any = connection.execute(insert(AlertRow).values(row | more)).inserted_primary_key
    return int(key[0])


def test_five_questions_are_answered_for_an_alert(house: House) -> None:
    rooms, now = house.services, now_ms()
    rooms.store.append([Tick("host", now - 1000, (Sample("cpu_utilization_ratio", (), 0.99),))])
    rooms.audit.add(now - 40_000, "ann", "model.reload", "card", {"reason": "x"})
    for number in range(30):
        bad = number < 10
        rooms.requests.add(
            RequestEntry(
                f"r{number}",
                now - 40_000 + number,
                500 if bad else 200,
                "error" if bad else "ok",
                "card",
                "1",
                0.1,
                input={"format": "WEBP" if bad else "JPEG"},
                error="No layer 7" if bad else None,
            )
        )
    rooms.requests.flush()
    error = {
        "event": "load_failed",
        "level": "error",
        "timestamp": iso(now - 50_000),
        "exception": "Traceback\nfile /srv/x.py\nBoom",
    }
    with (house.data_dir / "wakeless.log").open("ab") as file:
        file.write(orjson.dumps(error) + b"\n")
    found = steps(house, f"?alert={alert(house)}")
    assert [*found] == ["alive", "resources", "changes", "first_error", "inputs"]
    assert (found["resources"]["verdict"], found["resources"]["answer"]) == ("bad", "At its limit: CPU.")
    assert found["resources"]["facts"][0] == {"name": "CPU", "value": 0.99, "unit": "ratio", "link": "/"}
    assert "Model reload asked for (ann)" in str(found["changes"]["facts"])
    assert found["first_error"]["answer"] == "The first error: load failed"
    assert found["first_error"]["lines"] == ["Traceback", "file [path]", "Boom"]
    assert "No layer 7" in str(found["first_error"]["facts"])
    assert found["inputs"]["answer"] == "100% of failing inputs have format WEBP, of good ones 0%."


def test_an_install_at_rest_has_no_complaints(house: House) -> None:
    found = steps(house)
    assert found["first_error"]["verdict"] == "ok"
    assert found["inputs"]["answer"] == "Nothing was asked of the model in that hour."
    assert "bad" not in {step["verdict"] for key, step in found.items() if key != "alive"}


def test_a_target_is_told_of_by_its_own_signs(make_house: Any) -> None:
    house = make_house(targets=[{"name": "comfyui", "tcp": {"host": "127.0.0.1", "port": 9}}])
    found = steps(house, "?target=comfyui")
    assert found["alive"]["verdict"] == "unknown"
    assert found["inputs"]["verdict"] == "unknown"


def test_a_remedy_is_told_once_and_one_that_failed_is_not_well(make_house: Any) -> None:
    house = make_house(targets=[{"name": "comfyui", "tcp": {"host": "127.0.0.1", "port": 9}}])
    now, rooms = now_ms(), house.services
    rooms.audit.add(now - 5000, "wakeless", "target.remedy", "target:comfyui", {"kind": "call"})
    rooms.audit.add(now - 4000, "wakeless", "target.remedy", "target:other", {"kind": "call"})
    row = {"target": "comfyui", "rung": 0, "kind": "call", "state": "failed", "why": "down", "outcome": "HTTP 500"}
    with rooms.database.begin() as connection:
        connection.execute(insert(RemedyRow).values(row | {"started_ms": now - 5000}))
    found = steps(house, "?target=comfyui")["changes"]
    told = [(fact["time_ms"], fact["value"]) for fact in found["facts"] if "remedy" in fact["value"]]
    assert told == [(now - 4000, "target: remedy other (wakeless)"), (now - 5000, "remedy failed: Call a URL")]
    assert (found["verdict"], found["answer"]) == ("bad", "Look at this first: remedy failed: Call a URL.")


def test_what_there_is_not_is_said(calm: House) -> None:
    headers = calm.token("viewer")
    assert calm.visitor().get("/api/checkup?alert=99999", headers=headers).status_code == 404
    assert calm.visitor().get("/api/checkup?alert=x", headers=headers).status_code == 422
    assert calm.visitor().get("/api/checkup?target=none", headers=headers).status_code == 404
