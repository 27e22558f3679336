"""Answers that are not simply the model's say so: in the document, in headers, in the log and in the metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from werkzeug.test import TestResponse

from model.brownout import Brownout
from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_event_stream import EVENTS, events
from tests.dashboard.test_oip import LABEL, X
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


# --- the Open Inference Protocol ---------------------------------------------------------------------------------


def infer(house: House, first: float = 1.0, **members: Any) -> TestResponse:
    """A request of two rows, the second of which begins with ``first``."""
    x = X | {"data": [[1, 2, 3], [first, 0, 0.5]]}
    return house.visitor().post("/v2/models/scale/infer", json={"inputs": [x, LABEL]} | members)


UNLUCKY = "tests.dashboard.yielding:Unlucky"


def test_a_request_of_tensors_has_its_fallback_and_says_so_in_headers_and_parameters(hosting: Hosting) -> None:
    house = hosting(UNLUCKY, breaker_requests=0)
    answer = infer(house, 13, id="42")
    assert answer.status_code == 200, answer.text
    document = answer.get_json()
    assert document["id"] == "42"
    assert document["parameters"] == {"degraded": "fallback", "reason": "ZeroDivisionError: unlucky"}
    y, _, _, label = document["outputs"]
    assert (y["shape"], y["data"], label["data"]) == ([2, 3], [0.0] * 6, ["a", "b"])
    assert answer.headers["X-Degraded"] == "fallback"
    assert infer(house, 14).status_code == 500, "all rows or none"
    assert [(entry.outcome, entry.error) for entry in entries(house)] == [
        ("fallback", "ZeroDivisionError: unlucky"),
        ("error", "The model failed on this input."),
    ]
    assert (counted(house, "fallback"), counted(house, "error")) == (1, 1)
    assert "parameters" not in infer(house).get_json()


def test_an_open_breaker_is_answered_by_the_fallback_of_the_same_tensors(hosting: Hosting) -> None:
    house = hosting(UNLUCKY)
    assert [infer(house, 14).status_code for _ in range(2)] == [500, 500]
    document = infer(house, 1).get_json()
    assert document["parameters"]["reason"] == "breaker_open: 100% of 2 requests failed"
    assert infer(house, 14).status_code == 503


def test_equal_tensors_are_answered_from_the_cache_whatever_their_requests_are_called(hosting: Hosting) -> None:
    house = hosting(UNLUCKY, cache_bytes=1_000_000)
    first, second = infer(house, id="1"), infer(house, id="2", parameters={"priority": 1, "timeout": 9_000_000})
    assert [answer.get_json()["parameters"]["cache"] for answer in (first, second)] == ["miss", "hit"]
    assert [answer.headers["X-Cache"] for answer in (first, second)] == ["miss", "hit"]
    assert (second.get_json()["id"], second.get_json()["outputs"]) == ("2", first.get_json()["outputs"])
    other = infer(house, 2)
    assert other.headers["X-Cache"] == "miss"
    fewer = infer(house, outputs=[{"name": "y"}])
    assert (fewer.headers["X-Cache"], len(fewer.get_json()["outputs"])) == ("miss", 1)
    assert [entry.outcome for entry in entries(house)] == ["ok", "cached", "ok", "ok"]


def test_lighter_tensors_say_so_and_are_not_kept(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> None:
    house = hosting(UNLUCKY, cache_bytes=1_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(Brownout, "level", lambda _: 0.5)
        answer = infer(house)
    document = answer.get_json()
    assert document["outputs"][0]["data"] == [1, 2, 3, 1, 0, 0.5], "half of what it would be"
    assert document["parameters"] == {"brownout": 0.5, "cache": "miss"}
    assert (answer.headers["X-Brownout"], answer.headers["X-Cache"]) == ("0.5", "miss")
    assert infer(house).get_json()["parameters"] == {"cache": "miss"}


def test_bytes_come_from_the_cache_as_they_were(hosting: Hosting) -> None:
    house = hosting(UNLUCKY, cache_bytes=1_000_000)
    asked: dict[str, Any] = {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    answers = [infer(house, **asked) for _ in range(2)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit"]
    for answer in answers:
        length = int(answer.headers["Inference-Header-Content-Length"])
        assert orjson.loads(answer.data[:length])["outputs"][0]["parameters"] == {"binary_data_size": 24}
        assert np.frombuffer(answer.data[length:], "<f4").tolist() == [2, 4, 6, 2, 0, 1]


def test_what_predict_was_asked_is_another_question(hosting: Hosting) -> None:
    house = hosting(cache_bytes=1_000_000)
    body = {"inputs": [{"name": "input", "shape": [1], "datatype": "BYTES", "data": ["\x01\x03"]}]}
    assert send(house).headers["X-Cache"] == "miss"
    assert house.visitor().post("/v2/models/byte-mean/infer", json=body).headers["X-Cache"] == "miss"


def test_a_request_of_bodies_has_the_old_answer_and_then_the_default_for_each(hosting: Hosting) -> None:
    house = hosting(
        "tests.dashboard.yielding:Silent", default_reply='{"class": "later"}', cache_bytes=1_000_000, cache_seconds=1e-9
    )

    def ask(*bodies: str) -> TestResponse:
        tensor = {"name": "input", "shape": [len(bodies)], "datatype": "BYTES", "data": bodies}
        return house.visitor().post("/v2/models/byte-mean/infer", json={"inputs": [tensor]})

    known = ask("a", "b").get_json()["outputs"]
    Yielding.broken = True
    old, new = ask("a", "b").get_json(), ask("c", "d", "e").get_json()
    assert (old["outputs"], old["parameters"]["degraded"]) == (known, "stale")
    assert (new["outputs"][0]["data"], new["parameters"]["degraded"]) == (['{"class": "later"}'] * 3, "default")
    assert ask("f").get_json()["parameters"]["reason"] == "breaker_open: 50% of 2 requests failed"


# --- streams -----------------------------------------------------------------------------------------------------


def test_a_stream_that_fails_before_its_result_is_one_event_that_says_what_it_is(hosting: Hosting) -> None:
    house = hosting("tests.dashboard.yielding:Patient", breaker_requests=1)
    answer = house.visitor().post("/predict", json={"to": 3}, headers=EVENTS)
    assert (answer.status_code, answer.headers["X-Degraded"]) == (200, "fallback")
    (kind, given), (last, done) = events(answer)
    assert (kind, last) == ("degraded", "done")
    assert given == {"result": {"at": 0, "of": 3}, "degraded": "fallback", "reason": "ValueError: 1 is unlucky"}
    assert (done["steps"], done["degraded"], done["reason"]) == (0, "fallback", "ValueError: 1 is unlucky")
    again = events(house.visitor().post("/predict", json={"to": 3}, headers=EVENTS))
    assert again[0][1]["reason"] == "breaker_open: 100% of 1 requests failed"
    assert [(entry.status, entry.outcome) for entry in entries(house)] == [(200, "fallback")] * 2
    assert entries(house)[1].error == "breaker_open: 100% of 1 requests failed"
    assert (counted(house, "fallback"), counted(house, "error")) == (2, 0)
