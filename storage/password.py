"""Passwords as argon2id, tuned for a small server: about 50 ms of one core and 19 MiB for one verification."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: OWASP's memory cost; two passes more than its minimum. One lane, since logins are rare and cores few.
_HASHER = PasswordHasher(time_cost=4, memory_cost=19 * 1024, parallelism=1)
#: One at a time: a flood of logins then queues up, instead of taking every core and 19 MiB for each.
_TURN = threading.Lock()
#: What an unknown user's password is verified against, so that the time of the answer tells nothing. Made when first
#: needed: importing this module should cost nothing.
_dummy: str | None = None


def hash_password(password: str) -> str:
    """The encoded argon2id hash of a password, with a new salt."""
    with _TURN:
        return _HASHER.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password fits; with None for an unknown user it takes as long and is never true."""
    global _dummy
    with _TURN:
        if password_hash is None and _dummy is None:
            _dummy = _HASHER.hash("no user has this password")
        try:
            return _HASHER.verify(password_hash or _dummy or "", password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)
