"""Which of two versions a request goes to: by a hash, so that the same key always lands on the same side."""

from __future__ import annotations

from hashlib import blake2b

_BYTES = 6


def place(key: str, salt: str) -> float:
    """Where ``key`` stands, from 0 to just below 100, evenly spread; ``salt`` mixes anew for every comparison.

    A side that takes what stands below its share keeps what it has when the share grows.
    """
    digest = blake2b(f"{salt}\0{key}".encode(errors="surrogatepass"), digest_size=_BYTES).digest()
    return int.from_bytes(digest) * 100 / (1 << 8 * _BYTES)
