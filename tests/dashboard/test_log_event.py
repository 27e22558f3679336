"""What was found in logs, asked for over HTTP; patterns tried on pasted lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from dashboard.log_event import WEEK_MS
from dashboard.moment import now_ms
from storage.engine import open_database
from storage.record import expire_records
from storage.tables import LogEventRow
from targets.logfile.record import Wanted, search
from tests.dashboard.house import House


def event(**values: Any) -> dict[str, Any]:
    row = {"target": "comfy", "source": "x.log", "pattern": "Out of memory", "level": 3, "fingerprint": "0" * 16}
    row |= {
        "first_ms": 1000,
        "last_ms": 2000,
        "raised_ms": 1000,
        "count": 2,
        "text": "CUDA out of memory",
        "context": [],
    }
    return row | values


def put(database: Any, *rows: dict[str, Any]) -> None:
    with database.begin() as connection:
        connection.execute(insert(LogEventRow), list(rows))


def test_events_are_told_newest_first_and_narrowed_by_each_filter(house: House) -> None:
    now = now_ms()
    put(
        house.services.database,
        event(first_ms=now - 5000, last_ms=now - 1000, context=["Traceback"]),
        event(first_ms=now - 9000, last_ms=now - 2000, target="nginx", pattern="50% full", level=2, raised_ms=None),
        event(first_ms=now - 2 * WEEK_MS, last_ms=now - WEEK_MS - 1000),
    )
    client, headers = house.visitor(), house.token("viewer")

    def found(query: str) -> list[str]:
        said = client.get(f"/api/logs/events?{query}", headers=headers).get_json()
        return [one["target"] for one in said["events"]]

    (first, second) = client.get("/api/logs/events", headers=headers).get_json()["events"]
    assert (first["count"], first["raised"], first["context"]) == (2, True, ["Traceback"])
    assert (second["raised"], second["level"]) == (False, 2)
    assert found("target=nginx") == found("level=2") == found("pattern=50%25+full") == found("q=50%25") == ["nginx"]
    assert found("q=OUT+OF") == ["comfy", "nginx"]
    assert found("q=%25x") == []
    assert found(f"start={now - 3 * WEEK_MS}") == ["comfy", "nginx", "comfy"]
    assert found("limit=1") == ["comfy"]
    assert client.get("/api/logs/events?level=9", headers=headers).status_code == 422


def test_old_events_are_forgotten_and_no_others(tmp_path: Path) -> None:
    database = open_database(tmp_path / "wakeless.db")
    put(database, *(event(last_ms=at) for at in range(2000, 8000)), event(last_ms=1999))
    assert expire_records(database, 7999) == 6000
    assert [one["last_ms"] for one in search(database, Wanted(0, 10_000)).events] == [7999]
    database.dispose()


def test_patterns_are_tried_on_pasted_lines(calm: House) -> None:
    trace = "CUDA out of memory at /srv/x\nTraceback (most recent call last):\n  File x\n"
    lines = f"got prompt\n{trace}\nPrompt executed in 2.5 seconds"
    asked = {"profile": "comfyui", "patterns": [{"match": "got", "level": 1}], "lines": lines}
    answer = calm.visitor().post("/api/logs/try", json=asked, headers=calm.token("operator"))
    said = answer.get_json()
    assert [(one["line"], one["patterns"]) for one in said["entries"]] == [
        (1, ["got", "prompts"]),
        (2, ["Out of memory"]),
        (6, ["prompt duration"]),
    ]
    assert said["active"] == ["Out of memory", "got"]
    assert said["counts"]["Out of memory"] == 1
    assert {"name": "comfyui_prompt_duration_seconds_sum", "labels": {}, "value": 2.5} in said["series"]
    assert calm.visitor().get("/api/logs/events", headers=calm.token("viewer")).get_json()["events"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"patterns": [{"regex": "a("}], "lines": "a"}, "patterns.0: the regular expression 'a(' is not valid"),
        ({"patterns": [{"level": 3}], "lines": "a"}, "told by either match or regex"),
        ({"profile": "apache", "lines": "a"}, "'comfyui', 'vllm'"),
        ({"multiline": "[", "lines": "a"}, "multiline: "),
        ({"lines": "a" * 300_000}, "at most"),
        ({"command": "rm", "lines": "a"}, "command"),
        ({}, "lines"),
    ],
)
def test_what_cannot_be_tried_is_told(calm: House, body: dict[str, Any], said: str) -> None:
    answer = calm.visitor().post("/api/logs/try", json=body, headers=calm.token("operator"))
    assert answer.status_code == 422
    assert said in answer.get_json()["detail"]


def test_lines_of_any_kind_can_be_tried(calm: House) -> None:
    for lines in ("", "\n\n", "\x00\x1b[31m\ud800", "x" * 200_000):
        asked = {"profile": "nginx", "lines": lines.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
        assert calm.visitor().post("/api/logs/try", json=asked, headers=calm.token("operator")).status_code == 200
