"""One request: how its door's format becomes inputs and their results an answer; the host knows no other difference."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from model.interface import Model
from model.result import to_json
from model.signature import RESULTS
from model.terms import Priority, Terms

Payload_co = TypeVar("Payload_co", bound=Sized, covariant=True)


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for: inputs as ``predict`` takes them, and on what terms, as far as its document says."""

    inputs: Sequence[Any]
    timeout_seconds: float | None = None
    priority: Priority | None = None

    def terms(self, given: Terms) -> Terms:
        """Those that the caller's headers gave, with what the document asks for: the shorter time, its own priority."""
        if self.timeout_seconds is None and self.priority is None:
            return given
        times = [seconds for seconds in (given.timeout_seconds, self.timeout_seconds) if seconds is not None]
        return replace(given, priority=self.priority or given.priority, timeout_seconds=min(times, default=None))


class Exchange(Protocol[Payload_co]):
    """One request in its own format. Everything runs on the request's thread; :meth:`read` only a few at a time."""

    def question(self) -> Sequence[bytes | memoryview] | None:
        """What is asked, in parts, so that equal ones can have one answer; ``None`` where that cannot be told.

        Raises :class:`BadInput`.
        """
        ...

    def read(self, model: Model) -> Order:
        """The inputs. Raises :class:`BadInput`. It may be called again for a model that has a ``fallback``.

        Inputs are gone once the model has had them, or changed.
        """
        ...

    def present(self, model: Model, results: Sequence[Any]) -> list[Any]:
        """Results of ``predict`` as :meth:`write` takes them and as they are judged: encoded, where that is asked."""
        ...

    def write(self, model: Model, results: Sequence[Any]) -> Payload_co:
        """The answer. Raises :class:`BadInput` if asked the impossible, :class:`NotJson`."""
        ...

    def default(self, model: Model | None, json: bytes) -> Payload_co | None:
        """What ``model.default_reply`` is in this format; ``None`` where it says nothing. ``model`` is what serves."""
        ...


class Body:
    """A request's body as ``/predict`` takes it: one input, whose answer is the result's JSON."""

    __slots__ = ("_body", "_content_type")

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self._content_type = content_type

    def question(self) -> Sequence[bytes]:
        """Content type and body."""
        return b"body", self._content_type.encode(errors="replace"), self._body

    def read(self, model: Model) -> Order:
        """What ``decode`` makes of the body."""
        return Order((model.decode(self._body, self._content_type),))

    def present(self, model: Model, results: Sequence[Any]) -> list[Any]:
        """What ``encode`` makes of the result."""
        return [model.encode(result) for result in results]

    def write(self, model: Model, results: Sequence[Any]) -> bytes:
        """The one result."""
        (result,) = results
        return to_json(result)

    def default(self, model: Model | None, json: bytes) -> bytes:
        """The reply itself."""
        return json


def presented(model: Model, results: Sequence[Any]) -> list[Any]:
    """Results as ``to_tensors`` takes them: encoded where they leave as JSON, else as ``predict`` returned them."""
    return [model.encode(result) for result in results] if tuple(model.outputs()) == RESULTS else list(results)
