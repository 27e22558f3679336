"""A network as a model: tensors in, tensors out. For TorchScript and ``torch.export`` files and bare ``nn.Module``s."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from model.fault import LoadFailure
from model.interface import BadInput, Golden, Model
from model.signature import BODIES, DTYPES, RESULTS, Tensors, TensorSpec

#: What a request may call an array in numpy's own format.
NPY_TYPES = ("application/x-npy", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Spec:
    """What one input looks like, without the batch dimension; -1 in ``shape`` is any size, no shape is any shape."""

    dtype: str = "float32"
    shape: tuple[int, ...] | None = None

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape is an input."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want in (-1, got) for want, got in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Network:
    """A loaded network: ``call`` maps a batch on the device to a tensor, or to a tuple, list or dict of tensors.

    ``module`` is there where it can be asked for its mode and type. ``batch`` is the one batch size that it takes, None
    for any. ``example`` is one input, if the file carries one.
    """

    call: Callable[[Any], Any]
    module: Any = None
    spec: Spec | None = None
    batch: int | None = None
    example: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A known input and what must come out: the arrays within ``tolerance``, or the class."""

    input: Any
    output: Any = None
    label: str | None = None
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True)
class Card:
    """What a person said about a network: see docs/serving.md, ``model.yaml``."""

    name: str = "model"
    version: str = "1"
    spec: Spec | None = None
    classes: tuple[str, ...] = ()
    golden: tuple[Pair, ...] = ()


