"""An inference request of the Open Inference Protocol and its answer: a JSON document, binary tensors behind it.

Pure: what it raises at a caller's fault is :class:`BadInput`, at the model's ``ValueError`` or ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dashboard.tensor import conform, count_elements, from_binary, from_json, to_binary, to_json
from model.exchange import Order, presented
from model.interface import BadInput, Model
from model.signature import RESULTS, Array, TensorSpec, of_bytes
from model.terms import PRIORITIES, Priority

#: What Triton's clients can ask for and no model here can do; answering as if it had not been asked would be a lie.
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")
#: Parameters that say on what terms a request waits, and nothing of its answer.
_OF_TERMS = ("timeout", "priority")
_SHARED_MEMORY = "shared_memory_region"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Output:
    """One tensor of the answer: its part of the document, and its bytes if it is to be sent as such."""

    document: dict[str, Any]
    binary: bytes | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """The outputs of an answer, as they leave: their list as JSON, and the bytes behind the document, if any are sent.

    What is one request's own, its id and what its answer is worth, is added to it: a parcel may answer many.
    """

    outputs: bytes
    binary: bytes | None

    def __len__(self) -> int:
        return len(self.outputs) + len(self.binary or b"")

    def pack(self, model: str, version: str, **more: Any) -> tuple[bytes, int | None]:
        """The body, and how many bytes of it are the document where there are others.

        ``more`` are members of the document; those that are ``None`` or empty are left out.
        """
        document: dict[str, Any] = {"model_name": model, "model_version": version}
        document |= {name: value for name, value in more.items() if value not in (None, {})}
        document["outputs"] = orjson.Fragment(self.outputs)
        header = orjson.dumps(document)
        return (header, None) if self.binary is None else (header + self.binary, len(header))


class Inference:
    """One inference request; an ``Exchange`` for the model's host.

    ``name`` is the model that it is for, ``header_length`` the header ``Inference-Header-Content-Length``, ``most`` how
    many inputs a request may carry.
    """

    def __init__(self, name: str, body: bytes, header_length: str | None, most: int) -> None:
        self._name = name
        self._body = body
        self._header_length = header_length
        self._most = most
        self._rows = 0
        self._wanted: list[tuple[TensorSpec, bool]] = []
        #: The request's own id, which comes back; known once it has been looked into.
        self.id: str | None = None

    def question(self) -> Sequence[bytes | memoryview] | None:
        """The document but for what says nothing of the answer, and the bytes behind it."""
        document, binary = _open(self._body, self._header_length)
        self.id = _text(document, "id")
        parameters = {name: one for name, one in _parameters(document, "The request").items() if name not in _OF_TERMS}
        asked = {"inputs": document.get("inputs"), "outputs": document.get("outputs"), "parameters": parameters}
        try:
            return b"infer", self._name.encode(), orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), binary
        except orjson.JSONEncodeError:  # it is nested deeper than what can be written
            return None

    def read(self, model: Model) -> Order:
        """The inputs that the tensors hold, one for each of their rows."""
        document, tensors = self._look_into(model)
        if type(model).fallback is Model.fallback:
            self._body = b""  # from here on its tensors hold it, as far as they need it
        parameters = _parameters(document, "The request")
        inputs = model.from_tensors(tensors, parameters)
        if len(inputs) != self._rows:
            raise ValueError(f"from_tensors made {len(inputs)} inputs of {self._rows} rows")
        return Order(inputs, _timeout(parameters), _priority(parameters))

    def present(self, model: Model, results: Sequence[Any]) -> list[Any]:
        """Encoded where they leave as JSON, else as ``predict`` returned them."""
        return presented(model, results)

    def write(self, model: Model, results: Sequence[Any]) -> Parcel:
        """The outputs that were asked for, in that order."""
        return self._parcel(model.to_tensors(results), len(results))

    def default(self, model: Model | None, json: bytes) -> Parcel | None:
        """The reply for each input, of a model whose results leave as JSON; other tensors have none."""
        if model is None or tuple(model.outputs()) != RESULTS:
            return None
        if not self._rows:  # refused before anybody looked into it
            self._look_into(model)
        return self._parcel({RESULTS[0].name: of_bytes([json] * self._rows)}, self._rows)

    def _look_into(self, model: Model) -> tuple[dict[str, Any], dict[str, Array]]:
        """The document and its tensors. Raises :class:`BadInput`."""
        document, binary = _open(self._body, self._header_length)
        self.id = _text(document, "id")
        parameters = _parameters(document, "The request")
        if any(parameters.get(name) for name in _SEQUENCE):
            raise BadInput("Sequences of requests are not supported: each request stands for itself.")
        self._wanted = _wanted(document, model.outputs(), _flag(parameters, "binary_data_output", False))
        tensors = _tensors(_list(document, "inputs"), binary, model.inputs(), self._most)
        self._rows = len(next(iter(tensors.values())))
        return document, tensors

    def _parcel(self, arrays: Mapping[str, Array], rows: int) -> Parcel:
        outputs = [_output(arrays, spec, rows, binary) for spec, binary in self._wanted]
        documents = orjson.dumps([output.document for output in outputs], option=orjson.OPT_SERIALIZE_NUMPY)
        binary = [output.binary for output in outputs if output.binary is not None]
        return Parcel(documents, b"".join(binary) if binary else None)


def _open(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """The document, and what lies behind it."""
    length = len(body)
    if header_length is not None:
        if not (header_length.isascii() and header_length.isdecimal() and len(header_length) < 20):
            raise BadInput("Inference-Header-Content-Length is a number of bytes.")
        length = int(header_length)
    if not 0 < length <= len(body):
        raise BadInput(f"Inference-Header-Content-Length is {length}, the body has {len(body)} bytes.")
    try:
        document = orjson.loads(memoryview(body)[:length])
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The request is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadInput("The request is a JSON object with inputs.")
    return document, memoryview(body)[length:]


def _tensors(inputs: list[Any], binary: memoryview, specs: Sequence[TensorSpec], most: int) -> dict[str, Array]:
    """All tensors that the model wants, and no other; each has the same number of rows."""
    known = {spec.name: spec for spec in specs}
    found: dict[str, Array] = {}
    rows: int | None = None
    for given in inputs:
        if not isinstance(given, dict):
            raise BadInput("An input is a JSON object.")
        spec = known.get(_text(given, "name") or "")
        if spec is None or spec.name in found:
            raise BadInput(f"The inputs are {', '.join(known)}, each once, not {_short(given.get('name'))}.")
        try:
            rows = _check(given, spec, most, rows)
            found[spec.name], binary = _tensor(given, spec, binary)
        except BadInput as error:
            raise BadInput(f"Input {spec.name}: {error.detail}.", error.status) from error
    if missing := known.keys() - found.keys():
        raise BadInput(f"The request lacks the input {', '.join(sorted(missing))}.")
    if len(binary):
        raise BadInput(f"{len(binary)} bytes behind the document belong to no input.")
    return found


def _check(given: dict[str, Any], spec: TensorSpec, most: int, rows: int | None) -> int:
    """Judge what an input says of itself before its data is looked at; returns its rows."""
    if given.get("datatype") != spec.datatype:
        raise BadInput(f"its data type is {spec.datatype}, not {_short(given.get('datatype'))}")
    shape = given.get("shape")
    count_elements(shape)
    assert isinstance(shape, list)
    if not spec.admits(shape):
        raise BadInput(f"its shape is {list(spec.shape)} with -1 for any size, not {_short(shape)}")
    if not 1 <= shape[0] <= most:
        raise BadInput(f"a request carries 1 to {most} inputs, not {shape[0]}", 413 if shape[0] else 400)
    if rows not in (None, shape[0]):
        raise BadInput(f"its first dimension is {shape[0]}, that of other inputs {rows}")
    return int(shape[0])


def _tensor(given: dict[str, Any], spec: TensorSpec, binary: memoryview) -> tuple[Array, memoryview]:
    """The tensor's elements, and the bytes that are left for the ones behind it."""
    parameters = _parameters(given, "an input")
    if _SHARED_MEMORY in parameters:
        raise BadInput("shared memory is not supported")
    size, data = parameters.get("binary_data_size"), given.get("data")
    if size is None:
        return from_json(spec.datatype, given["shape"], data), binary
    if data is not None:
        raise BadInput("it has data and binary_data_size; one of them is meant")
    if type(size) is not int or not 0 <= size <= len(binary):
        raise BadInput(f"binary_data_size is {_short(size)}, and {len(binary)} bytes are left behind the document")
    return from_binary(spec.datatype, given["shape"], binary[:size]), binary[size:]


