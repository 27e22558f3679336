"""One request's way through the host, on its own thread: decode, queue, wait, encode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from model.admission import Admission
from model.answer import Answer, Payload
from model.brownout import Brownout
from model.codec import Codec, can_be_lighter
from model.errors import NoVersion, Refusal
from model.exchange import Exchange, Order
from model.guard import Guard
from model.interface import BadInput
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
    facts: dict[str, Any] | None = None

    def answered(self, answer: Answer[Any]) -> None:
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
        self, instance: Instance, exchange: Exchange[Payload], request_id: str, terms: Terms = STANDARD
    ) -> Answer[Payload]:
        """Answer one request, all of its inputs or none. Raises :class:`BadInput` or a :class:`Refusal`."""
        account = _Account(instance.name, instance.version, self._clock())
        deadline = self._door.deadline(terms, account.began)
        question = Question(exchange, request_id, instance, instance.name, instance.version, account.began, deadline)

        def compute() -> Answer[Payload]:
            with self._guard.attempt(instance):
                self._door.check(terms.rank, deadline)
                return self._compute(instance, question, terms, account)

        with self._counted(account):
            answer = self._replies.answer(question, compute)
            account.answered(answer)
        return answer

    def run_without_model(
        self, exchange: Exchange[Payload], request_id: str, refusal: Refusal, model: str, version: str
    ) -> Answer[Payload]:
        """Answer one request while no model serves. Raises ``refusal`` when nothing can stand in."""
        account = _Account(model, version, self._clock())
        question = Question(exchange, request_id, None, model, version, account.began, account.began)
        with self._counted(account):
            answer = self._replies.stand_in(question, refusal)
            if answer is None:
                raise refusal
            account.answered(answer)
        return answer

    def _compute(
        self, instance: Instance, question: Question[Payload], terms: Terms, account: _Account
    ) -> Answer[Payload]:
        """Put the inputs through the model. The first that fails ends the request and drops those that wait."""
        exchange, request_id, deadline = question.exchange, question.request_id, question.deadline
        order, facts = self._codec.read(instance, exchange, deadline, request_id)
        account.facts = facts
        self._check_count(order)
        if (asked := order.terms(terms)) is not terms:
            terms, deadline = asked, self._door.deadline(asked, account.began)
            self._door.check(terms.rank, deadline)
        inputs, level = order.inputs, 0.0
        if can_be_lighter(instance.model) and (level := self._brownout.level()):
            inputs = self._codec.lightened(instance, inputs, level, request_id)
        works = [self._work(instance, given, deadline, request_id, terms) for given in inputs]
        del order, inputs  # only the queue and the batch hold them now
        account.work = works[-1]  # of one bucket, the last is served last: its times are those of the request
        self._door.await_all(works, terms, account.began)
        served_by: Instance = account.work.instance
        account.model, account.version = served_by.name, served_by.version
        # Before it counts as ok: nothing can go wrong any more.
        payload, result_class = self._codec.written(served_by, exchange, [work.result for work in works], request_id)
        queue_seconds, compute_seconds = _times(account.work)
        return Answer(
            payload=payload,
            result_class=result_class,
            model=account.model,
            version=account.version,
            outcome="ok",
            queue_seconds=queue_seconds or 0.0,
            compute_seconds=compute_seconds or 0.0,
            total_seconds=self._clock() - account.began,
            input=facts,
            brownout=level,
        )

    def _check_count(self, order: Order) -> None:
        count = len(order.inputs)
        if not 1 <= count <= self._queue.size:
            raise BadInput(f"A request carries 1 to {self._queue.size} inputs, not {count}.", 413 if count else 400)

    def _work(self, instance: Instance, given: Any, deadline: float, request_id: str, terms: Terms) -> Work:
        # By version, since another one may decode to something else.
        bucket = (instance.path, self._codec.bucket(instance, given, request_id))
        work = Work(given, deadline, request_id, rank=terms.rank, bucket=bucket)
        work.instance = instance
        return work

    @contextmanager
    def _counted(self, account: _Account) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            account.outcome = outcome_of(error)
            if isinstance(error, (BadInput, Refusal)) and not isinstance(error, NoVersion):
                error.version, error.facts = account.version, account.facts
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
