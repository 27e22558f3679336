"""Finds the answer to a request: in the cache, from the model, or, where the model has none, from what stands in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic

import structlog

from config import ModelSettings
from model.answer import Answer, Degraded, Payload
from model.cache import Kept, ResultCache
from model.codec import Codec
from model.errors import Refusal
from model.exchange import Exchange
from model.interface import BadInput, Model
from model.loader import Instance

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question(Generic[Payload]):
    """One request: whom it is put to (``instance`` is ``None`` while nothing serves), and since when."""

    exchange: Exchange[Payload]
    request_id: str
    instance: Instance | None
    model: str
    version: str
    began: float
    deadline: float


class Replies:
    """Knows every source of answers but the model itself. Any thread may ask."""

    def __init__(self, settings: ModelSettings, cache: ResultCache, clock: Callable[[], float], codec: Codec) -> None:
        self._cache = cache
        self._clock = clock
        self._codec = codec
        self._default = None if settings.default_reply is None else settings.default_reply.encode()

    def answer(self, question: Question[Payload], compute: Callable[[], Answer[Payload]]) -> Answer[Payload]:
        """The best answer there is. Raises what ``compute`` raises when nothing can stand in for it."""
        key = self._key(question)
        try:
            return compute() if key is None else self._cached(key, question, compute)
        except Refusal as refusal:
            found = self._stand_in(key, question, refusal)
            if found is None:
                raise
            return found

    def stand_in(self, question: Question[Payload], refusal: Refusal) -> Answer[Payload] | None:
        """The answer to a request that the model did not answer, if there is one. Raises :class:`BadInput`."""
        return self._stand_in(self._key(question), question, refusal)

    def _key(self, question: Question[Any]) -> bytes | None:
        """``None`` where nothing may be cached."""
        if not self._cache.enabled or (question.instance is not None and not question.instance.model.deterministic):
            return None
        parts = question.exchange.question()
        return None if parts is None else ResultCache.key(question.model, question.version, *parts)

    def _cached(
        self, key: bytes, question: Question[Payload], compute: Callable[[], Answer[Payload]]
    ) -> Answer[Payload]:
        kept = self._cache.fresh(key)
        if kept is not None:
            return self._hit(kept, question)
        flight = self._cache.board(key)
        if flight is not None:
            kept = flight.wait(question.deadline - self._clock())
            if kept is not None:
                self._cache.shared()
                return self._hit(kept, question)
            return replace(compute(), cache="miss")  # the one that flew ahead failed: each for itself
        landed = None
        load = self._cache.loads(question.model, question.version)
        try:
            answer = compute()
            landed = _kept(answer, load, self._clock())
            # Not a lighter one, nor one of the version that a switch has just put in its place.
            if not answer.brownout and (answer.model, answer.version) == (question.model, question.version):
                self._cache.keep(key, landed)
            return replace(answer, cache="miss")
        finally:
            self._cache.land(key, landed)

    def _hit(self, kept: Kept, question: Question[Payload]) -> Answer[Payload]:
        return replace(self._of_kept(kept, question), cache="hit")

    def _stand_in(self, key: bytes | None, question: Question[Payload], refusal: Refusal) -> Answer[Payload] | None:
        if not refusal.degradable or refusal.reason == "disabled":
            return None
        found = self._fallback(question)
        if found is None and key is not None and (kept := self._cache.stale(key)) is not None:
            found = replace(self._of_kept(kept, question), outcome="stale", degraded="stale", result_class=None)
        if found is None:
            found = self._default_reply(question)
        if found is None:
            return None
        log.info("degraded_reply", reply=found.degraded, reason=refusal.reason, request_id=question.request_id)
        return replace(found, reason=refusal.reason or refusal.type)

    def _fallback(self, question: Question[Payload]) -> Answer[Payload] | None:
        """The model's own stand-in, for all inputs or none. Raises :class:`BadInput` if one is at fault."""
        instance = question.instance
        if instance is None or type(instance.model).fallback is Model.fallback:
            return None
        try:
            order, facts = self._codec.read(instance, question.exchange, question.deadline, question.request_id)
            results = self._codec.fallback(instance, order.inputs, question.request_id)
            payload, _ = self._codec.written(instance, question.exchange, results, question.request_id)
            return self._made(question, "fallback", payload, facts)
        except (LookupError, Refusal):  # none for this input, no time to decode it, or nothing that could be sent
            return None
        except BadInput:
            raise
        except (Exception, SystemExit):  # a plug-in may raise anything; the refusal stands
            log.exception("fallback_raised", request_id=question.request_id)
        return None

    def _default_reply(self, question: Question[Payload]) -> Answer[Payload] | None:
        if self._default is None:
            return None
        instance = question.instance
        payload = question.exchange.default(None if instance is None else instance.model, self._default)
        return None if payload is None else self._made(question, "default", payload, {})

    def _made(
        self, question: Question[Payload], kind: Degraded, payload: Payload, facts: dict[str, Any]
    ) -> Answer[Payload]:
        """A stand-in; it names no class, so that the statistics are about what the model said."""
        return Answer(
            payload=payload,
            result_class=None,
            model=question.model,
            version=question.version,
            outcome=kind,
            queue_seconds=0.0,
            compute_seconds=0.0,
            total_seconds=self._clock() - question.began,
            input=facts,
            degraded=kind,
        )

    def _of_kept(self, kept: Kept, question: Question[Payload]) -> Answer[Payload]:
        return Answer(
            payload=kept.payload,  # the key names the door as well, so it is of this one's kind
            result_class=kept.result_class,
            model=kept.model,
            version=kept.version,
            outcome="cached",
            queue_seconds=0.0,
            compute_seconds=0.0,
            total_seconds=self._clock() - question.began,
            input=kept.input,
            brownout=kept.brownout,
        )


def _kept(answer: Answer[Any], load: int, now: float) -> Kept:
    return Kept(
        payload=answer.payload,
        result_class=answer.result_class,
        model=answer.model,
        version=answer.version,
        input=answer.input,
        load=load,
        stored=now,
        brownout=answer.brownout,
    )
