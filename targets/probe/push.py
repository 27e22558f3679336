"""Signs of life: who may send one, and by when the next is due."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable

#: Of the 256 bits of the digest, so many bytes are in a token: 192 bits, 32 characters.
_BYTES = 24
#: Characters of a message that are kept.
MAX_MESSAGE = 200


def push_token(key: bytes, name: str) -> str:
    """What stands in the URL of a target that expects signs of life; the same as long as the key and its name are."""
    digest = hmac.new(key, b"wakeless push\0" + name.encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest[:_BYTES]).decode()


def find_target(key: bytes, token: str, names: Iterable[str]) -> str | None:
    """The name that a token is for. Takes as long for one that is nearly right as for any other."""
    given = token.encode("utf-8", "replace")
    found = None
    for name in names:
        if hmac.compare_digest(push_token(key, name).encode(), given):
            found = name
    return found


class Deadline:
    """By when the next sign is due, in seconds of a clock that nobody sets: a step of the wall clock misses nothing."""

    def __init__(self, every_seconds: float, grace_seconds: float, counts_from: float) -> None:
        self.every_seconds = every_seconds
        self.grace_seconds = grace_seconds
        self._from = counts_from

    @classmethod
    def restore(
        cls,
        every_seconds: float,
        grace_seconds: float,
        *,
        since_ms: int,
        alive_ms: int,
        now_ms: int,
        now: float,
    ) -> Deadline:
        """That of a process before this one, which saw the last sign at ``since_ms`` and was there until ``alive_ms``.

        Where a sign may have come while nobody was there, nobody can say that it is missing: a whole period begins.
        """
        due_ms = since_ms + every_seconds * 1000
        first_ms, last_ms = due_ms - grace_seconds * 1000, due_ms + grace_seconds * 1000
        if since_ms > now_ms or (alive_ms < last_ms and first_ms < now_ms):
            return cls(every_seconds, grace_seconds, now)
        return cls(every_seconds, grace_seconds, now - (now_ms - since_ms) / 1000)

    def sign(self, now: float) -> None:
        """A sign has come."""
        self._from = now

    def is_missed(self, now: float) -> bool:
        """Whether the next sign should have been there by now."""
        return now - self._from > self.every_seconds + self.grace_seconds
