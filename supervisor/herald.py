"""Brings a word to every channel, again and again until it is taken, across restarts of the supervisor."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from supervisor.memo import Memo

log = logging.getLogger("wakeless.supervisor")

RETRY_SECONDS, MAX_RETRY_SECONDS = 10.0, 300.0
GIVE_UP_SECONDS = 24 * 3600.0
#: Apprise and the service together; then the child is ended and the word is tried again.
ERRAND_SECONDS = 45.0


class OnItsWay(Protocol):
    """An errand that somebody runs."""

    def result(self, now: float) -> str | None:
        """Why it failed, empty when it did not, ``None`` while it is under way."""
        ...

    def end(self) -> None:
        """Stop it at once."""
        ...


#: Starts an errand: the order and its deadline in monotonic seconds. Raises ``OSError``.
Send = Callable[[dict[str, Any], float], OnItsWay]


@dataclass
class Letter:
    """A word for one channel."""

    channel: str
    title: str
    body: str
    kind: str  #: Apprise's: failure or success
    written_ms: int
    attempts: int = 0


class Herald:
    """``urls`` are Apprise URLs. A channel gets its letters one by one and never waits for another channel."""

    def __init__(
        self, data_dir: Path, urls: Sequence[str], send: Send, jitter: Callable[[], float] = random.random
    ) -> None:
        self._memo = Memo(data_dir / "letters.json")
        self._urls = {channel_name(url): url for url in urls}
        self._send = send
        self._jitter = jitter
        self._under_way: dict[str, OnItsWay] = {}
        self._rest_until: dict[str, float] = {}
        self._letters: list[Letter] = []

    def resume(self) -> None:
        """Take up the letters that an earlier supervisor could not deliver."""
        for entry in self._memo.read().get("letters", []):
            try:
                letter = Letter(**entry)
            except TypeError:
                continue
            if letter.channel in self._urls:
                self._letters.append(letter)

    @property
    def waiting(self) -> int:
        """Letters that nobody has taken yet."""
        return len(self._letters)

    def tell(self, title: str, body: str, *, good: bool, now_ms: int) -> None:
        """Write a letter for every channel. Good news takes the place of bad news that nobody has got yet."""
        if good:
            self._letters = [letter for letter in self._letters if self._is_under_way(letter)]
        kind = "success" if good else "failure"
        self._letters += [Letter(channel, title, body, kind, now_ms) for channel in self._urls]
        self._keep()

    def look(self, now: float, now_ms: int) -> None:
        """See what has arrived and send what is due; ``now`` in monotonic seconds."""
        for channel in self._urls:
            letter = next((letter for letter in self._letters if letter.channel == channel), None)
            if letter is None:
                continue
            if channel in self._under_way:
                self._hear(letter, now, now_ms)
            elif now >= self._rest_until.get(channel, 0.0):
                self._start(letter, now)

    def close(self) -> None:
        """Let go of errands under way; their letters are still on record."""
        for errand in self._under_way.values():
            errand.end()
        self._under_way.clear()

    def _is_under_way(self, letter: Letter) -> bool:
        first = next(each for each in self._letters if each.channel == letter.channel)
        return letter is first and letter.channel in self._under_way

    def _start(self, letter: Letter, now: float) -> None:
        order = {
            "errand": "notice",
            "url": self._urls[letter.channel],
            "title": letter.title,
            "body": letter.body,
            "kind": letter.kind,
        }
        try:
            self._under_way[letter.channel] = self._send(order, now + ERRAND_SECONDS)
        except OSError as error:
            self._failed(letter, f"no process for it: {error.strerror}", now)

    def _hear(self, letter: Letter, now: float, now_ms: int) -> None:
        problem = self._under_way[letter.channel].result(now)
        if problem is None:
            return
        del self._under_way[letter.channel]
        if not problem:
            log.info("%s has been told: %s", letter.channel, letter.title)
            self._letters.remove(letter)
        elif now_ms - letter.written_ms >= GIVE_UP_SECONDS * 1000:
            log.error("%s is not told, given up: %s", letter.channel, problem)
            self._letters.remove(letter)
        else:
            self._failed(letter, problem, now)
        self._keep()

    def _failed(self, letter: Letter, problem: str, now: float) -> None:
        letter.attempts += 1
        wait = min(RETRY_SECONDS * 2.0 ** min(letter.attempts - 1, 10), MAX_RETRY_SECONDS)
        self._rest_until[letter.channel] = now + wait * (0.8 + 0.4 * self._jitter())
        log.warning("%s could not be told (attempt %s): %s", letter.channel, letter.attempts, problem)

    def _keep(self) -> None:
        if self._letters:
            self._memo.write({"letters": [asdict(letter) for letter in self._letters]})
        else:
            self._memo.forget()


def channel_name(url: str) -> str:
    """How the alerts call the same channel: its scheme and six hex digits of its hash, nothing secret."""
    scheme, separator, _ = url.partition("://")
    digest = hashlib.sha256(url.encode()).hexdigest()[:6]
    return f"{scheme.lower()[:20] if separator else 'unknown'}-{digest}"
