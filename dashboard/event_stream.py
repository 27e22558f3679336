"""A result in steps as server-sent events: ``data`` for each, then ``event: done``, or ``event: error`` midway.

What stands in for the whole of it is one ``event: degraded``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import orjson
from flask import Response

from dashboard.inference import problem_of
from dashboard.mark import headers_of, members_of
from dashboard.problem import TITLES, TYPE_PREFIX, Problem
from model.errors import Refusal
from model.interface import BadInput

if TYPE_CHECKING:
    from model.subscription import Event, Subscription

CONTENT_TYPE = "text/event-stream"
#: A comment is sent after so many seconds without an event: proxies keep the connection, and a dead one is noticed.
HEARTBEAT_SECONDS = 5.0
_HEARTBEAT = b":\n\n"
#: Digits of the seconds in an answer: microseconds.
_DIGITS = 6
#: How an ending is told to the request log: a status, an outcome, and a sentence if it went wrong.
Record = Callable[[int, str, str | None], None]


class EventStream:
    """The body of an answer: reads a subscription, whose first event is there already, and closes it at the end.

    A reader that takes nothing does not hold it for ever: the supervisor limits how long a write may wait.
    """

    def __init__(
        self,
        subscription: Subscription,
        first: Event | Literal["end"],
        request_id: str,
        record: Record,
    ) -> None:
        self._subscription = subscription
        self._first: Event | Literal["end"] | None = first
        self._request_id = request_id
        self._record = record
        self._status = 200
        self._error: str | None = None
        self._over = False
        self._closed = False

    @property
    def headers(self) -> dict[str, str]:
        """What is known of its worth before it begins."""
        return headers_of(self._subscription)

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> bytes:
        if self._over:
            raise StopIteration
        try:
            first, self._first = self._first, None
            found = first if first is not None else self._subscription.read(HEARTBEAT_SECONDS)
        except (BadInput, Refusal) as error:  # told to the reader: the status has been sent long ago
            return self._failed(problem_of(error))
        if found == "nothing":
            return _HEARTBEAT
        if found == "end":
            self._over = True
            return _event("done", self._summary())
        return _event(None if found.kind == "data" else found.kind, found.json)

    def close(self) -> None:
        """Called by the server when the answer is out, or its reader has gone."""
        if self._closed:
            return
        self._closed = True
        self._subscription.close()
        canceled = "The caller hung up before the stream had ended." if not self._over else None
        self._record(self._status, self._subscription.outcome, self._error or canceled or self._subscription.reason)

    def _failed(self, problem: Problem) -> bytes:
        self._over = True
        self._status, self._error = problem.status, problem.detail
        document = {
            "type": TYPE_PREFIX + problem.type,
            "title": TITLES[problem.type],
            "status": problem.status,
            "detail": problem.detail,
            "request_id": self._request_id,
            **{name: value for name, value in problem.extra.items() if value is not None},
        }
        return _event("error", orjson.dumps(document, default=str))

    def _summary(self) -> bytes:
        found = self._subscription
        return orjson.dumps(
            {
                "request_id": self._request_id,
                "model": found.model,
                "version": found.version,
                "steps": found.steps,
                "timings": {
                    "queue_seconds": round(found.queue_seconds, _DIGITS),
                    "compute_seconds": round(found.compute_seconds, _DIGITS),
                    "total_seconds": round(found.total_seconds, _DIGITS),
                },
                **members_of(found),
            }
        )


def first_event(subscription: Subscription) -> Event | Literal["end"]:
    """Wait for the first event, so that what goes wrong before it has a status of its own."""
    while (found := subscription.read(HEARTBEAT_SECONDS)) == "nothing":
        continue
    return found


def event_response(events: EventStream) -> Response:
    """The answer whose body ``events`` is; nothing on the way may hold it back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **events.headers}
    return Response(events, content_type=CONTENT_TYPE, headers=headers, direct_passthrough=True)


def _event(kind: str | None, data: bytes) -> bytes:
    """One event. JSON has no line breaks, so it is one line of data."""
    name = b"" if kind is None else b"event: %s\n" % kind.encode()
    return b"%sdata: %s\n\n" % (name, data)