def _wanted(document: dict[str, Any], specs: Sequence[TensorSpec], binary: bool) -> list[tuple[TensorSpec, bool]]:
    """Which outputs are asked for, and whether as bytes; all if none is named."""
    if not document.get("outputs"):
        return [(spec, binary) for spec in specs]
    known = {spec.name: spec for spec in specs}
    found: dict[str, tuple[TensorSpec, bool]] = {}
    for asked in _list(document, "outputs"):
        spec = known.get(_text(asked, "name") or "") if isinstance(asked, dict) else None
        if spec is None or spec.name in found:
            raise BadInput(f"The outputs are {', '.join(known)}, each once.")
        parameters = _parameters(asked, f"Output {spec.name}")
        if parameters.get("classification") or _SHARED_MEMORY in parameters:
            raise BadInput(f"Output {spec.name}: neither classification nor shared memory is supported.")
        found[spec.name] = spec, _flag(parameters, "binary_data", binary)
    return list(found.values())


def _output(arrays: Mapping[str, Array], spec: TensorSpec, rows: int, binary: bool) -> Output:
    if spec.name not in arrays:
        raise ValueError(f"to_tensors gave no {spec.name}")
    array = conform(spec.datatype, arrays[spec.name])
    if not spec.admits(array.shape) or array.shape[0] != rows:
        raise ValueError(f"to_tensors gave {spec.name} the shape {array.shape} for {rows} results of {spec.shape}")
    document: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape)}
    if not binary:
        try:
            return Output(document | {"data": to_json(spec.datatype, array)}, None)
        except BadInput as error:
            raise BadInput(f"Output {spec.name}: {error.detail}.", error.status) from error
    data = to_binary(spec.datatype, array)
    return Output(document | {"parameters": {"binary_data_size": len(data)}}, data)


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    """Triton's parameter, in microseconds; 0 is none."""
    value = parameters.get("timeout") or 0
    if type(value) is not int or value < 0:
        raise BadInput("The parameter timeout is a number of microseconds.")
    return value / _MICROSECONDS if value else None


def _priority(parameters: Mapping[str, Any]) -> Priority | None:
    """Triton's parameter: 1 is the highest, 0 none. Ours are three."""
    value = parameters.get("priority") or 0
    if type(value) is not int or value < 0:
        raise BadInput("The parameter priority is a whole number, 1 for the highest.")
    return PRIORITIES[min(value, len(PRIORITIES)) - 1] if value else None


def _list(document: dict[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list) or not value:
        raise BadInput(f"{name} is a list with at least one member.")
    return value


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{name} is a string.")
    return value


def _parameters(document: dict[str, Any], whose: str) -> dict[str, Any]:
    value = document.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{whose}: parameters is a JSON object.")
    return value


def _flag(parameters: dict[str, Any], name: str, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise BadInput(f"{name} is true or false.")
    return value


def _short(value: Any) -> str:
    """What the caller sent, so that it fits into a sentence; of what could be deeply nested, only its kind."""
    flat = isinstance(value, str | int | float) or (isinstance(value, list) and not any(map(_nested, value)))
    text = str(value) if flat else type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}…"


def _nested(value: Any) -> bool:
    return isinstance(value, list | dict)
