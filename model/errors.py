"""Why a request got no answer: each refusal knows its HTTP status, its outcome in the statistics, when to come back.

``BadInput`` (the caller's fault) lives with the plug-in interface; everything here is the service's doing.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A request that was not answered.

    ``type`` is the stable slug of the problem document, ``outcome`` the label of ``inference_requests_total``,
    ``reason`` a machine-readable word or two, ``suggestion`` a sentence for the operator.
    """

    status: ClassVar[int] = 503
    type: ClassVar[str] = "refused"
    outcome: ClassVar[str] = "rejected"
    #: Whether something else may be answered instead: a fallback, an old answer, the default.
    degradable: ClassVar[bool] = False
    #: The version that the request had come to, and what ``describe`` said of its input, if it came so far.
    version: str | None = None
    facts: dict[str, Any] | None = None

    def __init__(
        self,
        detail: str,
        *,
        reason: str | None = None,
        retry_after_seconds: float | None = None,
        suggestion: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.suggestion = suggestion


class QueueFull(Refusal):
    """More requests wait than may."""

    status = 429
    type = "queue-full"
    degradable = True


class NotReady(Refusal):
    """No model can answer now: it is loading, it failed, or it is switched off."""

    status = 503
    type = "not-ready"
    degradable = True


class BreakerOpen(Refusal):
    """The model has failed too often of late, so it is not asked."""

    status = 503
    type = "breaker-open"
    degradable = True


class Draining(Refusal):
    """The server is about to stop."""

    status = 503
    type = "draining"


class DeadlineExceeded(Refusal):
    """The answer did not come in time; work that had not started was dropped."""

    status = 504
    type = "deadline-exceeded"
    outcome = "timeout"


class DeadlineUnreachable(DeadlineExceeded):
    """At the present pace the answer would come too late, so it is refused before it costs anything."""

    outcome = "rejected"


class Canceled(Refusal):
    """The caller hung up; nobody reads this answer. The status is the one that web servers log for it."""

    status = 499
    type = "canceled"
    outcome = "canceled"


class NoStream(Refusal):
    """A stream was asked for, and the model has none."""

    status = 406
    type = "not-acceptable"
    outcome = "bad_input"


class NoVersion(Refusal):
    """A version was asked for that is not loaded."""

    status = 404
    type = "no-such-version"
    outcome = "bad_input"


class OutOfMemory(Refusal):
    """This input alone does not fit into memory; others do."""

    status = 413
    type = "out-of-memory"
    outcome = "oom"


class InferenceFailed(Refusal):
    """The model's code raised, or broke its contract."""

    status = 500
    type = "inference-failed"
    outcome = "error"
    degradable = True


class DecodeFailed(InferenceFailed):
    """The model's ``decode`` raised something else than ``BadInput``: its fault, but brought about by the input."""

    degradable = False
