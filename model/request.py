"""One request's way through the host, on its own thread: decode, queue, wait, encode."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from model.admission import Admission
from model.answer import Answer as Answer
from model.answer import class_of
from model.brownout import Brownout
from model.codec import Codec
from model.errors import Refusal
from model.exchange import Exchange, Order, Outcome, Payload, presented
from model.guard import Guard
from model.interface import BadInput, Model
from model.loader import Instance
from model.meter import InferenceMeter
from model.queue import Work, WorkQueue
from model.reply import Question, Replies
from model.terms import STANDARD, Terms

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Account:
    """What the meter will be told about one request, filled in on the way."""

    model: str
    version: str
    began: float
    outcome: str = "error"
    work: Work | None = None
    result_class: str | None = None

    def answered(self, answer: Answer) -> None:
        """It ended well, whoever the answer is from."""
        self.outcome, self.result_class = answer.outcome, answer.result_class


class RequestPath:
    """Carries requests from their threads to the model thread and back, and counts each of them exactly once."""

    def __init__(
        self,
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
        self._queue = queue
        self._meter = meter
        self._clock = clock
        self._door = door
        self._codec = codec
        self._guard = guard
        self._replies = replies
        self._brownout = brownout

    def run(
        self, instance: Instance, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD
    ) -> Answer:
        """Answer one request. Raises :class:`BadInput` or a :class:`Refusal`."""
        account = _Account(instance.name, instance.version, self._clock())
        deadline = self._door.deadline(terms, account.began)

        def decode() -> tuple[Any, dict[str, Any]]:
            with self._codec.translated("decode", request_id):
                return self._codec.decode(instance, body, content_type, deadline)

        def compute() -> Answer:
            with self._guard.attempt(instance):
                self._door.check(terms.rank, deadline)
                return self._compute(instance, decode, deadline, request_id, terms, account)

        question = Question(
            body, content_type, request_id, instance, instance.name, instance.version, account.began, deadline, decode
        )
        with self._counted(account):
            answer = self._replies.answer(question, compute)
            account.answered(answer)
        return answer

    def _compute(
        self,
        instance: Instance,
        decode: Callable[[], tuple[Any, dict[str, Any]]],
        deadline: float,
        request_id: str,
        terms: Terms,
        account: _Account,
    ) -> Answer:
        """Put one input through the model."""
        given, facts = decode()
        given, level = self._lightened(instance, given, request_id)
        work = account.work = self._work(instance, given, deadline, request_id, terms)
        del given  # only the queue and the batch hold the input now
        self._door.await_all([work], terms, account.began)
        served_by: Instance = work.instance
        account.model, account.version = served_by.name, served_by.version
        with self._codec.translated("encode", request_id):
            result = served_by.model.encode(work.result)
            json = self._codec.serialised(result, request_id)  # before it counts as ok: nothing can go wrong any more
        return self._answer(account, work, result, json, facts, level)

    def _lightened(self, instance: Instance, given: Any, request_id: str) -> tuple[Any, float]:
        """The input, made lighter while the queue is long, and how much."""
        if type(instance.model).lighter is Model.lighter or not (level := self._brownout.level()):
            return given, 0.0
        with self._codec.translated("lighter", request_id):
            return instance.model.lighter(given, level), level

    def run_exchange(
        self, instance: Instance, exchange: Exchange[Payload], request_id: str, terms: Terms = STANDARD
    ) -> Outcome[Payload]:
        """Answer one request of several inputs, all or none: the first that fails ends it and drops those that wait.

        It is counted as one request. Raises :class:`BadInput` or a :class:`Refusal`.
        """
        account = _Account(instance.name, instance.version, self._clock())
        deadline = self._door.deadline(terms, account.began)
        with self._counted(account), self._guard.attempt(instance):
            self._door.check(terms.rank, deadline)
            with self._codec.translated("decode", request_id):
                order, facts = self._read(instance, exchange, deadline)
            if (asked := order.terms(terms)) != terms:
                terms, deadline = asked, self._door.deadline(asked, account.began)
                self._door.check(terms.rank, deadline)
            works = [self._work(instance, given, deadline, request_id, terms) for given in order.inputs]
            del order  # only the queue and the batch hold the inputs now
            account.work = works[-1]  # of one bucket, the last is served last: its times are those of the request
            self._door.await_all(works, terms, account.began)
            served_by: Instance = account.work.instance
            account.model, account.version = served_by.name, served_by.version
            with self._codec.translated("encode", request_id):
                results = presented(served_by.model, [work.result for work in works])
                self._codec.refuse_nan(results, request_id)
                payload = exchange.write(served_by.model, results)
            account.result_class = class_of(results[0]) if len(results) == 1 else None
            account.outcome = "ok"
        queue_seconds, compute_seconds = _times(account.work)
        return Outcome(
            payload=payload,
            result_class=account.result_class,
            model=account.model,
            version=account.version,
            outcome=account.outcome,
            queue_seconds=queue_seconds or 0.0,
            compute_seconds=compute_seconds or 0.0,
            total_seconds=self._clock() - account.began,
            input=facts,
        )

    def run_without_model(
        self, body: bytes, content_type: str, request_id: str, refusal: Refusal, model: str, version: str
    ) -> Answer:
        """Answer one request while no model serves. Raises ``refusal`` when nothing can stand in."""
        account = _Account(model, version, self._clock())
        question = Question(body, content_type, request_id, None, model, version, account.began, account.began)
        with self._counted(account):
            answer = self._replies.without_model(question, refusal)
            if answer is None:
                raise refusal
            account.answered(answer)
        return answer

    def refuse(self, refusal: Refusal, model: str, version: str) -> Refusal:
        """Count a request that came while no model serves; returns the refusal to raise."""
        self._count(_Account(model, version, self._clock(), outcome=refusal.outcome))
        return refusal

    def _read(self, instance: Instance, exchange: Exchange[Any], deadline: float) -> tuple[Order, dict[str, Any]]:
        with self._codec.decoding(deadline):
            order = exchange.read(instance.model)
            count = len(order.inputs)
            if not 1 <= count <= self._queue.size:
                raise BadInput(f"A request carries 1 to {self._queue.size} inputs, not {count}.", 413 if count else 400)
            return order, instance.model.describe(order.inputs[0]) if count == 1 else {"inputs": count}

    def _work(self, instance: Instance, given: Any, deadline: float, request_id: str, terms: Terms) -> Work:
        bucket: Hashable = None
        if type(instance.model).bucket is not Model.bucket:
            with self._codec.translated("bucket", request_id):
                bucket = instance.model.bucket(given)
                hash(bucket)  # here it is the model's failure, in the queue it would be everybody's
        # By version, since another one may decode to something else.
        work = Work(given, deadline, request_id, rank=terms.rank, bucket=(instance.path, bucket))
        work.instance = instance
        return work

    @contextmanager
    def _counted(self, account: _Account) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            account.outcome = outcome_of(error)
            raise
        finally:
            self._count(account)

    def _count(self, account: _Account) -> None:
        work = account.work
        queue_seconds, compute_seconds = _times(work) if work is not None else (None, None)
        self._meter.finished(
            account.outcome,
            model=account.model,
            version=account.version,
            total_seconds=self._clock() - account.began,
            queue_seconds=queue_seconds,
            compute_seconds=compute_seconds,
            result_class=account.result_class,
        )

    def _answer(
        self, account: _Account, work: Work, result: Any, json: bytes, facts: dict[str, Any], level: float
    ) -> Answer:
        queue_seconds, compute_seconds = _times(work)
        return Answer(
            result=result,
            json=json,
            result_class=class_of(result),
            model=account.model,
            version=account.version,
            outcome="ok",
            queue_seconds=queue_seconds or 0.0,
            compute_seconds=compute_seconds or 0.0,
            total_seconds=self._clock() - account.began,
            input=facts,
            brownout=level,
        )


def outcome_of(error: BaseException) -> str:
    """How a request that ends with ``error`` counts."""
    if isinstance(error, BadInput):
        return "bad_input"
    if isinstance(error, Refusal):
        return error.outcome
    return "error" if isinstance(error, Exception) else "canceled"


def _times(work: Work) -> tuple[float | None, float | None]:
    """Seconds in the queue and in the model, as far as the work got."""
    if work.started is None:
        return None, None
    computed = work.finished - work.started if work.finished is not None else None
    return work.started - work.enqueued, computed


def wait_for_load(began: float | None, last_seconds: float | None, now: float) -> float:
    """``Retry-After`` while a model loads: what is left if it takes as long as last time, else a guess of 5 s."""
    if began is None or last_seconds is None:
        return 5.0
    return float(max(1, math.ceil(last_seconds - (now - began))))
