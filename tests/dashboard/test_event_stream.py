"""``POST /predict`` with ``Accept: text/event-stream``: a result in steps."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from werkzeug.test import TestResponse

from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_predict import counted, entries
from tests.running import eventually

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def hosting(make_house: MakeHouse) -> House:
    """A house with a model that streams."""
    house = make_house(model={"path": "tests.dashboard.steps:Counter", "device": "cpu"})
    house.services.model.start()
    eventually(lambda: house.services.model.status().state in ("ready", "failed"), what="the load")
    return house


def ask(house: House, headers: dict[str, str] = EVENTS, **given: Any) -> TestResponse:
    return house.visitor().post("/predict", json=given, headers=headers)


def events(answer: TestResponse) -> list[tuple[str, Any]]:
    """Kind and data of each event, as a browser reads them; comments left out."""
    found = []
    for block in answer.get_data(as_text=True).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append((fields.get("event", "message"), orjson.loads(fields["data"])))
    return found


def test_each_step_is_an_event_and_the_last_one_tells_what_it_cost(hosting: House) -> None:
    answer = ask(hosting, EVENTS | {"X-Request-ID": "mine-1"}, to=2)
    assert (answer.status_code, answer.content_type) == (200, "text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    found = events(answer)
    assert found[:4] == [
        ("progress", {"done": 1, "total": 2}),
        ("message", {"at": 1, "text": ""}),
        ("progress", {"done": 2, "total": 2}),
        ("message", {"at": 2, "text": ""}),
    ]
    kind, done = found[4]
    timings = done.pop("timings")
    assert kind == "done"
    assert done == {"request_id": "mine-1", "model": "counter", "version": "1", "steps": 4}
    assert 0 <= timings["compute_seconds"] <= timings["total_seconds"]
    (entry,) = entries(hosting)
    assert (entry.request_id, entry.status, entry.outcome, entry.error) == ("mine-1", 200, "ok", None)
    assert counted(hosting, "ok") == 1


def test_a_failure_midway_is_an_event_with_the_problem_document(hosting: House) -> None:
    found = events(ask(hosting, to=3, fail=2))
    assert [kind for kind, _ in found] == ["progress", "message", "error"]
    problem = found[-1][1]
    assert (problem["type"], problem["status"]) == ("urn:wakeless:problem:inference-failed", 500)
    assert problem["reason"] == "ValueError: 2 is unlucky"
    assert problem["request_id"]
    (entry,) = entries(hosting)
    assert (entry.status, entry.outcome) == (500, "error")
    assert counted(hosting, "error") == 1


def test_a_failure_before_the_first_step_has_a_status_of_its_own(hosting: House) -> None:
    assert ask(hosting, to=3, fail=1).status_code == 500
    bad = ask(hosting, wrong=1)
    assert (bad.status_code, bad.get_json()["detail"]) == (422, "Say how far to count.")
    assert bad.headers["X-Model-Version"] == "1"
    eventually(lambda: hosting.services.model.status().streams_open == 0)
    assert (counted(hosting, "error"), counted(hosting, "bad_input")) == (1, 1)


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "application/json, text/event-stream", "text/event-stream;q=0.1, */*", ""]
)
def test_whoever_does_not_like_events_better_gets_one_document(hosting: House, accept: str) -> None:
    answer = ask(hosting, {"Accept": accept} if accept else {}, to=2)
    assert answer.content_type == "application/json"
    assert answer.get_json()["result"] == {"at": 2}


def test_a_model_without_a_stream_answers_406_with_a_sentence(make_house: MakeHouse) -> None:
    house = make_house(model={"path": "tests.dashboard.tiny:ByteMean", "device": "cpu"})
    house.services.model.start()
    eventually(lambda: house.services.model.status().state in ("ready", "failed"), what="the load")
    answer = ask(house, to=2)
    assert answer.status_code == 406
    assert answer.get_json()["type"] == "urn:wakeless:problem:not-acceptable"
    assert answer.get_json()["detail"] == "This model answers in one piece; it has no stream."
    assert entries(house)[0].outcome == "bad_input"


def test_a_reader_that_leaves_ends_the_stream(hosting: House) -> None:
    answer = hosting.app.test_client().post("/predict", json={"to": 1000}, headers=EVENTS, buffered=False)
    first = next(answer.iter_encoded())
    assert first.startswith(b"event: progress")
    answer.close()
    eventually(lambda: hosting.services.model.status().streams_open == 0)
    (entry,) = entries(hosting)
    assert (entry.outcome, entry.error) == ("canceled", "The caller hung up before the stream had ended.")
    assert counted(hosting, "canceled") == 1


def test_a_loading_model_refuses_a_stream_as_it_refuses_everything(make_house: MakeHouse) -> None:
    house = make_house(model={"enabled": False})
    answer = ask(house, to=2)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
