"""Eyes on a server in trouble: ordinary requests that go on, and somebody who keeps loading the page."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

#: How long anyone waits for an answer.
PATIENCE_SECONDS = 60.0
_CLIENTS, _PAUSE_SECONDS = 4, 0.05


class Witness:
    """Four clients of ``/predict``, one of ``/login`` and one of ``/health/ready``; a connection for each request.

    As a context manager it runs in there. Times are UTC milliseconds.
    """

    def __init__(self, port: int, body: bytes = b'{"value": 1.5}') -> None:
        self._port = port
        self._body = body
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_CLIENTS)]
        self._threads += [threading.Thread(target=self._look, args=(path,), daemon=True) for path in _PAGES]
        #: When each was sent, its status, and whether it said when to come back.
        self._answers: list[tuple[int, int, bool]] = []
        #: When each good answer of a path came.
        self._good: dict[str, list[int]] = {path: [] for path in _PAGES}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def counts(self, since_ms: int) -> Counter[str]:
        """Ordinary requests ``answered``, told to come back (``refused``) and ``lost``."""
        return Counter(
            "answered" if status == 200 else "refused" if returns else "lost"
            for sent_ms, status, returns in list(self._answers)
            if sent_ms >= since_ms
        )

    def away_seconds(self, path: str, since_ms: int) -> float:
        """The longest time without a good answer."""
        moments = [since_ms, *(moment for moment in list(self._good[path]) if moment >= since_ms)]
        return max((later - before for before, later in itertools.pairwise(moments)), default=0) / 1000

    def first_good(self, path: str, since_ms: int) -> int | None:
        """When the first good answer after a moment came."""
        return next((moment for moment in list(self._good[path]) if moment > since_ms), None)

    def _ask(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            sent_ms = now_ms()
            status, returns = request(self._port, "POST", "/predict", self._body)
            self._answers.append((sent_ms, status, returns))

    def _look(self, path: str) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            if request(self._port, "GET", path)[0] == 200:
                self._good[path].append(now_ms())


PAGE, READY = "/login", "/health/ready"
_PAGES = (PAGE, READY)


def request(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bool]:
    """Status and whether it came with ``Retry-After``; status 0 where the connection ended without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After") is not None
    except (OSError, http.client.HTTPException):
        return 0, False
    finally:
        connection.close()


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def wait_for(look: Callable[[], object], what: str, within: float = 120.0) -> None:
    """Ask until the answer is true. Raises ``TimeoutError``."""
    deadline = time.monotonic() + within
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {within:.0f} s")
        time.sleep(0.02)
