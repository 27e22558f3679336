"""An outbound heartbeat: who hears nothing any more knows that the machine is dead.

The URL is called as healthchecks.io documents it: as it is while the server lives, with ``/fail`` while it does not.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from supervisor.herald import OnItsWay, Send

log = logging.getLogger("wakeless.supervisor")

#: Seconds for one call, start of the child included.
ERRAND_SECONDS = 15.0
#: Wait after a call that failed, where the heartbeat itself is slower.
RETRY_SECONDS = 10.0


class Heartbeat:
    """Calls ``url`` every ``seconds``, give or take a tenth, so that not all servers call at the same moment."""

    def __init__(self, url: str, seconds: float, send: Send, jitter: Callable[[], float] = random.random) -> None:
        self._url = url
        self._seconds = seconds
        self._send = send
        self._jitter = jitter
        self._next = 0.0
        self._said: Literal["live", "down"] | None = None
        self._under_way: OnItsWay | None = None
        self._failing = False

    def look(self, now: float, state: Literal["live", "down", "unsure"], why: str = "") -> None:
        """Hear how the last call went, and make the next when it is due. ``unsure`` (a restart) calls nobody.

        A change between live and down is told at once.
        """
        if self._under_way is not None:
            self._hear(self._under_way, now)
            return
        if state == "unsure" or (now < self._next and state == self._said):
            return
        if now < self._next and self._failing:
            return  # a service that does not answer is not asked more often because there is more to say
        self._said = state
        self._next = now + self._seconds * (0.9 + 0.2 * self._jitter())
        order = {"errand": "ping", "url": self._url, "body": ""}
        if state == "down":
            order |= {"url": fail_url(self._url), "body": why or "down"}
        try:
            self._under_way = self._send(order, now + ERRAND_SECONDS)
        except OSError as error:
            self._failed(f"no process for it: {error.strerror}", now)

    def close(self) -> None:
        """Let go of a call under way."""
        if self._under_way is not None:
            self._under_way.end()
            self._under_way = None

    def _hear(self, errand: OnItsWay, now: float) -> None:
        problem = errand.result(now)
        if problem is None:
            return
        self._under_way = None
        if problem:
            self._failed(problem, now)
        elif self._failing:
            self._failing = False
            log.info("the heartbeat is heard again")

    def _failed(self, problem: str, now: float) -> None:
        if not self._failing:
            log.warning("the heartbeat is not heard: %s", problem)
        self._failing = True
        self._next = min(self._next, now + max(RETRY_SECONDS, self._seconds / 4))


def fail_url(url: str) -> str:
    """``url`` with ``/fail`` at the end of its path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
