"""Finds the answer to a request: in the cache, from the model, or, where the model has none, from what stands in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog

from config import ModelSettings
from model.answer import Answer, Degraded, class_of
from model.cache import Kept, ResultCache
from model.errors import Refusal
from model.interface import BadInput, Model
from model.loader import Instance
from model.result import NotJson, to_json

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """One request: a body, whom it is put to (``instance`` is ``None`` while nothing serves), and since when."""

    body: bytes
    content_type: str
    request_id: str
    instance: Instance | None
    model: str
    version: str
    began: float
    deadline: float
    #: Decodes the body again, for a fallback: the input itself is gone once the model has had it.
    decode: Callable[[], tuple[Any, dict[str, Any]]] | None = None


class Replies:
    """Knows every source of answers but the model itself. Any thread may ask."""

    def __init__(self, settings: ModelSettings, cache: ResultCache, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._clock = clock
        self._default = None if settings.default_reply is None else settings.default_reply.encode()

    def answer(self, question: Question, compute: Callable[[], Answer]) -> Answer:
        """The best answer there is. Raises what ``compute`` raises when nothing can stand in for it."""
        key = self._key(question)
        try:
            return compute() if key is None else self._cached(key, question, compute)
        except Refusal as refusal:
            found = self._stand_in(key, question, refusal)
            if found is None:
                raise
            return found

    def without_model(self, question: Question, refusal: Refusal) -> Answer | None:
        """The answer while no model serves, if there is one."""
        return self._stand_in(self._key(question), question, refusal)

    def _key(self, question: Question) -> bytes | None:
        """``None`` where nothing may be cached."""
        if not self._cache.enabled or (question.instance is not None and not question.instance.model.deterministic):
            return None
        return ResultCache.key(question.model, question.version, question.body, question.content_type)

    def _cached(self, key: bytes, question: Question, compute: Callable[[], Answer]) -> Answer:
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

    def _hit(self, kept: Kept, question: Question) -> Answer:
        return replace(self._of_kept(kept, question), cache="hit")

    def _stand_in(self, key: bytes | None, question: Question, refusal: Refusal) -> Answer | None:
        if not refusal.degradable or refusal.reason == "disabled":
            return None
        found = self._fallback(question)
        if found is None and key is not None and (kept := self._cache.stale(key)) is not None:
            found = replace(self._of_kept(kept, question), outcome="stale", degraded="stale", result_class=None)
        if found is None and self._default is not None:
            found = self._made(question, "default", orjson.loads(self._default), self._default, {})
        if found is None:
            return None
        log.info("degraded_reply", reply=found.degraded, reason=refusal.reason, request_id=question.request_id)
        return replace(found, reason=refusal.reason or refusal.type)

    def _fallback(self, question: Question) -> Answer | None:
        """The model's own stand-in. Raises :class:`BadInput` when the input turns out to be at fault."""
        instance = question.instance
        if instance is None or question.decode is None or type(instance.model).fallback is Model.fallback:
            return None
        try:
            given, facts = question.decode()
            result = instance.model.encode(instance.model.fallback(given))
            return self._made(question, "fallback", result, to_json(result), facts)
        except (LookupError, Refusal):  # none for this input, or no time to decode it
            return None
        except BadInput:
            raise
        except NotJson as error:
            log.error("fallback_is_not_json", request_id=question.request_id, error=str(error))
        except (Exception, SystemExit):  # a plug-in may raise anything; the refusal stands
            log.exception("fallback_raised", request_id=question.request_id)
        return None

    def _made(self, question: Question, kind: Degraded, result: Any, json: bytes, facts: dict[str, Any]) -> Answer:
        """A stand-in; it names no class, so that the statistics are about what the model said."""
        return Answer(
            result=result,
            json=json,
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

    def _of_kept(self, kept: Kept, question: Question) -> Answer:
        return Answer(
            result=orjson.loads(kept.json),
            json=kept.json,
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


def _kept(answer: Answer, load: int, now: float) -> Kept:
    return Kept(
        json=answer.json,
        result_class=class_of(answer.result),
        model=answer.model,
        version=answer.version,
        input=answer.input,
        load=load,
        stored=now,
        brownout=answer.brownout,
    )
