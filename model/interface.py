"""What a hosted model is. Only ``load`` and ``predict`` are required; this module imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from model.result import to_json
from model.signature import BODIES, RESULTS, Array, Schema, Tensors, TensorSpec, of_bytes, rows, stack

#: A golden pair: an input as ``decode`` returns it, and a check that the encoded result must pass.
Golden = tuple[Any, Callable[[Any], bool]]


class BadInput(Exception):
    """The caller's input is at fault: the sentence says what is wrong and what would be right.

    ``status`` is the HTTP status to answer with: 400 (malformed), 413 (too large), 415 (wrong kind) or
    422 (well-formed, but not usable).
    """

    #: The version of the model that the request had come to.
    version: str | None = None
    #: What the plug-in's ``describe`` said of the input, if it came so far.
    facts: dict[str, Any] | None = None

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Step(NamedTuple):
    """What ``stream`` may yield in between: ``done`` of ``total`` steps. A reader gets it as an event ``progress``."""

    done: int
    total: int


class Model(ABC):
    """A model as Wakeless hosts it.

    ``predict`` for requests runs on the model thread, one batch at a time, and so do the steps of ``stream``. ``load``,
    ``golden`` and the ``predict`` of the warm-up run there too when the server starts; in a reload they run on a helper
    thread, on a fresh instance, while the old one serves: two instances must not get in each other's way. Everything
    else runs on request threads, several at a time.
    """

    name = "model"
    version = "1"
    #: The setting ``model.pin_memory``; the host sets it before ``load``.
    pin_memory = False
    #: Whether equal inputs give equal results, so that an answer may be used again (``model.cache_bytes``).
    deterministic = True
    #: The classes that answers name, where they are known; a version with other ones is not switched to unasked.
    classes: Sequence[str] = ()

    @abstractmethod
    def load(self, device: str) -> None:
        """Bring the model onto ``device`` (``"cpu"`` or ``"cuda:0"``), in eval mode. Called once per version."""

    @abstractmethod
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Map decoded inputs to results, one for each, in order."""

    def stream(self, input: Any) -> Iterator[Any]:
        """Yield a result in steps, each of which ``encode`` turns into what one event carries; or a :class:`Step`.

        A model that does not define it has no stream. Each step runs on the model thread, in turn with batches and
        with the steps of other streams, so it should be short. When the caller goes away or the time is over, the
        generator is closed between two steps, on that thread: ``finally`` is the place to free what it holds.
        """
        raise NotImplementedError

    def bucket(self, input: Any) -> Hashable:
        """What kind of batch an input fits into, such as its shape: one batch holds inputs of one bucket only."""
        return None

    def gather(self, tensors: Sequence[Any], device: str) -> Any:
        """Stack CPU tensors of one shape into a batch on ``device``; for use in ``predict``.

        With the setting ``model.pin_memory`` it goes through page-locked memory, from which a GPU copies by itself.
        """
        import torch  # here: a model is running, so it has been imported long ago

        if not self.pin_memory or device == "cpu":
            return torch.stack(list(tensors)).to(device)
        first = tensors[0]
        pinned = torch.empty((len(tensors), *first.shape), dtype=first.dtype, pin_memory=True)
        return torch.stack(list(tensors), out=pinned).to(device, non_blocking=True)

    def decode(self, body: bytes, content_type: str) -> Any:
        """Turn a request body into one input. Raises :class:`BadInput`. The default reads JSON."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"The body is not valid JSON: {error}.") from error

    def encode(self, result: Any) -> Any:
        """Turn one result into what JSON can carry (numpy arrays are fine, tensors and sets are not).

        A ``"class"`` entry of a dict feeds the statistics by class.
        """
        return result

    def describe(self, input: Any) -> dict[str, Any]:
        """Facts about an input that are safe to log (size, format), never its content."""
        return {}

    def schema(self) -> Schema | None:
        """What the body and the result look like, for ``/api/openapi.json``; ``None`` when nobody said."""
        return None

    def inputs(self) -> Sequence[TensorSpec]:
        """The tensors that an Open Inference Protocol request carries; the default takes bodies as bytes."""
        return BODIES

    def outputs(self) -> Sequence[TensorSpec]:
        """The tensors of its answer; the default gives each result as JSON."""
        return RESULTS

    def from_tensors(self, tensors: Tensors, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Turn a request's tensors into inputs for ``predict``, one for each row. Raises :class:`BadInput`.

        The tensors are as ``inputs`` says, in native byte order and writable; ``parameters`` are the request's. The
        default decodes each element as a body (``parameters["content_type"]`` says of what), or, where ``inputs``
        names other tensors, makes a dict of each row.
        """
        if tuple(self.inputs()) != BODIES:
            return rows(tensors)
        kind = parameters.get("content_type", "application/octet-stream")
        bodies = tensors[BODIES[0].name]
        return [self._decode_element(body, str(kind), place, len(bodies)) for place, body in enumerate(bodies)]

    def _decode_element(self, body: bytes, content_type: str, place: int, count: int) -> Any:
        try:
            return self.decode(body, content_type)
        except BadInput as error:
            detail = error.detail if count == 1 else f"Element {place} of {count}: {error.detail}"
            raise BadInput(detail, error.status) from error

    def to_tensors(self, results: Sequence[Any]) -> Mapping[str, Array]:
        """Turn results, as ``predict`` returned them, into the tensors that ``outputs`` names.

        The default stacks what dicts hold for them. Where ``outputs`` is the default, results have been through
        ``encode``, and each is given as JSON.
        """
        if tuple(self.outputs()) != RESULTS:
            return stack(self.outputs(), results)
        return {RESULTS[0].name: of_bytes([to_json(result) for result in results])}

    def golden(self) -> Sequence[Golden]:
        """Pairs that must hold before any traffic comes."""
        return ()

    def fallback(self, input: Any) -> Any:
        """What to answer, as ``predict`` would, when that cannot be asked or has failed. Must not use the device.

        Called on the request's thread while the circuit breaker is open, when the queue is full, and for an input on
        which ``predict`` raised. Raises ``LookupError`` when there is nothing to say, which is the default.
        """
        raise LookupError("this model has no fallback")

    def lighter(self, input: Any, level: float) -> Any:
        """An input that costs less: smaller, or with fewer steps; ``level`` is above 0, and 1 asks for the least.

        Called on the request's thread while the queue is long. The default changes nothing.
        """
        return input
