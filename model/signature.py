"""What a model takes and gives: tensors, in the terms of the Open Inference Protocol (version 2), and JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: Arrays by the name of their tensor.
Tensors = Mapping[str, Array]

#: The protocol's data types, and the numpy type of their elements in memory. BF16, which numpy does not have, is held
#: as float32, which carries all its values; BYTES are ``bytes`` objects.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor: its name, its data type (a key of :data:`DTYPES`), its shape with -1 for any size.

    The first dimension counts the inputs of a request and is always -1. Raises ``ValueError`` for anything else.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a tensor needs a name")
        if self.datatype not in DTYPES:
            raise ValueError(f"{self.name}: no data type {self.datatype}; there are {', '.join(DTYPES)}")
        if not self.shape or self.shape[0] != -1 or any(size < -1 for size in self.shape):
            raise ValueError(f"{self.name}: the shape is (-1, …), -1 or a size for each dimension, not {self.shape}")

    def admits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape is such a tensor."""
        sizes = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(wanted in (-1, size) for wanted, size in sizes)


#: A model that says nothing of tensors takes bodies as ``/predict`` does, and gives the results' JSON.
BODIES = (TensorSpec("input", "BYTES", (-1,)),)
RESULTS = (TensorSpec("output", "BYTES", (-1,)),)


@dataclass(frozen=True, slots=True)
class Schema:
    """What ``/predict`` takes and gives, as JSON Schema (2020-12), for the description of the API.

    ``request`` has one schema for each content type of the body; ``result`` is what ``encode`` returns.
    """

    request: Mapping[str, Mapping[str, Any]]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signature:
    """What the model that serves now takes and gives."""

    model: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    schema: Schema | None


def rows(tensors: Tensors) -> list[dict[str, Any]]:
    """One dict for each input: what the tensors hold for it, without the first dimension."""
    count = len(next(iter(tensors.values())))
    return [{name: array[index] for name, array in tensors.items()} for index in range(count)]


def stack(specs: Sequence[TensorSpec], results: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """The opposite of :func:`rows`: results by tensor. Raises ``KeyError`` if one lacks an output."""
    return {
        spec.name: of_bytes([result[spec.name] for result in results])
        if spec == TensorSpec(spec.name, "BYTES", (-1,))
        else np.stack([np.asarray(result[spec.name]) for result in results])
        for spec in specs
    }


def of_bytes(elements: Sequence[Any]) -> Array:
    """A one-dimensional array of just these objects (numpy would look into them, or cut zeros off their end)."""
    array = np.empty(len(elements), dtype=np.object_)
    array[:] = elements
    return array
