"""The Open Inference Protocol's doors: who answers, what a model takes, and inference in the protocol's own words."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import VERSION
from model.errors import InferenceFailed, QueueFull
from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_predict import counted, entries
from tests.running import eventually

LIMIT = 100_000
INFER = "/v2/models/scale/infer"
X = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2, 3], [-4, 0, 0.5]]}
LABEL = {"name": "label", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}


def hosting(make_house: MakeHouse, path: str, **model: Any) -> House:
    """A house with a real model, loaded."""
    house = make_house(model={"path": path, "device": "cpu", "max_body_bytes": LIMIT, **model})
    house.services.model.start()
    eventually(lambda: house.services.model.status().state in ("ready", "failed"), what="the load")
    assert house.services.model.status().state == "ready", house.services.model.status().reason
    return house


@pytest.fixture
def scale(make_house: MakeHouse) -> House:
    """A house with a model of tensors."""
    return hosting(make_house, "tests.dashboard.tiny:Scale", queue_size=4)


def infer(
    client: FlaskClient, path: str = INFER, headers: dict[str, str] | None = None, **members: Any
) -> TestResponse:
    """A request for ``scale``, changed as told."""
    document = {"inputs": [X, LABEL]} | members
    return client.post(path, data=orjson.dumps(document), content_type="application/json", headers=headers)


def error(answer: TestResponse) -> str:
    """The one text of an error answer."""
    assert list(answer.get_json()) == ["error"]
    return str(answer.get_json()["error"])


# --- who answers ------------------------------------------------------------------------------------------------


def test_the_server_says_who_it_is(calm: House) -> None:
    found = calm.visitor().get("/v2").get_json()
    extensions = ["binary_tensor_data", "parameters", "schedule_policy"]
    assert found == {"name": "wakeless", "version": VERSION, "extensions": extensions}


def test_without_a_model_it_is_alive_and_not_ready(calm: House) -> None:
    client = calm.visitor()
    assert client.get("/v2/health/live").get_json() == {"live": True}
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False})
    assert int(answer.headers["Retry-After"]) >= 1
    for path in ("/v2/models/scale", "/v2/models/scale/ready", "/v2/models/scale/versions/3"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert "loaded" in error(answer)
    assert client.post("/v2/repository/index").get_json() == []
    assert client.post(INFER, data=b"{}").status_code == 503


def test_the_model_says_what_it_takes_and_gives(scale: House) -> None:
    client = scale.visitor()
    found = client.get("/v2/models/scale").get_json()
    assert client.get("/v2/models/scale/versions/3").get_json() == found
    assert (found["name"], found["versions"]) == ("scale", ["3"])
    assert found["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "label", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert [output["datatype"] for output in found["outputs"]] == ["FP32", "BF16", "BOOL", "BYTES"]
    answer = client.get("/v2/models/scale/versions/3/ready")
    assert (answer.status_code, answer.get_json()) == (200, {"name": "scale", "ready": True})


def test_the_index_lists_the_one_model(scale: House) -> None:
    client = scale.visitor()
    entry = {"name": "scale", "version": "3", "state": "READY", "reason": ""}
    assert client.post("/v2/repository/index").get_json() == [entry]
    assert client.post("/v2/repository/index", json={"ready": True}).get_json() == [entry]
    assert client.post("/v2/repository/index", data=b"{").status_code == 400


@pytest.mark.parametrize("rest", ["", "/ready", "/versions/3", "/versions/3/ready"])
def test_another_name_or_version_is_not_found(scale: House, rest: str) -> None:
    client = scale.visitor()
    assert "hosts scale" in error(client.get(f"/v2/models/other{rest}"))
    assert client.get(f"/v2/models/other{rest}").status_code == 404
    assert client.get(f"/v2/models/scale{rest.replace('3', '4')}").status_code == (404 if "3" in rest else 200)
    assert infer(client, "/v2/models/scale/versions/4/infer").status_code == 404


def test_errors_everywhere_have_the_protocols_form(scale: House) -> None:
    client = scale.visitor()
    assert client.get("/v2/nothing").status_code == 404
    assert error(client.get("/v2/nothing"))
    assert client.get(INFER).status_code == 405
    assert error(client.get(INFER))
    stranger = client.post(INFER, headers={"X-Forwarded-For": "203.0.113.9"})
    assert stranger.status_code == 401
    assert "token create" in error(stranger)


# --- inference --------------------------------------------------------------------------------------------------


def test_rows_go_in_and_come_out(scale: House) -> None:
    answer = infer(scale.visitor(), id="42", headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 200, answer.text
    document = answer.get_json()
    assert (document["model_name"], document["model_version"], document["id"]) == ("scale", "3", "42")
    y, half, positive, label = document["outputs"]
    assert y == {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [2, 4, 6, -8, 0, 1]}
    assert half["data"] == [0.5, 1, 1.5, -2, 0, 0.25]
    assert positive == {"name": "positive", "datatype": "BOOL", "shape": [2], "data": [True, False]}
    assert label["data"] == ["a", "b"]
    (entry,) = entries(scale)
    assert (entry.request_id, entry.status, entry.outcome, entry.model) == ("mine-1", 200, "ok", "scale")
    assert entry.input.pop("bytes") > 100
    assert entry.input == {"inputs": 2, "content_type": "application/json", "client": "Werkzeug"}
    assert entry.route == "/v2/models/<model>/infer"
    assert counted(scale, "ok") == 1


def test_the_same_model_answers_predict_in_json(scale: House) -> None:
    answer = scale.visitor().post("/predict", json=[1, 2, 3])
    assert answer.status_code == 200, answer.text
    result = answer.get_json()["result"]
    assert (result["y"], result["label"], result["positive"], result["class"]) == ([2, 4, 6], "json", True, "positive")


def test_a_request_of_one_input_counts_its_class(scale: House) -> None:
    one = [X | {"shape": [1, 3], "data": [1, 2, 3]}, LABEL | {"shape": [1, 1], "data": ["a"]}]
    assert infer(scale.visitor(), inputs=one).status_code == 200
    assert entries(scale)[0].result_class == "positive"


def test_bytes_go_in_and_come_out_packed_or_not(scale: House) -> None:
    x = np.array([[1, 2, 3]], "<f4").tobytes()
    document = orjson.dumps(
        {
            "inputs": [
                {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}},
                {"name": "label", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
            ],
            "outputs": [{"name": "label"}, {"name": "y", "parameters": {"binary_data": True}}],
            "parameters": {"binary_data_output": True},
        }
    )
    body = document + x + b"\2\0\0\0\xff\0"
    headers = {"Inference-Header-Content-Length": str(len(document))}
    for packing, packed in (("identity", body), ("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        answer = scale.visitor().post(INFER, data=packed, headers=headers | {"Content-Encoding": packing})
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "application/octet-stream"
        length = int(answer.headers["Inference-Header-Content-Length"])
        outputs = orjson.loads(answer.data[:length])["outputs"]
        assert [output["parameters"]["binary_data_size"] for output in outputs] == [6, 12]
        assert answer.data[length : length + 6] == b"\2\0\0\0\xff\0"
        assert np.frombuffer(answer.data[length + 6 :], "<f4").tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("packing", "body", "status", "word"),
    [
        ("gzip", b"plain", 400, "not compressed"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], 400, "too early"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"x", 400, "after its end"),
        ("gzip", gzip.compress(b"[" * (LIMIT + 1), mtime=0), 413, "larger"),
        ("deflate", gzip.compress(b"{}", mtime=0), 400, "not compressed"),
        ("br", b"{}", 415, "gzip or deflate"),
        ("gzip, gzip", b"{}", 415, "once"),
        ("identity", b"", 400, "Inference-Header-Content-Length"),
        ("identity", b"\xff", 400, "JSON"),
        ("identity", b" " * (LIMIT + 1), 413, "larger"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_recorded(
    scale: House, packing: str, body: bytes, status: int, word: str
) -> None:
    answer = scale.visitor().post(INFER, data=body, headers={"Content-Encoding": packing})
    assert answer.status_code == status
    assert word in error(answer)
    (entry,) = entries(scale)
    assert (entry.status, entry.outcome) == (status, "bad_input")
    assert counted(scale, "bad_input") == 1


def test_a_bomb_leaves_nothing_taken_of_the_budget(scale: House) -> None:
    budget = scale.app.extensions["wakeless.uploads"]
    scale.visitor().post(INFER, data=gzip.compress(bytes(10 * LIMIT)), headers={"Content-Encoding": "gzip"})
    assert budget.held == 0


def test_more_rows_than_the_queue_has_places_are_refused_before_they_are_looked_at(scale: House) -> None:
    five = [X | {"shape": [5, 3], "data": "nonsense"}, LABEL]
    answer = infer(scale.visitor(), inputs=five)
    assert answer.status_code == 413
    assert "1 to 4 inputs, not 5" in error(answer)


@pytest.mark.parametrize(
    ("refusal", "status", "outcome", "retry"),
    [
        (QueueFull("64 requests wait.", reason="queue_full", retry_after_seconds=2.6), 429, "rejected", "3"),
        (InferenceFailed("The model failed.", reason="RuntimeError: x"), 500, "error", None),
    ],
)
def test_a_refusal_keeps_its_status_and_when_to_come_back(
    scale: House, monkeypatch: pytest.MonkeyPatch, refusal: Exception, status: int, outcome: str, retry: str | None
) -> None:
    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(scale.services.model, "exchange", refuse)
    answer = infer(scale.visitor())
    assert answer.status_code == status
    assert str(refusal) in error(answer)
    assert answer.headers.get("Retry-After") == retry
    assert entries(scale)[0].outcome == outcome


def test_large_answers_are_packed_for_callers_elsewhere(make_house: MakeHouse) -> None:
    house = hosting(make_house, "tests.dashboard.tiny:Scale", queue_size=100)
    many = [X | {"shape": [90, 3], "data": [1] * 270}, LABEL | {"shape": [90, 1], "data": ["a"] * 90}]
    away = {"Accept-Encoding": "gzip", "X-Forwarded-For": "203.0.113.9"} | house.token("viewer")
    answer = infer(house.visitor(), inputs=many, headers=away)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(orjson.loads(gzip.decompress(answer.data))["outputs"][0]["data"]) == 270
    assert "Content-Encoding" not in infer(house.visitor(), inputs=many, headers={"Accept-Encoding": "gzip"}).headers


def test_requests_as_kserves_own_client_writes_them_are_understood(scale: House) -> None:
    """Its document names the model and always has an id; what is sent as bytes is counted in a header in lower case."""
    x = np.array([[1, 2, 3]], "<f4").tobytes()
    document = orjson.dumps(
        {
            "id": "5f0c8ad8-39a6-4ab2-9d7e-0f4f7c4c1c55",
            "model_name": "scale",
            "inputs": [
                {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}},
                {"name": "label", "shape": [1, 1], "datatype": "BYTES", "data": ["a"]},
            ],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}, {"name": "label"}],
        }
    )
    headers = {"inference-header-content-length": str(len(document)), "content-type": "application/octet-stream"}
    answer = scale.visitor().post(INFER, data=document + x, headers=headers)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    found = orjson.loads(answer.data[:length])
    assert (found["id"], found["model_name"]) == ("5f0c8ad8-39a6-4ab2-9d7e-0f4f7c4c1c55", "scale")
    assert np.frombuffer(answer.data[length:], "<f4").tolist() == [2, 4, 6]
    refused = scale.visitor().post(INFER, data=b"{}", headers={"content-type": "application/json"})
    assert refused.headers["Content-Type"] == "application/json", "it looks for exactly that, to show the error"


# --- a model that knows nothing of tensors ----------------------------------------------------------------------


@pytest.fixture
def bodies(make_house: MakeHouse) -> House:
    """A house whose model only has ``decode`` and ``encode``."""
    return hosting(make_house, "tests.dashboard.tiny:ByteMean")


def elements(*texts: str, **members: Any) -> dict[str, Any]:
    """A request of bodies."""
    return {"inputs": [{"name": "input", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]} | members


def test_any_model_takes_bodies_as_bytes_and_gives_results_as_json(bodies: House) -> None:
    client = bodies.visitor()
    found = client.get("/v2/models/byte-mean").get_json()
    assert found["inputs"] == [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
    assert found["outputs"] == [{"name": "output", "datatype": "BYTES", "shape": [-1]}]
    request = elements("\1\3", "zz", parameters={"content_type": "image/png"})
    answer = client.post("/v2/models/byte-mean/infer", json=request)
    assert answer.status_code == 200, answer.text
    low, high = (orjson.loads(text) for text in answer.get_json()["outputs"][0]["data"])
    assert low == {"class": "low", "mean": 2.0, "bytes": 2, "type": "image/png"}
    assert high["class"] == "high"


@pytest.mark.parametrize(
    ("parameters", "status"), [({"priority": 1}, 200), ({"priority": 3}, 200), ({"timeout": 1}, 504)]
)
def test_priority_and_timeout_hold_for_every_row(bodies: House, parameters: dict[str, Any], status: int) -> None:
    answer = bodies.visitor().post("/v2/models/byte-mean/infer", json=elements("a", "b", parameters=parameters))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Priority": "low"}, 200), ({"X-Priority": "3"}, 400), ({"X-Request-Timeout": "0.000001"}, 504)],
)
def test_the_headers_of_predict_hold_here_as_well(bodies: House, headers: dict[str, str], status: int) -> None:
    answer = bodies.visitor().post("/v2/models/byte-mean/infer", json=elements("a"), headers=headers)
    assert answer.status_code == status, answer.text


def test_one_refused_element_refuses_the_request_and_is_named(bodies: House) -> None:
    answer = bodies.visitor().post("/v2/models/byte-mean/infer", json=elements("good", "bad", "good"))
    assert answer.status_code == 415
    assert error(answer) == "Element 1 of 3: This is no picture of a card."
    assert [entry.outcome for entry in entries(bodies)] == ["bad_input"]


def test_a_result_that_json_cannot_carry_is_the_models_fault(bodies: House) -> None:
    answer = bodies.visitor().post("/v2/models/byte-mean/infer", json=elements("tensor"))
    assert answer.status_code == 500
    assert "Tensor" in error(answer)
    assert counted(bodies, "error") == 1
