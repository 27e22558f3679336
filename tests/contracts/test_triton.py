"""``tritonclient``, NVIDIA's own client, against a real server: what it does with Triton it does here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from config import VERSION
from tests.running import ROOT, RunningServer

X = np.array([[1, 2, 3], [-4, 0, 0.5]], dtype=np.float32)
LABELS = np.array([[b"first"], [b"\xff\0second"]], dtype=np.object_)


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a tiny model of tensors."""
    with _serving(tmp_path_factory, "tests.dashboard.tiny:Scale") as server:
        yield server


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the embedded model, which knows nothing of tensors."""
    with _serving(tmp_path_factory, "model.builtin:CardDetector") as server:
        yield server


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a model of tensors that fails on some, and something to say instead."""
    path = "tests.dashboard.yielding:Unlucky"
    with _serving(tmp_path_factory, path, MODEL__CACHE_BYTES=1_000_000, MODEL__BREAKER_REQUESTS=0) as server:
        yield server


def _serving(factory: pytest.TempPathFactory, path: str, **settings: Any) -> RunningServer:
    folder: Path = factory.mktemp("triton") / "data"
    return RunningServer(folder, MODEL__PATH=path, MODEL__DEVICE="cpu", MODEL__QUEUE_SIZE=1000, **settings)


@pytest.fixture
def client(scale: RunningServer) -> Iterator[Any]:
    scale.wait_until_ready()
    with triton.InferenceServerClient(f"127.0.0.1:{scale.port}", concurrency=4) as found:
        yield found


def given(x: Any = X, labels: Any = LABELS, *, binary: bool = True) -> list[Any]:
    """The inputs of a request."""
    return [
        triton.InferInput("x", x.shape, "FP32").set_data_from_numpy(x, binary_data=binary),
        triton.InferInput("label", labels.shape, "BYTES").set_data_from_numpy(labels, binary_data=binary),
    ]


def test_it_sees_who_is_there(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("scale")
    assert client.is_model_ready("scale", "3")
    assert not client.is_model_ready("scale", "4")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["version"] == VERSION
    metadata = client.get_model_metadata("scale", "3")
    assert metadata["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    (entry,) = client.get_model_repository_index()
    assert (entry["name"], entry["version"], entry["state"]) == ("scale", "3", "READY")


def test_it_infers_with_binary_tensors(client: Any) -> None:
    found = client.infer("scale", given(), request_id="42")
    assert found.get_response()["id"] == "42"
    assert found.as_numpy("y").tolist() == (2 * X).tolist()
    assert found.as_numpy("half").dtype == ml_dtypes.bfloat16
    assert found.as_numpy("half").astype(np.float32).tolist() == (X / 2).tolist()
    assert found.as_numpy("positive").tolist() == [True, False]
    assert found.as_numpy("label").tolist() == [b"first", b"\xff\0second"]


def test_it_infers_with_json(client: Any) -> None:
    labels = np.array([[b"a"], ["é".encode()]], dtype=np.object_)
    outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "y", "positive", "half")]
    found = client.infer("scale", given(labels=labels, binary=False), model_version="3", outputs=outputs)
    assert [output["name"] for output in found.get_response()["outputs"]] == ["label", "y", "positive", "half"]
    assert found.as_numpy("y").tolist() == (2 * X).tolist()
    assert found.as_numpy("positive").tolist() == [True, False]
    assert found.as_numpy("label").tolist() == ["a", "é"]


def test_it_gets_only_what_it_asks_for_each_in_its_way(client: Any) -> None:
    outputs = [triton.InferRequestedOutput("y"), triton.InferRequestedOutput("positive", binary_data=False)]
    found = client.infer("scale", given(), outputs=outputs)
    assert found.as_numpy("y").tolist() == (2 * X).tolist()
    assert found.as_numpy("positive").tolist() == [True, False]
    assert found.as_numpy("label") is None


@pytest.mark.parametrize("way", ["gzip", "deflate"])
def test_it_may_compress_both_ways(client: Any, scale: RunningServer, way: str) -> None:
    many = np.ones((900, 3), dtype=np.float32)
    labels = np.full((900, 1), b"same", dtype=np.object_)
    # To a caller on the same machine nothing is compressed; a forwarding header makes it one from elsewhere.
    headers = {"X-Forwarded-For": "203.0.113.9"} | scale.token("viewer")
    found = client.infer(
        "scale",
        given(many, labels),
        headers=headers,
        request_compression_algorithm=way,
        response_compression_algorithm=way,
    )
    assert found.as_numpy("y").sum() == 2 * 900 * 3
    assert found.as_numpy("label").tolist() == [b"same"] * 900


