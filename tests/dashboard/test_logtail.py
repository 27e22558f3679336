"""Our own log through its API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.dashboard.house import House

SECRET = "hunter2hunter2"


def write(house: House, *lines: dict[str, Any]) -> None:
    with (house.data_dir / "wakeless.log").open("ab") as file:
        file.writelines(orjson.dumps(line) + b"\n" for line in lines)


def tail(house: House, query: str = "", role: str = "viewer") -> Any:
    answer = house.visitor().get(f"/api/logs/tail{query}", headers=house.token(role))
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.fixture
def logged(house: House) -> House:
    (house.data_dir / "wakeless.log").write_bytes(b"")
    write(
        house,
        {"event": "load_failed", "level": "error", "path": "/srv/models/a.pt", "peer": "10.0.0.7", "password": SECRET},
        {"event": "request", "level": "info", "request_id": "r1", "route": "/v2/models/<model>/infer"},
        {"event": "batch_failed", "level": "warning", "requests": ["r1", "r2"]},
        {"event": f"url was https://user:{SECRET}@example.com/x", "level": "info"},
    )
    return house


def events(house: House, query: str) -> list[str]:
    return [
        line["event"]
        for line in tail(house, query)["lines"]
        if line["event"] != "request" or line["request_id"] == "r1"
    ]


def test_lines_are_found_by_level_text_and_request(logged: House) -> None:
    assert events(logged, "?level=warning") == ["load_failed", "batch_failed"]
    assert events(logged, "?q=BATCH") == ["batch_failed"]
    assert events(logged, "?request_id=r1") == ["request", "batch_failed"]
    assert events(logged, "?request_id=r2") == ["batch_failed"]
    page = tail(logged, "?level=warning&limit=1")
    assert [line["event"] for line in page["lines"]] == ["batch_failed"]
    cursor = page["lines"][0]["cursor"]
    assert events(logged, f"?level=warning&before={cursor}") == ["load_failed"]
    assert not [one for one in events(logged, f"?after={cursor}") if one in ("load_failed", "batch_failed")]


def test_viewers_see_no_secrets_paths_and_addresses(logged: House) -> None:
    said = str(tail(logged))
    assert SECRET not in said
    assert "/srv/models" not in said
    assert "10.0.0.7" not in said
    assert "/v2/models/<model>/infer" in said
    operator = str(tail(logged, role="operator"))
    assert SECRET not in operator
    assert "/srv/models/a.pt" in operator


def test_nobody_finds_out_what_is_masked_by_looking_for_it(logged: House) -> None:
    assert events(logged, "?q=hunter2") == []
    assert events(logged, "?q=/srv/models") == []
    assert events(logged, "?q=10.0.0.7") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?level=loud", "level"),
        ("?limit=0", "limit"),
        ("?before=x", "before"),
        ("?after=x", "after"),
        ("?q=" + "x" * 201, "q"),
    ],
)
def test_what_is_asked_wrongly_is_named(calm: House, query: str, field: str) -> None:
    answer = calm.visitor().get(f"/api/logs/tail{query}", headers=calm.token("viewer"))
    assert (answer.status_code, answer.get_json()["field"]) == (422, field)
