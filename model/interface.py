"""What a hosted model is. Only ``load`` and ``predict`` are required; this module imports no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import orjson

#: A golden pair: an input as ``decode`` returns it, and a check that the encoded result must pass.
Golden = tuple[Any, Callable[[Any], bool]]


class BadInput(Exception):
    """The caller's input is at fault: the sentence says what is wrong and what would be right.

    ``status`` is the HTTP status to answer with: 400 (malformed), 413 (too large), 415 (wrong kind) or
    422 (well-formed, but not usable).
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Model(ABC):
    """A model as Wakeless hosts it.

    ``predict`` for requests runs on the model thread, one batch at a time. ``load``, ``golden`` and the ``predict`` of
    the warm-up run there too when the server starts; in a reload they run on a helper thread, on a fresh instance,
    while the old one serves: two instances must not get in each other's way. Everything else runs on request threads,
    several at a time.
    """

    name = "model"
    version = "1"

    @abstractmethod
    def load(self, device: str) -> None:
        """Bring the model onto ``device`` (``"cpu"`` or ``"cuda:0"``), in eval mode. Called once per version."""

    @abstractmethod
    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Map decoded inputs to results, one for each, in order."""

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

    def golden(self) -> Sequence[Golden]:
        """Pairs that must hold before any traffic comes."""
        return ()

    def fallback(self, input: Any) -> Any:
        """The reply when degraded. Raises ``LookupError`` when there is none, which is the default.

        Nothing calls it yet: replies for a model that fails come with the circuit breaker, in a later version.
        """
        raise LookupError("this model has no fallback")
