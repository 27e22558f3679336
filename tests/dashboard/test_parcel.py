"""A request's document and the bytes behind it: read as the protocol says, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.parcel import Inference, Parcel
from model.exchange import Order
from model.interface import BadInput, Model
from model.signature import TensorSpec
from model.terms import Terms

MOST = 8
X = {"name": "x", "shape": [2, 2], "datatype": "INT32", "data": [1, 2, 3, 4]}
T = {"name": "t", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}


class Pairs(Model):
    """Two tensors in, two out, without any network."""

    def load(self, device: str) -> None:
        """Nothing to load."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return [{"sum": row["x"].sum(), "text": row["t"]} for row in batch]

    def inputs(self) -> Sequence[TensorSpec]:
        return (TensorSpec("x", "INT32", (-1, -1)), TensorSpec("t", "BYTES", (-1,)))

    def outputs(self) -> Sequence[TensorSpec]:
        return (TensorSpec("sum", "INT64", (-1,)), TensorSpec("text", "BYTES", (-1,)))


def body(*binary: bytes, **members: Any) -> tuple[bytes, str | None]:
    """A request with ``x`` and ``t`` unless told otherwise, and its header length."""
    document = orjson.dumps({"inputs": [X, T]} | members)
    return b"".join((document, *binary)), str(len(document)) if binary else None


def answer(data: bytes, header_length: str | None = None) -> tuple[dict[str, Any], bytes]:
    """What ``Pairs`` answers: the document and what is behind it."""
    inference, model = Inference("pairs", data, header_length, MOST), Pairs()
    parcel: Parcel = inference.write(model, model.predict(inference.read(model).inputs))
    packed, length = parcel.pack("pairs", "1", id=inference.id)
    return orjson.loads(packed[:length]), packed[length:] if length else b""


