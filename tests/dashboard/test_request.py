"""The request log through its API."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from dashboard.caller import client_of, kind_of
from dashboard.moment import now_ms
from storage.record import RequestEntry
from tests.dashboard.house import House


def note(house: House, number: int, outcome: str = "ok", **more: Any) -> None:
    given: dict[str, Any] = {
        "request_id": f"r{number}",
        "time_ms": now_ms() - 60_000 + number,
        "status": 200,
        "outcome": outcome,
        "model": "card",
        "version": "1",
        "total_seconds": number / 10,
        "route": "/predict",
    }
    house.services.requests.add(RequestEntry(**(given | more)))


def get(house: House, path: str) -> Any:
    answer = house.visitor().get(f"/api/requests{path}", headers=house.token("viewer"))
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_requests_come_a_page_at_a_time(house: House) -> None:
    for number in range(1, 6):
        note(house, number)
    house.services.requests.flush()
    first = get(house, "?limit=2")
    assert ([one["request_id"] for one in first["requests"]], first["more"]) == (["r5", "r4"], True)
    second = get(house, f"?limit=2&before={first['next']}")
    assert [one["request_id"] for one in second["requests"]] == ["r3", "r2"]
    last = get(house, f"?limit=2&before={second['next']}")
    assert ([one["request_id"] for one in last["requests"]], last["more"], last["next"]) == (["r1"], False, None)


def test_requests_are_found_by_what_is_known_of_them(house: House) -> None:
    note(house, 1, "error", error="No layer 7", result_class=None)
    note(house, 2, result_class="id_card", route="/v2/models/<model>/infer")
    note(house, 30)
    house.services.requests.flush()

    def ids(query: str) -> list[str]:
        return [one["request_id"] for one in get(house, f"?{query}")["requests"]]

    assert ids("outcome=error") == ids("q=LAYER") == ids("fingerprint=No layer <n>") == ["r1"]
    assert ids("class=id_card") == ids("route=/v2/models/<model>/infer") == ["r2"]
    assert ids("min_seconds=2.5") == ["r30"]
    assert ids("request_id=r2") == ids("id=r2") == ["r2"]
    assert ids("end=2020-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?outcome=great", "outcome"),
        ("?min_seconds=-1", "min_seconds"),
        ("?min_seconds=nan", "min_seconds"),
        ("?before=now", "before"),
        ("?q=" + "x" * 501, "q"),
        ("/errors?start=2&end=1", "start"),
        ("/summary?tz=Mars/Olympus", "tz"),
        ("/summary?tz=../../etc/passwd", "tz"),
    ],
)
def test_what_is_asked_wrongly_is_named(calm: House, query: str, field: str) -> None:
    answer = calm.visitor().get(f"/api/requests{query}", headers=calm.token("viewer"))
    assert (answer.status_code, answer.get_json()["field"]) == (422, field)


def test_errors_are_grouped_and_what_failing_inputs_share_is_told(house: House) -> None:
    for number in range(1, 41):
        note(house, number, input={"format": "JPEG"})
    for number in range(41, 61):
        note(house, number, "error", error=f"No layer {number}", input={"format": "WEBP"})
    house.services.requests.flush()
    (group,) = get(house, "/errors")["groups"]
    assert (group["fingerprint"], group["count"], len(group["example_ids"])) == ("No layer <n>", 20, 5)
    for query in ("", "?fingerprint=No layer <n>"):
        found = get(house, f"/common{query}")
        assert (found["failing"], found["good"]) == (20, 40)
        assert (found["traits"][0]["value"], found["traits"][0]["significant"]) == ("WEBP", True)
    assert get(house, "/common?fingerprint=other")["traits"] == []


def test_the_summary_says_how_requests_have_gone(house: House) -> None:
    for number in range(1, 21):
        note(house, number, "ok" if number < 20 else "timeout", result_class="id_card" if number < 10 else None)
    house.services.requests.flush()
    found = get(house, "/summary?tz=Asia/Shanghai")
    assert (found["count"], found["sampled"], found["ok_share"]) == (20, 1, 0.95)
    assert (found["mean"], found["p95"], found["max"]) == (pytest.approx(1.05), 1.9, 2.0)
    assert (found["classes"], found["outcomes"]) == ({"id_card": 9}, {"ok": 19, "timeout": 1})
    assert sum(hour["count"] for hour in found["busiest_hours"]) == 20
    assert found["slowest"][0]["request_id"] == "r20"
    empty = get(house, "/summary?end=2020-01-01T00:00:00Z")
    assert (empty["count"], empty["ok_share"], empty["p95"], empty["slowest"]) == (0, None, None, [])


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (None, "none"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.31 (host 10.0.0.7)", "python-requests"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36", "Chrome"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0", "Edge"),
        ("Mozilla/5.0 (compatible; Thing/1.0)", "browser"),
        ("10.0.0.7", "other"),
        ("a" * 300, "a" * 40),
    ],
)
def test_of_a_caller_the_family_is_kept(agent: str | None, family: str) -> None:
    assert client_of(agent) == family


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("image/JPEG; name=secret.jpg", "image/jpeg"),
        ("", "none"),
        ("nonsense", "other"),
        ("application/vnd.x+json", "application/vnd.x+json"),
    ],
)
def test_of_a_content_type_the_type_is_kept(given: str, kept: str) -> None:
    assert kind_of(given) == kept


def test_requests_come_as_a_file(house: House) -> None:
    note(house, 1, "error", error='=HYPERLINK("x"), y', input={"width": 3})
    note(house, 2)
    house.services.requests.flush()
    answer = house.visitor().get("/api/requests.csv", headers=house.token("viewer"))
    head, second, first = list(csv.reader(io.StringIO(answer.text)))
    assert answer.headers["Content-Disposition"].endswith('"wakeless_requests.csv"')
    one = dict(zip(head, first, strict=True))
    assert (one["request_id"], one["error"], one["input"]) == ("r1", '\'=HYPERLINK("x"), y', '{"width":3}')
    assert dict(zip(head, second, strict=True))["request_id"] == "r2"
