"""How an inference request ends, through whichever door it came: counted, in the request log, an error as a problem."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

from flask import current_app

from dashboard.body import UploadBudget
from dashboard.caller import client_of, kind_of
from dashboard.mark import version_header
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.request_id import current_request_id
from dashboard.services import Services, services
from dashboard.traffic import exchange
from model.errors import Refusal
from model.interface import BadInput
from storage.record import RequestEntry

BUDGET = "wakeless.uploads"
#: When to come back if the refusal does not say.
RETRY_SECONDS = 5.0
_OVERLOAD = (429, 503, 504)


class Ending(Protocol):
    """What the request log keeps of an answer: an ``Answer`` or an ``Outcome`` of the model's host."""

    @property
    def outcome(self) -> str: ...
    @property
    def result_class(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def queue_seconds(self) -> float: ...
    @property
    def compute_seconds(self) -> float: ...
    @property
    def input(self) -> dict[str, Any]: ...


class Record:
    """Notes how one request ends: called with its answer, and ``why`` something else stood in for it, where it did."""

    __slots__ = ("_facts", "_request_id", "_rooms", "_route", "_started")

    def __init__(self, rooms: Services, request_id: str, route: str | None) -> None:
        self._rooms = rooms
        self._request_id = request_id
        self._route = route
        self._started = time.perf_counter()
        self._facts: dict[str, Any] = {}

    def came(self, size: int, content_type: str, agent: str | None) -> None:
        """The body is there: what is known of any input, also of one that nobody can read. ``size`` is in bytes."""
        self._facts = {"bytes": size, "content_type": kind_of(content_type), "client": client_of(agent)}

    def __call__(self, answer: Ending, why: str | None = None) -> None:
        self.note(200, answer.outcome, why, answer)

    def note(
        self,
        status: int,
        outcome: str,
        error: str | None,
        answer: Ending | None = None,
        version: str | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """One entry in the request log."""
        model, serving = (answer.model, answer.version) if answer else _serving(self._rooms)
        described = answer.input if answer else facts
        self._rooms.requests.add(
            RequestEntry(
                request_id=self._request_id,
                time_ms=now_ms(),
                status=status,
                outcome=outcome,
                result_class=answer.result_class if answer else None,
                model=model,
                version=version or serving,
                total_seconds=time.perf_counter() - self._started,
                queue_seconds=answer.queue_seconds if answer else None,
                compute_seconds=answer.compute_seconds if answer else None,
                input={**self._facts, **described} if described else self._facts,
                error=error,
                route=self._route,
            )
        )

    def unread(self, outcome: str) -> None:
        """Count a request that ended before the model's host saw it; the host counts the others itself."""
        model, version = _serving(self._rooms)
        self._rooms.meters.finished(
            outcome,
            model=model,
            version=version,
            total_seconds=time.perf_counter() - self._started,
            queue_seconds=None,
            compute_seconds=None,
            result_class=None,
        )


def recorded() -> AbstractContextManager[Record]:
    """As :func:`recording`, for the request at hand."""
    found = exchange()
    return recording(services(), current_request_id() or "", found.route if found else None)


@contextmanager
def recording(rooms: Services, request_id: str, route: str | None) -> Iterator[Record]:
    """Record how a request ends: by calling what is yielded with the answer, or by an exception.

    :class:`BadInput` and a :class:`Refusal` are raised again as the :class:`Problem` that they are to the caller.
    """
    record = Record(rooms, request_id, route)
    try:
        yield record
    except Problem as error:  # the input never reached the model
        outcome = "rejected" if error.status == 429 else "bad_input"
        record.unread(outcome)
        record.note(error.status, outcome, error.detail)
        raise
    except BadInput as error:
        record.note(error.status, "bad_input", error.detail, version=error.version, facts=error.facts)
        raise problem_of(error) from error
    except Refusal as error:
        record.note(error.status, error.outcome, error.detail, version=error.version, facts=error.facts)
        raise problem_of(error) from error


def problem_of(error: BadInput | Refusal) -> Problem:
    """What the caller is told of it."""
    if isinstance(error, BadInput):
        return Problem(error.status, "bad-input", error.detail, headers=version_header(error.version))
    return _problem(error)


def upload_budget() -> UploadBudget:
    """What bodies may hold together."""
    return cast(UploadBudget, current_app.extensions[BUDGET])


def _problem(error: Refusal) -> Problem:
    headers = version_header(error.version)
    if error.status in _OVERLOAD or error.retry_after_seconds is not None:
        headers |= retry_after(error.retry_after_seconds if error.retry_after_seconds is not None else RETRY_SECONDS)
    return Problem(
        error.status, error.type, error.detail, headers=headers, reason=error.reason, suggestion=error.suggestion
    )


def _serving(rooms: Services) -> tuple[str, str]:
    """Name and version of what serves, or of what served last."""
    status = rooms.model.status()
    return status.model, status.version
