"""Answers that are not simply the model's say so: in the document, in headers, in the log and in the metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_predict import counted, entries
from tests.dashboard.yielding import Yielding
from tests.running import eventually

Hosting = Callable[..., House]


@pytest.fixture
def hosting(make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> Hosting:
    """A house with a model that fails once ``Yielding.broken`` is set."""
    monkeypatch.setattr(Yielding, "broken", False)

    def make(path: str = "tests.dashboard.yielding:Yielding", **model: object) -> House:
        house = make_house(model={"path": path, "device": "cpu", "breaker_requests": 2, "heal_seconds": 0} | model)
        house.services.model.start()
        eventually(lambda: house.services.model.status().state in ("ready", "failed"), what="the load")
        return house

    return make


def send(house: House, data: bytes = b"\x01\x03") -> TestResponse:
    return house.visitor().post("/predict", data=data, content_type="image/png")


def test_a_fallback_is_marked_everywhere(hosting: Hosting) -> None:
    house = hosting()
    Yielding.broken = True
    answer = send(house)
    assert answer.status_code == 200
    document = answer.get_json()
    assert document["result"] == {"class": "unknown", "bytes": 2}
    assert (document["degraded"], document["reason"]) == ("fallback", "ZeroDivisionError: every input fails")
    assert answer.headers["X-Degraded"] == "fallback"
    send(house)
    assert send(house).get_json()["reason"] == "breaker_open: 100% of 2 requests failed"
    log = entries(house)
    assert [(entry.status, entry.outcome) for entry in log] == [(200, "fallback")] * 3
    assert log[2].error == "breaker_open: 100% of 2 requests failed"
    assert (counted(house, "fallback"), counted(house, "error")) == (3, 0)
    page = house.visitor().get("/api/requests?outcome=fallback", headers=house.token("viewer")).get_json()
    assert len(page["requests"]) == 3


def test_an_open_breaker_without_a_stand_in_is_a_503_and_not_ready(hosting: Hosting) -> None:
    house = hosting("tests.dashboard.yielding:Silent")
    Yielding.broken = True
    assert [send(house).status_code for _ in range(2)] == [500, 500]
    answer = send(house)
    assert (answer.status_code, answer.get_json()["type"]) == (503, "urn:wakeless:problem:breaker-open")
    assert answer.headers["Retry-After"] == "10"
    assert answer.get_json()["reason"] == "breaker_open: 100% of 2 requests failed"
    ready = house.visitor().get("/health/ready")
    assert (ready.status_code, ready.get_json()["reason"]) == (503, "breaker_open: 100% of 2 requests failed")
    assert house.visitor().get("/health/live").status_code == 200
    assert house.visitor().get("/health").get_json()["checks"]["model"] is False
    status = house.visitor().get("/api/model", headers=house.token("viewer")).get_json()
    assert (status["status"]["breaker"], status["remedies"]) == ("open", [])


def test_the_cache_says_hit_or_miss_and_nothing_where_there_is_none(hosting: Hosting) -> None:
    house = hosting(cache_bytes=1_000_000, cache_seconds=1e-9)
    assert send(house).headers["X-Cache"] == "miss"
    Yielding.broken = True
    assert send(house).headers["X-Degraded"] == "fallback", "the model's own fallback comes before an old answer"
    kept = hosting(cache_bytes=1_000_000)
    Yielding.broken = False
    assert [send(kept).headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    assert [entry.outcome for entry in entries(kept)] == ["ok", "cached"]
    assert "X-Cache" not in send(hosting()).headers


def test_the_default_reply_is_the_last_resort(hosting: Hosting) -> None:
    house = hosting("tests.dashboard.yielding:Silent", default_reply='{"class": "later"}')
    Yielding.broken = True
    document = send(house).get_json()
    assert (document["result"], document["degraded"]) == ({"class": "later"}, "default")
