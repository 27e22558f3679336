"""How an inference request ends, through whichever door it came: counted, in the request log, an error as a problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

from flask import current_app

from dashboard.body import UploadBudget
from dashboard.mark import version_header
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.request_id import current_request_id
from dashboard.services import Services, services
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


class Record(Protocol):
    """Notes an answer; ``why`` is the reason of one that something else stood in for."""

    def __call__(self, answer: Ending, why: str | None = None) -> None: ...


def recorded() -> AbstractContextManager[Record]:
    """As :func:`recording`, for the request at hand."""
    return recording(services(), current_request_id() or "")


@contextmanager
def recording(rooms: Services, request_id: str) -> Iterator[Record]:
    """Record how a request ends: by calling what is yielded with the answer, or by an exception.

    :class:`BadInput` and a :class:`Refusal` are raised again as the :class:`Problem` that they are to the caller.
    """
    started = time.perf_counter()

    def record(
        status: int, outcome: str, error: str | None, answer: Ending | None = None, version: str | None = None
    ) -> None:
        _add(rooms, request_id, status, outcome, started, error, answer, version)

    try:
        yield lambda answer, why=None: record(200, answer.outcome, why, answer)
    except Problem as error:  # the input never reached the model
        outcome = "rejected" if error.status == 429 else "bad_input"
        _count_unread(rooms, outcome, started)
        record(error.status, outcome, error.detail)
        raise
    except BadInput as error:
        record(error.status, "bad_input", error.detail, version=error.version)
        raise problem_of(error) from error
    except Refusal as error:
        record(error.status, error.outcome, error.detail, version=error.version)
        raise problem_of(error) from error


def recorder() -> Callable[[int, str, str | None, Ending], None]:
    """As :func:`recorded`, for an answer that ends after its request: for status, outcome, error."""
    found, request_id, started = services(), current_request_id() or "", time.perf_counter()

    def record(status: int, outcome: str, error: str | None, answer: Ending) -> None:
        _add(found, request_id, status, outcome, started, error, answer)

    return record


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


def _add(
    rooms: Services,
    request_id: str,
    status: int,
    outcome: str,
    started: float,
    error: str | None,
    answer: Ending | None,
    version: str | None = None,
) -> None:
    model, serving = (answer.model, answer.version) if answer else _serving(rooms)
    rooms.requests.add(
        RequestEntry(
            request_id=request_id,
            time_ms=now_ms(),
            status=status,
            outcome=outcome,
            result_class=answer.result_class if answer else None,
            model=model,
            version=version or serving,
            total_seconds=time.perf_counter() - started,
            queue_seconds=answer.queue_seconds if answer else None,
            compute_seconds=answer.compute_seconds if answer else None,
            input=answer.input if answer else {},
            error=error,
        )
    )


def _count_unread(rooms: Services, outcome: str, started: float) -> None:
    """Count a request that ended before the model's host saw it; the host counts the others itself."""
    model, version = _serving(rooms)
    rooms.meters.finished(
        outcome,
        model=model,
        version=version,
        total_seconds=time.perf_counter() - started,
        queue_seconds=None,
        compute_seconds=None,
        result_class=None,
    )


def _serving(rooms: Services) -> tuple[str, str]:
    """Name and version of what serves, or of what served last."""
    status = rooms.model.status()
    return status.model, status.version