def test_rows_become_inputs_and_results_become_rows() -> None:
    document, binary = answer(body(id="42")[0])
    assert document == {
        "model_name": "pairs",
        "model_version": "1",
        "id": "42",
        "outputs": [
            {"name": "sum", "datatype": "INT64", "shape": [2], "data": [3, 7]},
            {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
        ],
    }
    assert binary == b""


def test_tensors_come_and_go_as_bytes_in_the_order_of_the_document() -> None:
    text = {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}
    x = {"name": "x", "shape": [2, 1], "datatype": "INT32", "parameters": {"binary_data_size": 8}}
    data, length = body(
        b"\1\0\0\0A\1\0\0\0\xff",
        np.array([5, -6], "<i4").tobytes(),
        inputs=[text, x],
        parameters={"binary_data_output": True},
    )
    document, binary = answer(data, length)
    assert [output["parameters"] for output in document["outputs"]] == [
        {"binary_data_size": 16},
        {"binary_data_size": 10},
    ]
    assert np.frombuffer(binary[:16], "<i8").tolist() == [5, -6]
    assert binary[16:] == b"\1\0\0\0A\1\0\0\0\xff"


def test_only_the_outputs_that_were_asked_for_come_each_as_asked() -> None:
    asked = [{"name": "text"}, {"name": "sum", "parameters": {"binary_data": False}}]
    document, binary = answer(body(outputs=asked, parameters={"binary_data_output": True})[0])
    assert [output["name"] for output in document["outputs"]] == ["text", "sum"]
    assert document["outputs"][1]["data"] == [3, 7]
    assert binary == b"\1\0\0\0a\1\0\0\0b"


def test_optional_members_may_be_null_and_unknown_ones_are_passed_over() -> None:
    data, _ = body(id=None, outputs=None, parameters=None, model_name="pairs", inputs=[X | {"parameters": None}, T])
    assert "id" not in answer(data)[0]


def test_a_timeout_in_microseconds_reaches_the_host() -> None:
    for timeout, seconds in ((250_000, 0.25), (0, None)):
        data = body(parameters={"timeout": timeout})[0]
        assert Inference("pairs", data, None, MOST).read(Pairs()).timeout_seconds == seconds


@pytest.mark.parametrize(("number", "name"), [(0, None), (1, "high"), (2, "normal"), (3, "low"), (2**32 - 1, "low")])
def test_tritons_priorities_become_ours(number: int, name: str | None) -> None:
    assert Inference("pairs", body(parameters={"priority": number})[0], None, MOST).read(Pairs()).priority == name


@pytest.mark.parametrize(
    ("header", "document", "both"),
    [(None, None, None), (2.0, None, 2.0), (None, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 2.0, 1.0)],
)
def test_of_two_timeouts_the_shorter_counts_and_the_documents_priority(
    header: float | None, document: float | None, both: float | None
) -> None:
    given = Terms("low", header)
    assert Order([], document).terms(given) == Terms("low", both)
    assert Order([], document, "high").terms(given) == Terms("high", both)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"inputs": []}, "at least one"),
    ({"inputs": None}, "at least one"),
    ({"inputs": ["x"]}, "JSON object"),
    ({"inputs": [X]}, "lacks the input t"),
    ({"inputs": [X, X, T]}, "each once"),
    ({"inputs": [X, T, {"name": "z"}]}, "x, t, each once, not z"),
    ({"inputs": [X | {"datatype": "INT64"}, T]}, "data type is INT32, not INT64"),
    ({"inputs": [X | {"datatype": [[]]}, T]}, "not list"),
    ({"inputs": [X | {"shape": [4]}, T]}, "-1 for any size"),
    ({"inputs": [X | {"shape": [2, 2**62]}, T]}, "too many"),
    ({"inputs": [X | {"shape": [1, 4]}, T]}, "first dimension is 2, that of other inputs 1"),
    ({"inputs": [X | {"shape": [9, 1], "data": [0] * 9}, T]}, "1 to 8 inputs, not 9"),
    ({"inputs": [X | {"shape": [0, 2], "data": []}, T]}, "1 to 8 inputs, not 0"),
    ({"inputs": [X | {"data": [1, 2, 3]}, T]}, "4 elements, the data 3"),
    ({"inputs": [X | {"data": None}, T]}, "the data is a list"),
    ({"inputs": [X | {"parameters": {"binary_data_size": 16}}, T]}, "one of them is meant"),
    ({"inputs": [X | {"data": None, "parameters": {"binary_data_size": 16}}, T]}, "0 bytes are left"),
    ({"inputs": [X | {"parameters": {"shared_memory_region": "r"}}, T]}, "shared memory"),
    ({"inputs": [X | {"parameters": 1}, T]}, "parameters is a JSON object"),
    ({"outputs": [{"name": "nothing"}]}, "outputs are sum, text"),
    ({"outputs": [{"name": "sum"}, {"name": "sum"}]}, "each once"),
    ({"outputs": [{"name": "sum", "parameters": {"classification": 2}}]}, "classification"),
    ({"outputs": [{"name": "sum", "parameters": {"binary_data": 1}}]}, "true or false"),
    ({"outputs": {"name": "sum"}}, "outputs is a list"),
    ({"id": 42}, "id is a string"),
    ({"parameters": []}, "parameters is a JSON object"),
    ({"parameters": {"sequence_id": 7}}, "Sequences"),
    ({"parameters": {"timeout": -1}}, "microseconds"),
    ({"parameters": {"timeout": 1.5}}, "microseconds"),
    ({"parameters": {"priority": "high"}}, "1 for the highest"),
    ({"parameters": {"priority": -1}}, "1 for the highest"),
]


