"""Signs of life over HTTP: a cron job calls an address of its own when it has done its work, or when it has failed.

The address is the authority; who has it can say that one target lives, and nothing else. No sign is refused for what
comes along with it.
"""

from __future__ import annotations

import math
import time
from typing import cast

from flask import Blueprint, Response, current_app, make_response, request, url_for
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from dashboard.access import require
from dashboard.moment import now_ms
from dashboard.problem import Problem, retry_after
from dashboard.services import services
from dashboard.throttle import LoginThrottle
from targets.probe.push import find_target, push_token

blueprint = Blueprint("push", __name__)

THROTTLE = "wakeless.push_throttle"
#: Signs a minute for one target; no target expects more than twelve.
PER_TARGET = 60
#: So much of a body is looked at, and of one that is longer than this nothing at all.
MAX_MESSAGE_BYTES = 2_000
MAX_BODY_BYTES = 1024 * 1024


class PushThrottle:
    """Makes guessing slow, and a caller that cannot stop harmless."""

    def __init__(self) -> None:
        self._guesses = LoginThrottle()
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._item: RateLimitItem = RateLimitItemPerMinute(PER_TARGET)

    def guess(self, peer: str | None) -> float | None:
        """Count an address that is none. Returns None, or the seconds to wait."""
        return self._guesses.attempt_link(peer)

    def sign(self, target: str) -> float | None:
        """Count a sign. Returns None if it may be taken, else the seconds to wait."""
        if self._window.hit(self._item, target):
            return None
        reset, _ = self._window.get_window_stats(self._item, target)
        return float(max(1, math.ceil(reset - time.time())))


def push_url(name: str) -> str:
    """Where a target's signs of life go, for whoever may read of it."""
    return url_for("push.sign", token=push_token(_key(), name), _external=True)


@blueprint.route("/push/<token>", methods=["GET", "POST"])
@require("link")
def sign(token: str) -> Response:
    """Take a sign of life; with ``?status=down`` one of failure, as Uptime Kuma has it."""
    return _take(token, ok=request.args.get("status", "up").lower() != "down")


@blueprint.route("/push/<token>/fail", methods=["GET", "POST"])
@require("link")
def fail(token: str) -> Response:
    """Take a sign that the work has failed."""
    return _take(token, ok=False)


def _take(token: str, *, ok: bool) -> Response:
    prober = services().targets.prober
    throttle = cast(PushThrottle, current_app.extensions[THROTTLE])
    target = find_target(_key(), token, prober.push_names())
    if target is None:
        _admit(throttle.guess(request.remote_addr))
        raise Problem(404, "not-found", "No target has this address.")
    _admit(throttle.sign(target))
    if prober.push(target, ok, _message(), now_ms()):
        return _say("ok", 200)
    return _say("ok, but this target is not watched now", 202)


def _admit(wait_seconds: float | None) -> None:
    if wait_seconds is not None:
        raise Problem(429, "too-many-attempts", "Too many at once.", headers=retry_after(wait_seconds))


def _message() -> str:
    """What the caller says: ``?msg=``, or the beginning of the body."""
    said = request.args.get("msg")
    if said is not None or request.method != "POST" or (request.content_length or 0) > MAX_BODY_BYTES:
        return said or ""
    return request.stream.read(MAX_MESSAGE_BYTES).decode("utf-8", "replace")


def _say(text: str, status: int) -> Response:
    response = make_response(f"{text}\n", status)
    response.mimetype = "text/plain"
    response.headers["Cache-Control"] = "no-store"
    return response


def _key() -> bytes:
    key = current_app.secret_key
    return key if isinstance(key, bytes) else str(key).encode()