def test_it_infers_asynchronously(client: Any) -> None:
    handles = [client.async_infer("scale", given(X + number), request_id=str(number)) for number in range(20)]
    for number, handle in enumerate(handles):
        found = handle.get_result()
        assert found.get_response()["id"] == str(number)
        assert found.as_numpy("y").tolist() == (2 * (X + number)).tolist()


def test_its_aio_client_infers_as_well(scale: RunningServer) -> None:
    scale.wait_until_ready()

    async def talk() -> list[Any]:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{scale.port}") as client:
            assert await client.is_model_ready("scale")
            return [await client.infer("scale", given(X + number)) for number in range(3)]

    with ThreadPoolExecutor(1) as other:  # this thread may run the loop of a browser's driver already
        answers = other.submit(asyncio.run, talk()).result()
    for number, found in enumerate(answers):
        assert found.as_numpy("y").tolist() == (2 * (X + number)).tolist()


@pytest.mark.parametrize(
    ("ask", "status", "words"),
    [
        (lambda client: client.infer("other", given()), "404", "hosts scale"),
        (lambda client: client.infer("scale", given(), model_version="9"), "404", "Version 9 is not loaded"),
        (lambda client: client.infer("scale", given()[:1]), "400", "lacks the input label"),
        (lambda client: client.infer("scale", given(X[:, :2])), "400", "Input x: its shape is [-1, 3]"),
        (lambda client: client.infer("scale", given(), sequence_id=7), "400", "Sequences"),
        (
            lambda client: client.infer("scale", given(), outputs=[triton.InferRequestedOutput("z")]),
            "400",
            "outputs are y, half, positive, label",
        ),
        (lambda client: client.infer("scale", given(), timeout=1), "504", "the request"),
        (lambda client: client.get_model_metadata("other"), "404", "hosts scale"),
        (lambda client: client.get_inference_statistics(), "404", "no model"),
        (lambda client: client.infer("scale", given(), headers={"X-Forwarded-For": "203.0.113.9"}), "401", "token"),
    ],
)
def test_errors_reach_it_as_such(client: Any, ask: Any, status: str, words: str) -> None:
    with pytest.raises(InferenceServerException) as refused:
        ask(client)
    assert refused.value.status() == status
    assert words in refused.value.message()


def test_any_model_can_be_asked_with_bytes(cards: RunningServer) -> None:
    cards.wait_until_ready()
    photos = [(ROOT / "examples" / "cards" / f"{kind}.jpg").read_bytes() for kind in ("passport", "bank_card")]
    tensor = np.array(photos, dtype=np.object_)
    with triton.InferenceServerClient(f"127.0.0.1:{cards.port}") as client:
        assert client.get_model_metadata("card-detector")["inputs"][0]["datatype"] == "BYTES"
        asked = [triton.InferInput("input", tensor.shape, "BYTES").set_data_from_numpy(tensor)]
        results = [orjson.loads(text) for text in client.infer("card-detector", asked).as_numpy("output")]
        assert [result["class"] for result in results] == ["passport", "bank_card"]
        tensor[1] = b"no photograph"
        asked[0].set_data_from_numpy(tensor)
        with pytest.raises(InferenceServerException, match="Element 1 of 2") as refused:
            client.infer("card-detector", asked)
        assert refused.value.status() == "415"


@pytest.mark.parametrize("binary", [True, False])
def test_it_is_told_what_an_answer_is_worth(unlucky: RunningServer, binary: bool) -> None:
    unlucky.wait_until_ready()
    with triton.InferenceServerClient(f"127.0.0.1:{unlucky.port}") as client:
        outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
        x = X + 5 + binary
        first, again = (client.infer("scale", given(x), outputs=outputs, request_id=name) for name in ("a", "b"))
        assert [found.get_response()["parameters"] for found in (first, again)] == [{"cache": "miss"}, {"cache": "hit"}]
        assert again.get_response()["id"] == "b"
        assert again.as_numpy("y").tolist() == (2 * x).tolist()
        x = X.copy()
        x[1, 0] = 13
        found = client.infer("scale", given(x), outputs=outputs)
        worth = {"degraded": "fallback", "reason": "ZeroDivisionError: unlucky"}
        assert found.get_response()["parameters"] == worth
        assert found.as_numpy("y").tolist() == np.zeros_like(X).tolist()
        x[1, 0] = 14
        with pytest.raises(InferenceServerException, match="unlucky") as refused:
            client.infer("scale", given(x), outputs=outputs)
        assert refused.value.status() == "500"
