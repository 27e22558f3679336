"""``POST /predict``: what comes in, what goes out, and what is refused before it costs anything."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.body import MAX_PARTS, UploadBudget
from dashboard.inference import BUDGET
from model.answer import Answer
from model.errors import (
    DeadlineExceeded,
    Draining,
    InferenceFailed,
    NotReady,
    OutOfMemory,
    QueueFull,
    Refusal,
)
from model.interface import BadInput
from model.terms import STANDARD, Terms
from storage.record import RequestEntry
from tests.dashboard.house import House, MakeHouse
from tests.running import eventually

LIMIT = 100_000
PART = b'--b\r\nContent-Disposition: form-data; name="file"'
ANSWER = Answer(b'{"class":"none"}', "none", "byte-mean", "7", "ok", 0.001, 0.002, 0.003, {"bytes": 3})


class Host:
    """Stands in for the model's host at the room's border: notes what it gets, answers as told."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, str, str]] = []
        self.outcome: Answer[bytes] | Exception = ANSWER

    def infer(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Answer[bytes]:
        self.bodies.append((body, content_type, request_id))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def small(make_house: MakeHouse) -> House:
    """A house that takes bodies of 100 kB."""
    return make_house(model={"enabled": False, "max_body_bytes": LIMIT})


@pytest.fixture
def host(small: House, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The stand-in, in place."""
    found = Host()
    monkeypatch.setattr(small.services.model, "infer", found.infer)
    return found


def upload(client: FlaskClient, **files: Any) -> TestResponse:
    """A multipart form."""
    return client.post("/predict", data=files, content_type="multipart/form-data")


def entries(house: House) -> list[RequestEntry]:
    """The request log, oldest first."""
    house.services.requests.flush()
    return house.services.requests.recent(100)[::-1]


def counted(house: House, outcome: str) -> float:
    """Requests counted with this outcome."""
    name = "inference_requests_total"
    found = [
        sample.value
        for family in house.services.meters.registry.collect()
        for sample in family.samples
        if sample.name == name and sample.labels["outcome"] == outcome
    ]
    return sum(found)


# --- the real thing ---------------------------------------------------------------------------------------------


@pytest.fixture
def hosting(make_house: MakeHouse) -> House:
    """A house with a tiny real model."""
    house = make_house(model={"path": "tests.dashboard.tiny:ByteMean", "device": "cpu", "max_body_bytes": LIMIT})
    house.services.model.start()
    eventually(lambda: house.services.model.status().state in ("ready", "failed"), what="the load")
    assert house.services.model.status().state == "ready", house.services.model.status().reason
    return house


def test_one_input_gives_one_result(hosting: House) -> None:
    client = hosting.visitor()
    answer = client.post("/predict", data=b"\x01\x03", content_type="image/png", headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 200
    document = answer.get_json()
    timings = document.pop("timings")
    assert document == {
        "request_id": "mine-1",
        "model": "byte-mean",
        "version": "7",
        "result": {"class": "low", "mean": 2.0, "bytes": 2, "type": "image/png"},
    }
    assert 0 < timings["compute_seconds"] <= timings["total_seconds"]
    assert timings["queue_seconds"] >= 0
    bad = upload(client, file=(io.BytesIO(b"bad"), "x.png", "image/png"))
    assert bad.status_code == 415
    assert bad.get_json()["type"] == "urn:wakeless:problem:bad-input"
    assert bad.get_json()["detail"] == "This is no picture of a card."
    good, refused = entries(hosting)
    assert (good.request_id, good.status, good.outcome, good.result_class) == ("mine-1", 200, "ok", "low")
    assert good.input == {"bytes": 2, "content_type": "image/png", "client": "Werkzeug"}
    assert (good.route, good.fingerprint) == ("/predict", None)
    assert refused.input == {"bytes": 3, "content_type": "image/png", "client": "Werkzeug"}
    assert (refused.route, refused.fingerprint) == ("/predict", "This is no picture of a card.")
    assert (refused.status, refused.outcome, refused.error) == (415, "bad_input", "This is no picture of a card.")
    assert (counted(hosting, "ok"), counted(hosting, "bad_input")) == (1, 1)
    page = client.get("/api/requests?outcome=ok", headers=hosting.token("viewer")).get_json()
    assert [entry["request_id"] for entry in page["requests"]] == ["mine-1"]


# --- what may be sent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["file", "image", "anything"])
def test_a_form_may_carry_the_file(small: House, host: Host, field: str) -> None:
    answer = upload(small.visitor(), **{field: (io.BytesIO(b"abc"), "a.jpg", "image/jpeg"), "note": "text"})
    assert answer.status_code == 200
    assert host.bodies[0][:2] == (b"abc", "image/jpeg")


def test_the_field_file_goes_before_image_and_others(small: House, host: Host) -> None:
    upload(
        small.visitor(),
        other=(io.BytesIO(b"o"), "o.jpg"),
        image=(io.BytesIO(b"i"), "i.jpg"),
        file=(io.BytesIO(b"f"), "f.jpg"),
    )
    assert host.bodies[0][0] == b"f"


def test_a_raw_body_is_taken_as_it_is(small: House, host: Host) -> None:
    small.visitor().post("/predict", data=b"abc", content_type="image/webp")
    small.visitor().post("/predict", data=b"def")
    assert [body[:2] for body in host.bodies] == [(b"abc", "image/webp"), (b"def", "application/octet-stream")]


def test_a_url_encoded_form_is_a_raw_body_as_well(small: House, host: Host) -> None:
    # curl --data-binary says so unless told otherwise; the first curl should work.
    small.visitor().post("/predict", data=b"\x89PNG&a=b", content_type="application/x-www-form-urlencoded")
    assert host.bodies[0][0] == b"\x89PNG&a=b"


def test_the_request_id_reaches_the_model_and_the_answer(small: House, host: Host) -> None:
    answer = small.visitor().post("/predict", data=b"x", headers={"X-Request-ID": "a.b-c_1"})
    assert host.bodies[0][2] == answer.get_json()["request_id"] == answer.headers["X-Request-ID"] == "a.b-c_1"


def test_timings_are_told_to_the_microsecond(small: House, host: Host) -> None:
    host.outcome = Answer(b'"x"', None, "m", "1", "ok", 0.1 + 0.2, 1.23456789e-5, 1 / 3, {})
    assert small.visitor().post("/predict", data=b"x").get_json()["timings"] == {
        "queue_seconds": 0.3,
        "compute_seconds": 0.000012,
        "total_seconds": 0.333333,
    }


def test_a_result_that_json_cannot_carry_is_the_models_fault_and_counted_so(hosting: House) -> None:
    answer = hosting.visitor().post("/predict", data=b"tensor")
    assert answer.status_code == 500
    assert answer.get_json()["type"] == "urn:wakeless:problem:inference-failed"
    assert "Tensor" in answer.get_json()["detail"]
    (entry,) = entries(hosting)
    assert (entry.status, entry.outcome) == (500, "error")
    assert (counted(hosting, "ok"), counted(hosting, "error")) == (0, 1)


# --- what is refused by the model -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "status", "retry"),
    [
        (QueueFull("64 requests wait already.", retry_after_seconds=2.6), 429, "3"),
        (NotReady("The model is loading.", reason="model_loading"), 503, "5"),
        (Draining("The server is stopping.", retry_after_seconds=0.1), 503, "1"),
        (DeadlineExceeded("Not in time."), 504, "5"),
        (OutOfMemory("Too large for the GPU."), 413, None),
        (InferenceFailed("The model raised."), 500, None),
    ],
)
def test_a_refusal_says_why_and_when_to_come_back(
    small: House, host: Host, refusal: Refusal, status: int, retry: str | None
) -> None:
    host.outcome = refusal
    answer = small.visitor().post("/predict", data=b"x")
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["type"] == f"urn:wakeless:problem:{refusal.type}"
    assert answer.get_json()["detail"] == refusal.detail
    assert answer.headers.get("Retry-After") == retry
    (entry,) = entries(small)
    assert (entry.status, entry.outcome, entry.error) == (status, refusal.outcome, refusal.detail)


def test_bad_input_keeps_the_status_that_the_model_chose(small: House, host: Host) -> None:
    host.outcome = BadInput("0 pixels wide.", 422)
    assert small.visitor().post("/predict", data=b"x").status_code == 422


# --- hostile bodies ---------------------------------------------------------------------------------------------


def chunked(data: bytes) -> dict[str, Any]:
    """Arguments for a body of unknown length, as gunicorn hands it over."""
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    return {"input_stream": io.BytesIO(data), "environ_overrides": environ}


def declared(length: int) -> dict[str, Any]:
    """A Content-Length, true or not."""
    return {"CONTENT_LENGTH": str(length)}


def test_a_declared_length_beyond_the_limit_is_refused_unread(small: House, host: Host) -> None:
    class Untouched(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("read")

        readinto = read  # type: ignore[assignment]

    answer = small.visitor().post("/predict", input_stream=Untouched(), environ_overrides=declared(LIMIT + 1))
    assert answer.status_code == 413
    assert answer.get_json()["max_bytes"] == LIMIT
    assert host.bodies == []
    assert counted(small, "bad_input") == 1
    assert entries(small)[0].status == 413


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT * 50])
def test_a_chunked_body_is_cut_off_at_the_limit(small: House, host: Host, size: int) -> None:
    arguments = chunked(b"x" * size)
    answer = small.visitor().post("/predict", **arguments)
    assert answer.status_code == 413
    assert arguments["input_stream"].tell() <= LIMIT + 1
    assert host.bodies == []


def test_a_body_of_just_the_limit_is_taken(small: House, host: Host) -> None:
    assert small.visitor().post("/predict", data=b"x" * LIMIT).status_code == 200
    assert small.visitor().post("/predict", **chunked(b"x" * LIMIT)).status_code == 200
    assert upload(small.visitor(), file=(io.BytesIO(b"x" * LIMIT), "a")).status_code == 200
    assert [len(body) for body, _, _ in host.bodies] == [LIMIT] * 3


def test_a_file_in_a_form_has_the_same_limit(small: House, host: Host) -> None:
    assert upload(small.visitor(), file=(io.BytesIO(b"x" * (LIMIT + 1)), "a")).status_code == 413
    assert upload(small.visitor(), file=(io.BytesIO(b"x" * (LIMIT * 3)), "a")).status_code == 413
    assert host.bodies == []


def test_nothing_is_spooled_to_disk(small: House, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", forbidden)
    monkeypatch.setattr("tempfile.TemporaryFile", forbidden)
    assert upload(small.visitor(), file=(io.BytesIO(b"x" * LIMIT), "a")).status_code == 200


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", "image/png"),
        (b"", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data; boundary=\u00e9"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
            "multipart/form-data; boundary=b",
        ),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (PART + b'; filename="a"\r\n\r\n\r\n--b--\r\n', "multipart/form-data; boundary=b"),
    ],
)
def test_a_body_without_an_input_in_it_is_malformed(small: House, host: Host, data: bytes, content_type: str) -> None:
    answer = small.visitor().post("/predict", data=data, content_type=content_type)
    assert answer.status_code == 400, answer.text
    assert answer.mimetype == "application/problem+json"
    assert host.bodies == []


def test_several_files_are_too_many(small: House, host: Host) -> None:
    answer = upload(small.visitor(), a=(io.BytesIO(b"a"), "a"), b=(io.BytesIO(b"b"), "b"))
    assert answer.status_code == 400
    assert "2 files" in answer.get_json()["detail"]


def test_a_form_of_a_thousand_parts_is_refused(small: House, host: Host) -> None:
    parts = {f"f{number}": (io.BytesIO(b""), "x") for number in range(MAX_PARTS + 1)}
    assert upload(small.visitor(), **parts).status_code == 413


def test_a_text_field_cannot_grow(small: House, host: Host) -> None:
    assert upload(small.visitor(), note="x" * 300_000, file=(io.BytesIO(b"a"), "a")).status_code == 413


@pytest.mark.parametrize("server", [{}, {"wsgi.input_terminated": True}])
def test_a_body_that_ends_early_is_malformed(small: House, host: Host, server: dict[str, Any]) -> None:
    environ = declared(10) | server
    answer = small.visitor().post("/predict", input_stream=io.BytesIO(b"abc"), environ_overrides=environ)
    assert answer.status_code == 400
    assert host.bodies == []


# --- all uploads together ---------------------------------------------------------------------------------------


def test_uploads_share_a_budget(small: House, host: Host) -> None:
    budget = small.app.extensions[BUDGET] = UploadBudget(150_000)
    with budget.reading() as other:
        other.take(100_000)
        answer = small.visitor().post("/predict", data=b"x" * 60_000)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
        assert budget.held == 100_000
        assert small.visitor().post("/predict", data=b"x" * 40_000).status_code == 200
    assert budget.held == 0
    assert small.visitor().post("/predict", data=b"x" * 60_000).status_code == 200
    assert counted(small, "rejected") == 1


@pytest.mark.parametrize("failure", [QueueFull("full"), BadInput("bad"), RuntimeError("bug")])
def test_every_ending_gives_its_share_back(small: House, host: Host, failure: Exception) -> None:
    host.outcome = failure
    small.visitor().post("/predict", data=b"x" * 1000)
    assert small.app.extensions[BUDGET].held == 0
