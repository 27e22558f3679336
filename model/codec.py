"""Through the plug-in's decode and encode, on the request's thread: a few at once, and what they raise told apart."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from model.errors import DeadlineExceeded, DecodeFailed, InferenceFailed, OutOfMemory, Refusal
from model.fault import brief, classify
from model.interface import BadInput
from model.loader import Instance
from model.result import NotJson, has_nan, to_json

log = structlog.get_logger(__name__)

#: Steps that work on what the caller sent: when they raise, the input has brought it about.
_BEFORE_THE_MODEL = ("decode", "bucket", "lighter")


class Codec:
    """Decodes bodies and encodes results as the model does. Any thread may ask."""

    def __init__(self, clock: Callable[[], float], *, reject_nan: bool) -> None:
        self._clock = clock
        self._reject_nan = reject_nan
        # A decoded image is many times its file: hundreds of threads must not hold one each while they wait for a core.
        self._decoders = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))

    def decode(self, instance: Instance, body: bytes, content_type: str, deadline: float) -> tuple[Any, dict[str, Any]]:
        """The input in a body, and facts about it that are safe to log. Raises what the model raises."""
        with self.decoding(deadline):
            given = instance.model.decode(body, content_type)
            return given, instance.model.describe(given)

    @contextmanager
    def decoding(self, deadline: float) -> Iterator[None]:
        """Wait for one of the few places in which inputs are decoded. Raises :class:`DeadlineExceeded`."""
        if not self._decoders.acquire(timeout=max(0.0, deadline - self._clock())):
            raise DeadlineExceeded("The deadline passed before the input could be decoded.", retry_after_seconds=1.0)
        try:
            yield
        finally:
            self._decoders.release()

    @contextmanager
    def translated(self, step: str, request_id: str) -> Iterator[None]:
        """What a plug-in raises beside :class:`BadInput` is its own failure, not the caller's nor the server's."""
        try:
            yield
        except (BadInput, Refusal):
            raise
        except BaseException as error:  # also SystemExit, which gunicorn would take for its own
            if classify(error) == "memory":
                raise OutOfMemory("This input needs more memory than there is.", reason="out_of_memory") from error
            log.exception(f"{step}_raised", request_id=request_id)
            kind = DecodeFailed if step in _BEFORE_THE_MODEL else InferenceFailed
            raise kind(f"The model's {step} failed.", reason=brief(error)) from error

    def serialised(self, result: Any, request_id: str) -> bytes:
        """What ``encode`` returned, as JSON. Raises :class:`InferenceFailed`."""
        self.refuse_nan([result], request_id)
        try:
            return to_json(result)
        except NotJson as error:
            log.error("result_is_not_json", request_id=request_id, error=str(error))
            raise InferenceFailed(
                f"The model's result is nothing that JSON can carry: {error}.",
                reason=error.reason,
                suggestion=error.suggestion,
            ) from error

    def refuse_nan(self, results: Sequence[Any], request_id: str) -> None:
        """Raises :class:`InferenceFailed` for NaN in what ``encode`` returned, where the settings say so."""
        if self._reject_nan and any(has_nan(result) for result in results):
            log.error("result_has_nan", request_id=request_id)
            raise InferenceFailed("The model's result has NaN in it.", reason="nan", suggestion="Look at its weights.")
