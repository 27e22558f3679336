"""A canary through the API: who may, what is answered by whom, and what is told of it."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from chronicle import Chronicle
from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_version import audit, put, switch, versions
from tests.running import eventually


@pytest.fixture
def house(make_house: MakeHouse, tmp_path: Path) -> House:
    """A house with version 1 of a model in service, and 2, 3 (which is wrong) and 4 (other classes) beside it."""
    folder = tmp_path / "models" / "echo"
    put(folder, 1, classes='classes = ["cat"]')
    found = make_house(model={"path": str(folder), "device": "cpu", "heal_seconds": 0, "cache_bytes": 100_000})
    found.services.model.start()
    eventually(lambda: found.services.model.status().state == "ready", what="the load")
    put(folder, 2)
    put(folder, 3, golden=7)
    put(folder, 4, classes='classes = ["dog"]')
    return found


def ask(house: House, path: str = "", **body: Any) -> TestResponse:
    return house.visitor().post(f"/api/model/canary{path}", json=body, headers=house.token("operator"))


def begin(house: House, version: str = "2", percent: float = 10) -> Any:
    answer = ask(house, version=version, percent=percent, wait_seconds=20)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["canary"]


def view(house: House) -> Any:
    return house.visitor().get("/api/model/comparison", headers=house.token("viewer")).get_json()["canary"]


def predict(house: House, said: str = "hello", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.visitor().post("/predict", json=said, headers=named)


def infer(house: House, path: str) -> TestResponse:
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "data": ['"hello"']}
    return house.visitor().post(f"/v2/models/echo{path}", json={"inputs": [tensor]})


def test_traffic_through_start_share_promote_and_end_loses_nothing(house: House) -> None:
    over, seen = threading.Event(), [Counter[tuple[int, str]]() for _ in range(6)]

    def send(mine: Counter[tuple[int, str]]) -> None:
        visitor, count = house.visitor(), 0
        while not over.is_set():
            count += 1
            answer = visitor.post("/predict", json=f"word {count % 50}")
            mine[answer.status_code, answer.headers.get("X-Model-Version", "")] += 1

    def traffic(version: str) -> None:
        """Until that version has answered twenty more."""
        now = sum(mine[200, version] for mine in seen)
        eventually(lambda: sum(mine[200, version] for mine in seen) > now + 20, what=f"answers of version {version}")

    threads = [threading.Thread(target=send, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    try:
        traffic("1")
        begin(house, percent=20)
        traffic("2")
        ask(house, version="2", percent=80)
        traffic("2")
        assert ask(house, "/end").status_code == 200
        traffic("1")
        begin(house, percent=50)
        traffic("2")
        assert ask(house, "/promote", wait_seconds=20).status_code == 200
        traffic("2")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert {status for mine in seen for status, _ in mine} == {200}
    assert {version for mine in seen for _, version in mine} == {"1", "2"}


def test_it_begins_is_shared_promoted_and_ended(house: House) -> None:
    assert view(house) is None
    found = begin(house, percent=0)
    assert (found["state"], found["version"], found["before"], found["percent"]) == ("running", "2", "1", 0)
    assert found["comparison"]["findings"][0]["verdict"] == "too_few"
    assert [one["state"] for one in versions(house)["versions"]] == ["unknown", "unknown", "canary", "good"]
    assert ask(house, version="2", percent=100).get_json()["canary"]["percent"] == 100
    assert predict(house).get_json()["version"] == "2"
    ended = ask(house, "/end", reason="enough seen").get_json()["canary"]
    assert (ended["state"], ended["comparison"]["canary"]["requests"]) == ("ended", 1)
    begin(house, percent=50)
    answer = ask(house, "/promote", reason="better", wait_seconds=20)
    assert (answer.status_code, answer.get_json()["switch"]["state"]) == (200, "done")
    assert (versions(house)["serving"], view(house)["state"]) == ("2", "promoted")
    actions = [(action, detail.get("version"), detail.get("reason")) for _, action, detail in audit(house)]
    assert sorted(actions) == sorted(
        [
            ("model.canary", "2", ""),
            ("model.canary_share", "2", ""),
            ("model.canary_end", "2", "enough seen"),
            ("model.canary", "2", ""),
            ("model.promote", "2", "better"),
        ]
    )
    events = house.visitor().get("/api/events", headers=house.token("viewer")).get_json()["events"]
    assert {"Canary asked for", "Canary's share set", "Canary's end asked for", "Canary's promotion asked for"} <= {
        event["title"] for event in events
    }


def test_every_answer_names_the_version_that_made_it(house: House) -> None:
    assert predict(house).headers["X-Model-Version"] == "1"
    begin(house, percent=100)
    for version in ("1", "2"):
        answer = predict(house, X_Model_Version=version)
        assert (answer.headers["X-Model-Version"], answer.get_json()["result"]["version"]) == (version, int(version))
    failed = predict(house, "poison")
    assert (failed.status_code, failed.headers["X-Model-Version"]) == (500, "2")
    house.services.requests.flush()
    log = house.visitor().get("/api/requests", headers=house.token("viewer")).get_json()["requests"]
    assert [(one["version"], one["outcome"]) for one in log[:2]] == [("2", "error"), ("2", "ok")]
    meters = house.services.meters.registry
    for version, outcome, count in (("2", "error", 1), ("1", "error", 0), ("2", "ok", 1), ("1", "ok", 1)):
        labels = {"model": "echo", "version": version, "outcome": outcome}
        assert meters.get_sample_value("inference_requests_total", labels) == count, labels


def test_a_version_that_is_not_loaded_is_a_404_and_a_header_that_is_none_a_400(house: House) -> None:
    begin(house, percent=0)
    answer = predict(house, X_Model_Version="3")
    assert (answer.status_code, answer.get_json()["type"]) == (404, "urn:wakeless:problem:no-such-version")
    assert answer.get_json()["detail"] == "Version 3 is not loaded; 1 and 2 can be asked for."
    assert predict(house, X_Model_Version=" ").status_code == 400
    assert predict(house, X_Sticky_Key="x" * 201).status_code == 400


def test_a_sticky_key_stays_on_its_side(house: House) -> None:
    begin(house, percent=50)
    for key in ("anna", "bert", "cleo"):
        assert len({predict(house, f"word {n}", X_Sticky_Key=key).get_json()["version"] for n in range(8)}) == 1


def test_the_inference_protocol_reaches_both_by_path(house: House) -> None:
    assert infer(house, "/versions/2/infer").status_code == 404
    begin(house, percent=0)
    for path, version in (("/versions/2/infer", "2"), ("/versions/1/infer", "1"), ("/infer", "1")):
        answer = infer(house, path)
        assert answer.status_code == 200, answer.text
        assert (answer.get_json()["model_version"], answer.headers["X-Model-Version"]) == (version, version)
    visitor = house.visitor()
    assert visitor.get("/v2/models/echo").get_json()["versions"] == ["1", "2"]
    assert visitor.get("/v2/models/echo/versions/2/ready").status_code == 200
    assert visitor.get("/v2/models/echo/versions/2").status_code == 200
    assert visitor.get("/v2/models/echo/versions/3").status_code == 404
    index = visitor.post("/v2/repository/index").get_json()
    assert [(one["version"], one["state"]) for one in index] == [("1", "READY"), ("2", "READY")]
    ask(house, "/end")
    assert infer(house, "/versions/2/infer").status_code == 404


def test_what_cannot_be_a_canary_says_why(house: House) -> None:
    wrong = ask(house, version="3", wait_seconds=20)
    assert (wrong.status_code, wrong.get_json()["reason"]) == (409, "golden_failed: pair 1 of 1")
    other = ask(house, version="4", wait_seconds=20)
    assert other.status_code == 409
    assert other.get_json()["differs"] == ["no class cat any more", "a new class dog"]
    assert view(house)["state"] == "failed"
    assert predict(house).get_json()["version"] == "1"
    assert ask(house, version="4", force=True, wait_seconds=20).status_code == 200
    busy = switch(house, version="2")
    assert (busy.status_code, busy.get_json()["detail"]) == (409, "Version 4 is a canary now: promote or end it first.")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", {}, 422),
        ("", {"version": "2", "percent": 101}, 422),
        ("", {"version": "2", "percent": -1}, 422),
        ("", {"version": "2", "percent": "ten"}, 422),
        ("", {"version": "2", "colour": "red"}, 422),
        ("", {"version": "17"}, 404),
        ("", {"version": "../2"}, 404),
        ("", {"version": "1"}, 409),
        ("/promote", {}, 409),
        ("/end", {}, 409),
        ("/end", {"reason": 7}, 422),
    ],
)
def test_what_makes_no_sense_changes_nothing(house: House, path: str, body: dict[str, Any], status: int) -> None:
    assert ask(house, path, **body).status_code == status
    assert view(house) is None
    assert audit(house) == []


@pytest.mark.parametrize("share", ["NaN", "Infinity", "1e999"])
def test_a_share_is_a_number(house: House, share: str) -> None:
    body = f'{{"version": "2", "percent": {share}}}'
    headers = house.token("operator") | {"Content-Type": "application/json"}
    assert house.visitor().post("/api/model/canary", data=body, headers=headers).status_code in (400, 422)


def test_one_that_fails_is_an_incident_and_in_the_audit(house: House) -> None:
    begin(house, percent=100)
    statuses = [predict(house, "poison").status_code for _ in range(6)]
    assert statuses == [500] * 5 + [200], "the sixth is answered by the version that served all along"
    why = "failures: 100% of 5 requests failed, 0% in version 1"
    assert (view(house)["state"], view(house)["reason"]) == ("taken_out", why)
    rooms = house.services
    Chronicle(rooms.incidents, rooms.ledger, rooms.model.status, 0, rooms.model.remedies, rooms.audit).follow(2_000)
    found = house.visitor().get("/api/incidents", headers=house.token("viewer")).get_json()["incidents"]
    summary = f"the canary was taken out ({why}); that helped: version 1 answers alone"
    assert [(one["kind"], one["cause"], one["summary"]) for one in found] == [("remedy", "canary", summary)]
    detail = {"reason": why, "helped": True, "outcome": "version 1 answers alone"}
    assert ("wakeless", "model.canary_out", detail) in audit(house)
    history = house.visitor().get("/api/model/history", headers=house.token("viewer")).get_json()["history"]
    assert ("remedy", "canary", "end_canary", True) in [
        (one["kind"], one["cause"], one["action"], one["helped"]) for one in history
    ]


def test_only_operators_decide(house: House) -> None:
    for path in ("", "/promote", "/end"):
        answer = house.visitor().post(f"/api/model/canary{path}", json={"version": "2"}, headers=house.token("viewer"))
        assert answer.status_code == 403
