"""A request of several inputs: how its own format becomes inputs, and their results an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from model.interface import Model

Payload = TypeVar("Payload")
Payload_co = TypeVar("Payload_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for: inputs as ``predict`` takes them, and how long it wants to wait at most."""

    inputs: Sequence[Any]
    timeout_seconds: float | None = None


class Exchange(Protocol[Payload_co]):
    """One request in its own format. Both run on the request's thread; ``read`` only a few at a time."""

    def read(self, model: Model) -> Order:
        """The inputs. Raises :class:`BadInput`."""
        ...

    def write(self, model: Model, results: Sequence[Any]) -> Payload_co:
        """The answer; ``results`` are as ``encode`` returned them. Raises :class:`BadInput` if asked the impossible."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Payload]):
    """What an exchange came to, and what it cost; as :class:`model.request.Answer`, which is for one input."""

    payload: Payload
    result_class: str | None
    model: str
    version: str
    outcome: str
    queue_seconds: float
    compute_seconds: float
    total_seconds: float
    input: dict[str, Any]
