"""Tensors on the wire of the Open Inference Protocol: JSON lists and little-endian bytes. Pure.

What is read is judged by its size before anything is allocated for it: an array is never larger than what was sent.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.interface import BadInput
from model.signature import DTYPES, Array, of_bytes

#: Most dimensions, and most elements by the product of the sizes, zeros counted as one: numpy's own limits are near.
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**40

_LENGTH = struct.Struct("<I")
_REAL: set[type] = {int, float}
#: The types of JSON's values that each data type takes; the others take whole numbers.
_KINDS: dict[str, set[type]] = {"BOOL": {bool}, "FP16": _REAL, "BF16": _REAL, "FP32": _REAL, "FP64": _REAL}


def count_elements(shape: Any) -> int:
    """How many elements a tensor of this shape has. Raises :class:`BadInput` for what is no shape."""
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_DIMENSIONS:
        raise BadInput(f"a shape is a list of 1 to {MAX_DIMENSIONS} sizes")
    bound = 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise BadInput("a size in a shape is a whole number, 0 or more")
        bound *= max(size, 1)
        if bound > MAX_ELEMENTS:
            raise BadInput("the shape has too many elements", 413)
    return math.prod(shape)


def from_binary(datatype: str, shape: list[int], data: memoryview) -> Array:
    """A writable array of its own from ``data``. Raises :class:`BadInput` unless it holds exactly such a tensor."""
    count = count_elements(shape)
    if datatype == "BYTES":
        return of_bytes(_split(data, count)).reshape(shape)
    wire = _wire(datatype)
    if count * wire.itemsize != len(data):
        raise BadInput(f"{count} elements of {datatype} are {count * wire.itemsize} bytes, not {len(data)}")
    found = np.frombuffer(data, dtype=wire)
    if datatype == "BOOL" and found.size and found.view(np.uint8).max() > 1:
        raise BadInput("a BOOL is a byte of 0 or 1")
    if datatype == "BF16":
        return _from_bfloat16(found).reshape(shape)
    return found.astype(DTYPES[datatype]).reshape(shape)


def to_binary(datatype: str, array: Array) -> bytes:
    """The bytes of an array whose type is that of ``datatype``."""
    if datatype == "BYTES":
        return b"".join(part for element in array.flat for part in (_LENGTH.pack(len(element)), element))
    if datatype == "BF16":
        return _to_bfloat16(array).tobytes()
    return array.astype(_wire(datatype), copy=False).tobytes()


def from_json(datatype: str, shape: list[int], data: Any) -> Array:
    """An array from a list, flat or nested as the shape says. Raises :class:`BadInput`."""
    count = count_elements(shape)
    flat = _flatten(data, shape)
    if len(flat) != count:
        raise BadInput(f"the shape has {count} elements, the data {len(flat)}")
    kinds = set(map(type, flat))
    if datatype == "BYTES":
        if not kinds <= {str}:
            raise BadInput("BYTES are strings in JSON; other bytes go as binary data")
        return of_bytes([text.encode() for text in flat]).reshape(shape)
    if not kinds <= _KINDS.get(datatype, {int}):
        raise BadInput(f"the data holds what is no {datatype}")
    try:
        with np.errstate(over="ignore"):
            found = np.array(flat, dtype=DTYPES[datatype])
    except OverflowError:
        raise BadInput(f"a number in the data does not fit into {datatype}") from None
    if datatype == "BF16":
        found = _from_bfloat16(_to_bfloat16(found))
    if found.dtype.kind == "f" and not np.isfinite(found).all():  # JSON has no infinity: the number was too large
        raise BadInput(f"a number in the data does not fit into {datatype}")
    return found.reshape(shape)


def to_json(datatype: str, array: Array) -> Any:
    """The elements in one row, as orjson takes them; NaN and infinity become null there. Raises :class:`BadInput`."""
    if datatype != "BYTES":
        return np.ascontiguousarray(array).reshape(-1)
    try:
        return [element.decode() for element in array.flat]
    except UnicodeDecodeError:
        raise BadInput("this output is no text, which JSON could carry: ask for it as binary data") from None


def conform(datatype: str, value: Any) -> Array:
    """``value`` as an array of ``datatype``. Raises ``TypeError`` where more than precision would be lost."""
    if datatype == "BYTES":
        found = value if isinstance(value, np.ndarray) and value.dtype == np.object_ else np.array(value, np.object_)
        elements = [element.encode() if isinstance(element, str) else element for element in found.flat]
        if not all(isinstance(element, bytes) for element in elements):
            raise TypeError("BYTES are bytes or str objects")
        return of_bytes(elements).reshape(found.shape)
    given, wanted = np.asarray(value), DTYPES[datatype]
    whole = given.dtype.kind in "iu" and wanted.kind in "iu"
    with np.errstate(over="ignore"):
        found = given.astype(wanted, casting="unsafe" if whole else "same_kind", copy=False)
    if whole and not np.array_equal(found, given):
        raise TypeError(f"a number does not fit into {datatype}")
    return found


def _wire(datatype: str) -> np.dtype[Any]:
    """The type of an element on the wire: little-endian, without padding."""
    return np.dtype("<u2") if datatype == "BF16" else DTYPES[datatype].newbyteorder("<")


def _split(data: memoryview, count: int) -> list[bytes]:
    """``count`` elements, each after its length in four bytes, and nothing behind them."""
    if count * _LENGTH.size > len(data):
        raise BadInput(f"{count} elements of BYTES need at least {count * _LENGTH.size} bytes, not {len(data)}")
    elements, place = [], 0
    for _ in range(count):
        if len(data) - place < _LENGTH.size:
            raise BadInput("the data of BYTES ends within an element")
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if length > len(data) - place:
            raise BadInput("the data of BYTES ends within an element")
        elements.append(bytes(data[place : place + length]))
        place += length
    if place != len(data):
        raise BadInput("the data of BYTES holds more elements than the shape")
    return elements


def _flatten(data: Any, shape: Sequence[int]) -> list[Any]:
    """The elements of a list that is flat, or nested exactly as the shape says."""
    if not isinstance(data, list):
        raise BadInput("the data is a list")
    if not data or not isinstance(data[0], list):
        return data  # a list further on is found as an element of the wrong type
    level, sizes = [data], list(shape)
    for depth, size in enumerate(sizes):
        if not all(isinstance(one, list) and len(one) == size for one in level):
            raise BadInput("the data is not nested as the shape says")
        level = list(chain.from_iterable(level))
        if depth + 1 < len(sizes) and not level:
            return []
    return level


def _to_bfloat16(array: Array) -> NDArray[np.uint16]:
    """The upper half of each float32, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40  # a NaN whose payload lies in the lower half must not become infinity
    return np.where(np.isnan(array), quiet, rounded).astype("<u2")


def _from_bfloat16(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (halves.astype(np.uint32) << 16).view(np.float32)
