"""One request's way through the host, on its own thread: decode, queue, wait, encode."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from config import ModelSettings
from model.errors import DeadlineExceeded, Draining, InferenceFailed, OutOfMemory, QueueFull, Refusal
from model.exchange import Exchange, Order, Outcome, Payload
from model.fault import brief, classify
from model.interface import BadInput
from model.loader import Instance
from model.meter import InferenceMeter
from model.progress import Progress
from model.queue import Work, WorkQueue
from model.result import NotJson, to_json

log = structlog.get_logger(__name__)

#: ``Retry-After`` of a server that stops, as far as that can be known: a restart takes a few seconds.
_RESTART_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, the same as ``json``, and what it cost. ``input`` holds facts that are safe to log."""

    result: Any
    json: bytes
    result_class: str | None
    model: str
    version: str
    outcome: str
    queue_seconds: float
    compute_seconds: float
    total_seconds: float
    input: dict[str, Any]


@dataclass(slots=True)
class _Account:
    """What the meter will be told about one request, filled in on the way."""

    model: str
    version: str
    began: float
    outcome: str = "error"
    work: Work | None = None
    result_class: str | None = None


class RequestPath:
    """Carries requests from their threads to the model thread and back, and counts each of them exactly once."""

    def __init__(
        self,
        settings: ModelSettings,
        queue: WorkQueue,
        progress: Progress,
        meter: InferenceMeter,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._progress = progress
        self._meter = meter
        self._clock = clock
        # A decoded image is many times its file: hundreds of threads must not hold one each while they wait for a core.
        self._decoders = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))

    def run(self, instance: Instance, body: bytes, content_type: str, request_id: str) -> Answer:
        """Answer one request. Raises :class:`BadInput` or a :class:`Refusal`."""
        account = _Account(instance.name, instance.version, self._clock())
        deadline = account.began + self._settings.deadline_seconds
        with self._counted(account):
            if self._queue.full:
                raise self._queue_full()
            with self._translated("decode", request_id):
                given, facts = self._decode(instance, body, content_type, deadline)
            work = account.work = Work(given, deadline, request_id)
            del given  # only the queue and the batch hold the input now
            self._await_all([work])
            served_by: Instance = work.instance
            account.model, account.version = served_by.name, served_by.version
            with self._translated("encode", request_id):
                result = served_by.model.encode(work.result)
                json = _serialised(result, request_id)  # before it counts as ok: nothing can go wrong with it any more
            account.result_class = _class_of(result)
            account.outcome = "ok"
        return self._answer(account, work, result, json, facts)

    def run_exchange(self, instance: Instance, exchange: Exchange[Payload], request_id: str) -> Outcome[Payload]:
        """Answer one request of several inputs, all or none: the first that fails ends it and drops those that wait.

        It is counted as one request. Raises :class:`BadInput` or a :class:`Refusal`.
        """
        account = _Account(instance.name, instance.version, self._clock())
        with self._counted(account):
            if self._queue.full:
                raise self._queue_full()
            with self._translated("decode", request_id):
                order, facts = self._read(instance, exchange, account.began + self._settings.deadline_seconds)
            seconds = min(self._settings.deadline_seconds, order.timeout_seconds or self._settings.deadline_seconds)
            works = [Work(given, account.began + seconds, request_id) for given in order.inputs]
            del order  # only the queue and the batch hold the inputs now
            account.work = works[-1]  # the queue is first in, first out: its times are those of the request
            self._await_all(works)
            served_by: Instance = account.work.instance
            account.model, account.version = served_by.name, served_by.version
            with self._translated("encode", request_id):
                results = [served_by.model.encode(work.result) for work in works]
                payload = exchange.write(served_by.model, results)
            account.result_class = _class_of(results[0]) if len(results) == 1 else None
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

    def refuse(self, refusal: Refusal, model: str, version: str) -> Refusal:
        """Count a request that came while no model serves; returns the refusal to raise."""
        self._count(_Account(model, version, self._clock(), outcome=refusal.outcome))
        return refusal

    def _decode(
        self, instance: Instance, body: bytes, content_type: str, deadline: float
    ) -> tuple[Any, dict[str, Any]]:
        with self._decoding(deadline):
            given = instance.model.decode(body, content_type)
            return given, instance.model.describe(given)

    def _read(self, instance: Instance, exchange: Exchange[Any], deadline: float) -> tuple[Order, dict[str, Any]]:
        with self._decoding(deadline):
            order = exchange.read(instance.model)
            count = len(order.inputs)
            if not 1 <= count <= self._queue.size:
                raise BadInput(f"A request carries 1 to {self._queue.size} inputs, not {count}.", 413 if count else 400)
            return order, instance.model.describe(order.inputs[0]) if count == 1 else {"inputs": count}

    @contextmanager
    def _decoding(self, deadline: float) -> Iterator[None]:
        if not self._decoders.acquire(timeout=max(0.0, deadline - self._clock())):
            raise DeadlineExceeded("The deadline passed before the input could be decoded.", retry_after_seconds=1.0)
        try:
            yield
        finally:
            self._decoders.release()

    def _await_all(self, works: Sequence[Work]) -> None:
        """Queue the works and wait for all; whatever ends the wait, what has not started is dropped."""
        try:
            for work in works:
                self._offer(work)
            for work in works:
                self._wait(work)
        except BaseException:
            for work in works:
                self._queue.abandon(work)
            raise

    def _offer(self, work: Work) -> None:
        if self._queue.offer(work):
            return
        if self._queue.closed:
            raise Draining("The server is stopping.", reason="draining", retry_after_seconds=_RESTART_SECONDS)
        raise self._queue_full()

    def _wait(self, work: Work) -> None:
        settled = work.wait(work.deadline - self._clock())
        if not settled and not work.settled:
            dropped = self._queue.abandon(work)
            where = "waited in the queue" if dropped else "was being computed"
            raise DeadlineExceeded(
                f"No answer within the request's time ({self._settings.deadline_seconds:g} s at most): it {where}.",
                retry_after_seconds=self._drain_seconds(),
            )
        if work.error is not None:
            raise work.error

    def _queue_full(self) -> QueueFull:
        seconds = self._drain_seconds()
        return QueueFull(
            f"{self._queue.size} requests are waiting already; the queue will take about {seconds:.0f} s.",
            reason="queue_full",
            retry_after_seconds=seconds,
            suggestion="Send fewer requests at a time, or raise model.queue_size and model.batch_size.",
        )

    def _drain_seconds(self) -> float:
        return self._progress.drain_seconds(len(self._queue), self._queue.batch_size)

    @contextmanager
    def _counted(self, account: _Account) -> Iterator[None]:
        try:
            yield
        except BadInput:
            account.outcome = "bad_input"
            raise
        except Refusal as refusal:
            account.outcome = refusal.outcome
            raise
        except Exception:
            account.outcome = "error"
            raise
        except BaseException:
            account.outcome = "canceled"
            raise
        finally:
            self._count(account)

    @contextmanager
    def _translated(self, step: str, request_id: str) -> Iterator[None]:
        """What a plug-in raises beside :class:`BadInput` is its own failure, not the caller's nor the server's."""
        try:
            yield
        except (BadInput, Refusal):
            raise
        except BaseException as error:  # also SystemExit, which gunicorn would take for its own
            if classify(error) == "memory":
                raise OutOfMemory("This input needs more memory than there is.", reason="out_of_memory") from error
            log.exception(f"{step}_raised", request_id=request_id)
            raise InferenceFailed(f"The model's {step} failed.", reason=brief(error)) from error

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

    def _answer(self, account: _Account, work: Work, result: Any, json: bytes, facts: dict[str, Any]) -> Answer:
        queue_seconds, compute_seconds = _times(work)
        return Answer(
            result=result,
            json=json,
            result_class=account.result_class,
            model=account.model,
            version=account.version,
            outcome=account.outcome,
            queue_seconds=queue_seconds or 0.0,
            compute_seconds=compute_seconds or 0.0,
            total_seconds=self._clock() - account.began,
            input=facts,
        )


def _times(work: Work) -> tuple[float | None, float | None]:
    """Seconds in the queue and in the model, as far as the work got."""
    if work.started is None:
        return None, None
    computed = work.finished - work.started if work.finished is not None else None
    return work.started - work.enqueued, computed


def _serialised(result: Any, request_id: str) -> bytes:
    try:
        return to_json(result)
    except NotJson as error:
        log.error("result_is_not_json", request_id=request_id, error=str(error))
        raise InferenceFailed(
            f"The model's result is nothing that JSON can carry: {error}.",
            reason=error.reason,
            suggestion=error.suggestion,
        ) from error


def _class_of(result: Any) -> str | None:
    found = result.get("class") if isinstance(result, dict) else None
    return None if found is None else str(found)


def wait_for_load(began: float | None, last_seconds: float | None, now: float) -> float:
    """``Retry-After`` while a model loads: what is left if it takes as long as last time, else a guess of 5 s."""
    if began is None or last_seconds is None:
        return 5.0
    return float(max(1, math.ceil(last_seconds - (now - began))))