@pytest.mark.parametrize(("members", "sentence"), WRONG)
def test_what_is_wrong_is_said(members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as refused:
        answer(*body(**members))
    assert sentence in refused.value.detail
    assert refused.value.status in (400, 413)


@pytest.mark.parametrize("length", ["0", "-1", "1e3", "９", "99999999", "9" * 30, ""])
def test_a_header_length_that_cannot_be_is_refused(length: str) -> None:
    with pytest.raises(BadInput, match="Inference-Header-Content-Length"):
        answer(body()[0], length)


def test_bytes_that_belong_to_no_input_are_refused() -> None:
    with pytest.raises(BadInput, match="3 bytes behind"):
        answer(*body(b"abc"))


def test_what_is_no_text_cannot_be_had_as_json() -> None:
    text = {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}
    with pytest.raises(BadInput, match=r"Output text: .*binary data"):
        answer(*body(b"\1\0\0\0A\1\0\0\0\xff", inputs=[X, text]))


class Sloppy(Pairs):
    """Says one thing and gives another."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def to_tensors(self, results: Sequence[Any]) -> Any:
        return self.given


@pytest.mark.parametrize(
    "given_",
    [{}, {"sum": [1]}, {"sum": [[1], [2]]}, {"sum": [1.5, 2]}, {"sum": [1, 2], "text": [1, 2]}, {"sum": np.array(3)}],
)
def test_a_model_that_gives_what_it_did_not_announce_is_at_fault_itself(given_: Any) -> None:
    model = Sloppy(given_)
    inference = Inference("pairs", body()[0], None, MOST)
    results = model.predict(inference.read(model).inputs)
    with pytest.raises((ValueError, TypeError)):
        inference.write(model, results)


@pytest.mark.parametrize("depth", [100, 1000, 1023])
def test_deep_nesting_anywhere_is_refused_and_no_more(depth: int) -> None:
    deep: Any = b"[" * depth + b"]" * depth
    for place in (
        b'"inputs":%b',
        b'"id":%b,"inputs":[]',
        b'"inputs":[{"name":%b}]',
        b'"inputs":[{"name":"x","shape":%b}]',
    ):
        with pytest.raises(BadInput):
            answer(b"{" + place.replace(b"%b", deep) + b"}")
    x = b'{"inputs":[{"name":"x","datatype":"INT32","shape":[1,1],"data":%b}]}'.replace(b"%b", deep)
    with pytest.raises(BadInput):
        answer(x)


MIXED = body(
    b"\1\0\0\0A\1\0\0\0B",
    inputs=[X, {"name": "t", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}],
)


@given(st.data())
def test_flipped_bits_and_cut_ends_give_an_answer_or_a_refusal(data: st.DataObject) -> None:
    whole, length = MIXED
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3)) if changed else 0):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        document, _ = answer(bytes(changed), data.draw(st.sampled_from([length, None, "10"])))
    except BadInput as error:
        assert error.detail.endswith(".")  # noqa: PT017 - a refusal is one of the two right endings
    else:
        assert document["outputs"]


def asked(name: str = "pairs", *binary: bytes, **members: Any) -> list[bytes] | None:
    """What a request asks."""
    data, length = body(*binary, **members)
    found = Inference(name, data, length, MOST).question()
    return None if found is None else [bytes(part) for part in found]


def test_a_request_asks_the_same_whatever_it_is_called_and_however_long_it_waits() -> None:
    assert asked(id="1") == asked(id="2", parameters={"timeout": 5, "priority": 1}) == asked(parameters={})


@pytest.mark.parametrize(
    "other",
    [
        {"name": "others"},
        {"inputs": [X]},
        {"parameters": {"binary_data_output": True}},
        {"parameters": {"content_type": "image/png"}},
        {"outputs": [{"name": "sum"}]},
    ],
)
def test_what_may_change_the_answer_is_another_question(other: dict[str, Any]) -> None:
    assert asked(**other) != asked()
    assert asked("pairs", b"1") != asked("pairs", b"2")


def test_what_is_nested_too_deep_to_be_told_is_not_kept() -> None:
    data = b'{"inputs":[],"parameters":{"x":' + b"[" * 300 + b"]" * 300 + b"}}"
    assert Inference("pairs", data, None, MOST).question() is None
