"""Tensors on the wire: what goes out comes in again, and nothing that comes in costs more than its bytes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dashboard.tensor import MAX_DIMENSIONS, conform, count_elements, from_binary, from_json, to_binary, to_json
from model.interface import BadInput
from model.signature import DTYPES, Array, of_bytes

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
NUMERIC = sorted(DTYPES.keys() - {"BYTES"})
ANY_SHAPE = st.one_of(
    st.lists(st.one_of(st.integers(-2, 6), st.sampled_from([2**31, 2**32, 2**62, 2**63, 2**64 - 1])), max_size=40),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=20,
)


@st.composite
def tensors(draw: st.DrawFn, finite: bool = False) -> tuple[str, Array]:
    """A data type and an array that it holds exactly."""
    datatype = draw(st.sampled_from(sorted(DTYPES)))
    shape = draw(SHAPES)
    if datatype == "BYTES":
        count = int(np.prod(shape))
        text = st.text(max_size=8).map(str.encode) if finite else st.binary(max_size=8)
        return datatype, of_bytes(draw(st.lists(text, min_size=count, max_size=count))).reshape(shape)
    if datatype == "BF16":
        halves = draw(hnp.arrays(np.uint16, shape))
        array = (halves.astype(np.uint32) << 16).view(np.float32)
        return datatype, np.where(np.isfinite(array), array, np.float32(1)) if finite else array
    kwargs: dict[str, Any] = {"allow_nan": False, "allow_infinity": False} if finite and datatype[0] == "F" else {}
    elements = hnp.from_dtype(DTYPES[datatype], **kwargs)
    return datatype, draw(hnp.arrays(DTYPES[datatype], shape, elements=elements))


def same(one: Array, other: Array) -> bool:
    """Equal in type, shape and every bit, NaN included."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.tolist() == other.tolist() if one.dtype == np.object_ else one.tobytes() == other.tobytes()


@given(tensors())
def test_what_goes_out_as_bytes_comes_in_again(tensor: tuple[str, Array]) -> None:
    datatype, array = tensor
    data = to_binary(datatype, array)
    found = from_binary(datatype, list(array.shape), memoryview(data))
    if datatype == "BF16":  # a NaN's payload may lose its lower bits, but it stays one
        assert np.array_equal(found, array, equal_nan=True)
    else:
        assert same(found, array)
    assert found.flags.writeable
    assert found.flags.aligned


@given(tensors(finite=True), st.booleans())
def test_what_goes_out_as_json_comes_in_again_flat_or_nested(tensor: tuple[str, Array], nested: bool) -> None:
    datatype, array = tensor
    flat = orjson.loads(orjson.dumps(to_json(datatype, array), option=orjson.OPT_SERIALIZE_NUMPY))
    data = _nest(flat, list(array.shape)) if nested else flat
    assert same(from_json(datatype, list(array.shape), data), array)


def _nest(flat: list[Any], shape: list[int]) -> list[Any]:
    if len(shape) == 1:
        return flat
    size = len(flat) // shape[0] if shape[0] else 0
    return [_nest(flat[row * size : (row + 1) * size], shape[1:]) for row in range(shape[0])]


@given(tensors(), st.data())
def test_a_tensor_that_was_cut_or_lengthened_is_refused(tensor: tuple[str, Array], data: st.DataObject) -> None:
    datatype, array = tensor
    wire = to_binary(datatype, array)
    cut = data.draw(st.integers(0, max(0, len(wire) - 1)))
    for wrong in (wire[:cut], wire + b"\0"):
        if len(wrong) != len(wire):
            with pytest.raises(BadInput):
                from_binary(datatype, list(array.shape), memoryview(wrong))


@given(st.sampled_from(sorted(DTYPES)), ANY_SHAPE, st.binary(max_size=64))
def test_hostile_shapes_and_bytes_give_a_refusal_or_an_array_of_that_shape(
    datatype: str, shape: Any, data: bytes
) -> None:
    try:
        found = from_binary(datatype, shape, memoryview(data))
    except BadInput:
        return
    assert list(found.shape) == shape
    assert found.size * (4 if datatype == "BYTES" else 1) <= len(data)


@given(st.sampled_from(sorted(DTYPES)), ANY_SHAPE, JSON_VALUES)
def test_hostile_json_gives_a_refusal_or_an_array_of_that_shape(datatype: str, shape: Any, data: Any) -> None:
    try:
        found = from_json(datatype, shape, data)
    except BadInput:
        return
    assert list(found.shape) == shape
    assert found.dtype == DTYPES[datatype]


@pytest.mark.parametrize(
    "shape",
    [None, [], 3, "3", [-1], [1.0], [True], ["1"], [1] * (MAX_DIMENSIONS + 1), [2**63, 2], [0, 2**62, 2**62], [2**64]],
)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(BadInput):
        count_elements(shape)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("UINT8", [256]),
        ("INT8", [-129]),
        ("UINT64", [-1]),
        ("INT64", [2**63]),
        ("INT32", [1.0]),
        ("INT32", [True]),
        ("INT32", [None]),
        ("BOOL", [1]),
        ("FP32", ["1"]),
        ("FP32", [None]),
        ("FP32", [1e39]),
        ("FP16", [65520]),
        ("BF16", [3.4e38]),
        ("BYTES", [1]),
        ("FP64", [[1.0], 2.0]),
        ("FP64", {"0": 1.0}),
        ("FP64", None),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_refused(datatype: str, data: Any) -> None:
    with pytest.raises(BadInput):
        from_json(datatype, [len(data) if data else 1], data)


def test_whole_numbers_of_64_bits_keep_every_bit() -> None:
    assert from_json("UINT64", [2], [2**64 - 1, 2**53 + 1]).tolist() == [2**64 - 1, 2**53 + 1]


def test_the_wire_is_little_endian_whatever_the_machine() -> None:
    assert to_binary("INT32", np.array([1], dtype=">i4")) == b"\1\0\0\0"
    assert from_binary("FP32", [1], memoryview(struct.pack("<f", 1.5))).tolist() == [1.5]
    assert to_binary("BYTES", of_bytes([b"ab", b""])) == b"\2\0\0\0ab\0\0\0\0"


def test_a_bool_is_a_byte_of_0_or_1() -> None:
    with pytest.raises(BadInput):
        from_binary("BOOL", [1], memoryview(b"\2"))


def test_bfloat16_is_rounded_to_the_nearest_and_ties_to_even() -> None:
    bits = [0x3F800000, 0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF, 0x7F800001, 0x80000000]
    array = np.array(bits, dtype=np.uint32).view(np.float32)
    found = np.frombuffer(to_binary("BF16", array), dtype="<u2")
    assert [hex(half) for half in found] == ["0x3f80", "0x3f80", "0x3f82", "0x3f81", "0x7f80", "0x7fc0", "0x8000"]


def test_a_models_output_takes_its_type_only_where_no_more_than_precision_is_lost() -> None:
    assert conform("FP32", [1.5, 2]).dtype == np.float32
    assert conform("INT8", np.array([-128, 127])).tolist() == [-128, 127]
    assert conform("UINT8", [255]).tolist() == [255]
    assert conform("BYTES", ["é", b"\xff"]).tolist() == ["é".encode(), b"\xff"]
    for datatype, value in (("INT8", [128]), ("INT32", [1.5]), ("UINT8", [-1]), ("BYTES", [3]), ("BOOL", [1])):
        with pytest.raises(TypeError):
            conform(datatype, np.array(value))
