"""A request of several inputs: how its own format becomes inputs, and their results an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from model.interface import Model
from model.signature import RESULTS
from model.terms import Priority, Terms

Payload = TypeVar("Payload")
Payload_co = TypeVar("Payload_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for: inputs as ``predict`` takes them, and on what terms, as far as its document says."""

    inputs: Sequence[Any]
    timeout_seconds: float | None = None
    priority: Priority | None = None

    def terms(self, given: Terms) -> Terms:
        """Those that the caller's headers gave, with what the document asks for: the shorter time, its own priority."""
        times = [seconds for seconds in (given.timeout_seconds, self.timeout_seconds) if seconds is not None]
        return replace(given, priority=self.priority or given.priority, timeout_seconds=min(times, default=None))


class Exchange(Protocol[Payload_co]):
    """One request in its own format. Both run on the request's thread; ``read`` only a few at a time."""

    def read(self, model: Model) -> Order:
        """The inputs. Raises :class:`BadInput`."""
        ...

    def write(self, model: Model, results: Sequence[Any]) -> Payload_co:
        """The answer; ``results`` as :func:`presented` has them. Raises :class:`BadInput` if asked the impossible."""
        ...


def presented(model: Model, results: Sequence[Any]) -> list[Any]:
    """Results as ``to_tensors`` takes them: encoded where they leave as JSON, else as ``predict`` returned them."""
    return [model.encode(result) for result in results] if tuple(model.outputs()) == RESULTS else list(results)


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
