"""One streamed request's way into the host, on its own thread: decode, open, and hand over what is to be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config import ModelSettings
from model.admission import Admission
from model.codec import Codec
from model.errors import NoStream
from model.guard import Guard
from model.loader import Instance
from model.meter import InferenceMeter
from model.queue import Stream, WorkQueue
from model.request import outcome_of
from model.subscription import Subscription
from model.terms import Terms


class StreamPath:
    """Opens streams, and counts those that end before they begin; a subscription counts itself when it is closed."""

    def __init__(
        self,
        settings: ModelSettings,
        queue: WorkQueue,
        meter: InferenceMeter,
        clock: Callable[[], float],
        *,
        door: Admission,
        codec: Codec,
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._meter = meter
        self._clock = clock
        self._door = door
        self._codec = codec
        self._guard = guard

    def open(self, instance: Instance, body: bytes, content_type: str, request_id: str, terms: Terms) -> Subscription:
        """Begin a stream. Raises :class:`BadInput` or a :class:`Refusal`."""
        began = self._clock()
        try:
            end = self._guard.begin(instance)
            try:
                stream, facts = self._begin(instance, body, content_type, request_id, terms, began)
            except BaseException:
                end("void")
                raise
        except BaseException as error:
            self._count(instance, outcome_of(error), began)
            raise
        found = Subscription(
            stream,
            model=instance.name,
            version=instance.version,
            facts=facts,
            encode=lambda step: self._encode(instance, step, request_id),
            queue=self._queue,
            meter=self._meter,
            clock=self._clock,
            step_seconds=self._settings.deadline_seconds,
            began=began,
            caller=terms.caller,
        )
        found.at_close(lambda: end(found.outcome))
        return found

    def _begin(
        self, instance: Instance, body: bytes, content_type: str, request_id: str, terms: Terms, began: float
    ) -> tuple[Stream, dict[str, Any]]:
        if not instance.streams:
            raise NoStream(
                "This model answers in one piece; it has no stream.",
                suggestion="Send Accept: application/json, or no Accept at all.",
            )
        self._door.check_stream(terms.rank)
        with self._codec.translated("decode", request_id):
            given, facts = self._codec.decode(instance, body, content_type, self._door.deadline(terms, began))
        longest = self._settings.stream_seconds
        seconds = longest if terms.timeout_seconds is None else min(terms.timeout_seconds, longest)
        stream = Stream(given, began + seconds, request_id, rank=terms.rank)
        stream.decoder = instance
        self._door.open(stream, terms.caller)
        return stream, facts

    def _encode(self, instance: Instance, step: Any, request_id: str) -> bytes:
        with self._codec.translated("encode", request_id):
            return self._codec.serialised(instance.model.encode(step), request_id)

    def _count(self, instance: Instance, outcome: str, began: float) -> None:
        self._meter.finished(
            outcome,
            model=instance.name,
            version=instance.version,
            total_seconds=self._clock() - began,
            queue_seconds=None,
            compute_seconds=None,
            result_class=None,
        )
