"""One streamed request's way into the host, on its own thread: decode, open, and hand over what is to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config import ModelSettings
from model.admission import Admission
from model.brownout import Brownout
from model.codec import Codec, can_be_lighter
from model.errors import NoStream, Refusal
from model.exchange import Body
from model.guard import Guard
from model.interface import BadInput
from model.loader import Instance
from model.meter import InferenceMeter
from model.queue import Stream, WorkQueue
from model.reply import Question, Replies
from model.request import outcome_of
from model.subscription import Subscription
from model.terms import Terms


@dataclass(frozen=True, slots=True)
class _Opened:
    """A stream that has its place, facts about its input, and how much lighter that was made."""

    stream: Stream
    facts: dict[str, Any]
    brownout: float


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
        replies: Replies,
        brownout: Brownout,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._meter = meter
        self._clock = clock
        self._door = door
        self._codec = codec
        self._guard = guard
        self._replies = replies
        self._brownout = brownout

    def open(self, instance: Instance, body: bytes, content_type: str, request_id: str, terms: Terms) -> Subscription:
        """Begin a stream, or one event of what stands in for it. Raises :class:`BadInput` or a :class:`Refusal`."""
        began = self._clock()
        deadline = self._door.deadline(terms, began)
        question = Question(
            Body(body, content_type), request_id, instance, instance.name, instance.version, began, deadline
        )
        try:
            if not instance.streams:
                raise NoStream(
                    "This model answers in one piece; it has no stream.",
                    suggestion="Send Accept: application/json, or no Accept at all.",
                )
            end = self._guard.begin(instance)
            try:
                opened = self._begin(instance, question, terms)
            except BaseException:
                end("void")
                raise
        except Refusal as refusal:
            return self._substitute(question, refusal)
        except BaseException as error:
            if isinstance(error, BadInput):
                error.version = instance.version
            self._count(question, outcome_of(error))
            raise
        found = self._subscription(question, opened, lambda refusal: self._replies.stand_in(question, refusal), terms)
        found.at_close(lambda: end(found.verdict))
        return found

    def open_without_model(
        self, body: bytes, content_type: str, request_id: str, refusal: Refusal, model: str, version: str
    ) -> Subscription:
        """What stands in while no model serves, as one event. Raises ``refusal`` when nothing can."""
        now = self._clock()
        return self._substitute(Question(Body(body, content_type), request_id, None, model, version, now, now), refusal)

    def _begin(self, instance: Instance, question: Question[bytes], terms: Terms) -> _Opened:
        self._door.check_stream(terms.rank)
        request_id, level = question.request_id, 0.0
        order, facts = self._codec.read(instance, question.exchange, question.deadline, request_id)
        inputs = order.inputs
        if can_be_lighter(instance.model) and (level := self._brownout.level()):
            inputs = self._codec.lightened(instance, inputs, level, request_id)
        longest = self._settings.stream_seconds
        seconds = longest if terms.timeout_seconds is None else min(terms.timeout_seconds, longest)
        stream = Stream(inputs[0], question.began + seconds, request_id, rank=terms.rank)
        stream.decoder = instance
        self._door.open(stream, terms.caller)
        return _Opened(stream, facts, level)

    def _substitute(self, question: Question[bytes], refusal: Refusal) -> Subscription:
        """What stands in for a stream that never began: a stream that has ended with ``refusal`` already."""
        try:
            answer = self._replies.stand_in(question, refusal)
            if answer is None:
                raise refusal
        except BaseException as error:
            self._count(question, outcome_of(error))
            raise
        stream = Stream(None, question.deadline, question.request_id)
        stream.end(refusal)
        return self._subscription(question, _Opened(stream, answer.input, 0.0), lambda _: answer, None)

    def _subscription(
        self,
        question: Question[bytes],
        opened: _Opened,
        stand_in: Callable[[Refusal], Any],
        terms: Terms | None,
    ) -> Subscription:
        instance, request_id = question.instance, question.request_id

        def encode(step: Any) -> bytes:
            assert instance is not None, "a stream that begins has an instance"
            return self._codec.encoded(instance, step, request_id)

        return Subscription(
            opened.stream,
            model=question.model,
            version=question.version,
            facts=opened.facts,
            encode=encode,
            stand_in=stand_in,
            queue=self._queue,
            meter=self._meter,
            clock=self._clock,
            step_seconds=self._settings.deadline_seconds,
            began=question.began,
            caller=None if terms is None else terms.caller,
            brownout=opened.brownout,
        )

    def _count(self, question: Question[bytes], outcome: str) -> None:
        self._meter.finished(
            outcome,
            model=question.model,
            version=question.version,
            total_seconds=self._clock() - question.began,
            queue_seconds=None,
            compute_seconds=None,
            result_class=None,
        )