class NetworkModel(Model):
    """Hosts one network. Inputs are JSON (nested lists, or ``{"input": …}``), ``.npy``, or the protocol's tensors."""

    def __init__(self, open_network: Callable[[str], Network], card: Card) -> None:
        self.name, self.version, self.classes = card.name, card.version, card.classes
        self._open = open_network
        self._card = card
        self._spec = card.spec or Spec()
        self._outputs: Sequence[TensorSpec] = RESULTS

    def load(self, device: str) -> None:
        import torch

        self._torch = torch
        self._device = device
        self._network = self._open(device)
        self._spec = self._card.spec or self._network.spec or Spec()
        self.network = self._network.module  # where the host looks for its mode and its type
        if self._network.batch not in (None, 1):
            raise LoadFailure(
                f"load_failed: fixed_batch {self._network.batch}",
                "Export it with a dynamic first dimension (dynamic_shapes={0: Dim.DYNAMIC}), or for a batch of 1.",
            )
        if self._network.example is not None and not self._card.classes:
            with torch.inference_mode():
                (answer,) = self.predict([self._network.example])
            self._outputs = _outputs(answer)

    def decode(self, body: bytes, content_type: str) -> NDArray[Any]:
        if content_type in NPY_TYPES or body.startswith(b"\x93NUMPY"):
            return self._checked(_read_npy(body))
        try:
            return self._checked(self._array(orjson.loads(body)))
        except orjson.JSONDecodeError as error:
            raise BadInput(f"The body is neither JSON nor .npy: {error}.") from error

    def bucket(self, input: NDArray[Any]) -> Hashable:
        """Only arrays of one shape can be stacked."""
        return input.shape

    def predict(self, batch: Sequence[NDArray[Any]]) -> Sequence[Any]:
        size = self._network.batch or len(batch)
        answers: list[Any] = []
        for first in range(0, len(batch), size):
            stacked = self._torch.from_numpy(np.stack(batch[first : first + size])).to(self._device)
            answers += _rows(self._network.call(stacked), size)
        return answers

    def encode(self, result: Any) -> Any:
        classes = self._card.classes
        if not classes:
            return result
        scores = np.ravel(result)
        if len(scores) != len(classes):
            raise ValueError(f"{len(classes)} classes are named, and the network answers {len(scores)} scores")
        best = int(scores.argmax())
        return {"class": classes[best], "score": float(scores[best]), "scores": dict(zip(classes, scores, strict=True))}

    def describe(self, input: NDArray[Any]) -> dict[str, Any]:
        return {"shape": list(input.shape)}

    def golden(self) -> Sequence[Golden]:
        """The card's pairs; without any, the file's own example, whose answer must be finite."""
        if self._card.golden:
            return [(self._checked(self._array(pair.input)), _check(pair)) for pair in self._card.golden]
        return [] if self._network.example is None else [(self._network.example, _is_finite)]

    def inputs(self) -> Sequence[TensorSpec]:
        """One tensor, where its shape is known."""
        if self._spec.shape is None:
            return BODIES
        return (TensorSpec("input", _datatype(np.dtype(self._spec.dtype)), (-1, *self._spec.shape)),)

    def outputs(self) -> Sequence[TensorSpec]:
        """As an example's answer has it; JSON where there is none, or where classes are named."""
        return self._outputs

    def from_tensors(self, tensors: Tensors, parameters: Mapping[str, Any]) -> Sequence[Any]:
        if self._spec.shape is None:
            return super().from_tensors(tensors, parameters)
        return [self._checked(row) for row in tensors["input"]]

    def to_tensors(self, results: Sequence[Any]) -> Mapping[str, NDArray[Any]]:
        if self._outputs is RESULTS or isinstance(results[0], dict):
            return super().to_tensors(results)
        if len(self._outputs) == 1:
            return {self._outputs[0].name: np.stack(results)}
        return {spec.name: np.stack([row[place] for row in results]) for place, spec in enumerate(self._outputs)}

    def _array(self, document: Any) -> NDArray[Any]:
        if isinstance(document, dict):
            document = document.get("input")
        if document is None or isinstance(document, (str, dict)):
            raise BadInput('Send nested lists of numbers, or {"input": …}.', 422)
        try:
            return np.asarray(document, dtype=self._spec.dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise BadInput(f"The lists make no array of {self._spec.dtype}: {error}.", 422) from error

    def _checked(self, array: NDArray[Any]) -> NDArray[Any]:
        if not self._spec.fits(array.shape):
            raise BadInput(f"The input's shape is {list(array.shape)}; {list(self._spec.shape or ())} is needed.", 422)
        if array.dtype != self._spec.dtype:
            if not np.can_cast(array.dtype, self._spec.dtype, "same_kind"):
                raise BadInput(f"The input's type is {array.dtype}; {self._spec.dtype} is needed.", 422)
            array = array.astype(self._spec.dtype)
        return np.ascontiguousarray(array)


def _read_npy(body: bytes) -> NDArray[Any]:
    """An array in numpy's format; its size is checked against the body before any memory is taken."""
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, EOFError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise BadInput(f"The body is no .npy file: {error}.") from error
    rest = memoryview(body)[file.tell() :]
    count = 1
    for size in shape:
        count *= size
    if dtype.hasobject or dtype.kind not in "biuf" or any(size < 0 for size in shape):
        raise BadInput(f"Arrays of {dtype} are not taken: send numbers.", 422)
    if count * dtype.itemsize != len(rest):
        raise BadInput(f"The .npy file promises {count * dtype.itemsize} bytes and has {len(rest)}.")
    array = np.frombuffer(rest, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="))


def _rows(answer: Any, size: int) -> list[Any]:
    """A batch's answer as one for each input: arrays on the CPU, in the structure that the network answers in."""
    if isinstance(answer, Mapping):
        columns = {str(name): _rows(value, size) for name, value in answer.items()}
        return [{name: column[row] for name, column in columns.items()} for row in range(size)]
    if isinstance(answer, (tuple, list)):
        parts = [_rows(value, size) for value in answer]
        return [list(row) for row in zip(*parts, strict=True)]
    if not hasattr(answer, "detach"):
        raise TypeError(f"the network answers {type(answer).__name__}, not tensors")
    array = answer.detach()
    if str(array.dtype) == "torch.bfloat16":  # which numpy does not have
        array = array.float()
    array = array.cpu().numpy()
    if array.ndim == 0 or len(array) != size:
        raise ValueError(f"the network answers a tensor of shape {list(array.shape)} for {size} inputs")
    return list(array)


def _outputs(answer: Any) -> Sequence[TensorSpec]:
    """The tensors of one input's answer, any size in every dimension: only the number of them is sure."""
    parts: dict[str, Any]
    if isinstance(answer, dict):
        parts = answer
    elif isinstance(answer, list):
        parts = {f"output{place}": part for place, part in enumerate(answer)}
    else:
        parts = {"output": answer}
    if not all(isinstance(part, (np.ndarray, np.generic)) for part in parts.values()):
        return RESULTS  # structures within structures: as JSON
    return tuple(TensorSpec(name, _datatype(part.dtype), (-1, *[-1] * np.ndim(part))) for name, part in parts.items())


def _datatype(dtype: np.dtype[Any]) -> str:
    return next(str(name) for name, known in DTYPES.items() if known == dtype and name not in ("BF16", "BYTES"))


def _check(pair: Pair) -> Callable[[Any], bool]:
    def holds(answer: Any) -> bool:
        if pair.label is not None and answer.get("class") != pair.label:
            return False
        return pair.output is None or _is_close(answer, pair.output, pair.tolerance)

    return holds


def _is_close(answer: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, dict):
        return isinstance(answer, dict) and all(
            name in answer and _is_close(answer[name], value, tolerance) for name, value in wanted.items()
        )
    if isinstance(wanted, str):
        return bool(answer == wanted)
    try:
        found, expected = np.asarray(answer, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    except (ValueError, TypeError):  # lists of arrays of different shapes
        return len(answer) == len(wanted) and all(map(_is_close, answer, wanted, [tolerance] * len(wanted)))
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance))


def _is_finite(answer: Any) -> bool:
    values = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else None
    if values is not None:
        return all(map(_is_finite, values))
    return isinstance(answer, str) or bool(np.isfinite(np.asarray(answer, dtype=np.float64)).all())
