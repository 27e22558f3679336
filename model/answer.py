"""What a request gets: a payload, what it cost, and whether it is the model's own or a stand-in."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import orjson

#: What leaves, in the form that its door speaks; its length is about what it takes in memory.
Payload = TypeVar("Payload", bound=Sized)

#: What stands in for a result: the model's ``fallback``, an old answer of the cache, ``model.default_reply``.
Degraded = Literal["fallback", "stale", "default"]


@dataclass(frozen=True, slots=True)
class Answer(Generic[Payload]):
    """A payload, and what it cost. ``input`` holds facts that are safe to log.

    ``outcome`` is ``ok``, ``cached``, or what stands in, which ``degraded`` says as well, and ``reason`` why.
    """

    payload: Payload
    result_class: str | None
    model: str
    version: str
    outcome: str
    queue_seconds: float
    compute_seconds: float
    total_seconds: float
    input: dict[str, Any]
    #: Whether it came from the cache; ``None`` where nothing is cached.
    cache: Literal["hit", "miss"] | None = None
    degraded: Degraded | None = None
    reason: str | None = None
    #: How much lighter the input was made, 0 to 1.
    brownout: float = 0.0

    @property
    def json(self: Answer[bytes]) -> bytes:
        """The result of one input."""
        return self.payload

    @property
    def result(self: Answer[bytes]) -> Any:
        """The result of one input, as its reader will see it."""
        return orjson.loads(self.payload)


def class_of(result: Any) -> str | None:
    """The class that an encoded result names."""
    found = result.get("class") if isinstance(result, dict) else None
    return None if found is None else str(found)
