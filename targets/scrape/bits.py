"""A float by its bits: what tells the stale marker from any other NaN, and equal samples from different ones."""

from __future__ import annotations

import struct

_DOUBLE = struct.Struct("<d")
_WORD = struct.Struct("<Q")


def bits_of(value: float) -> int:
    """The 64 bits of a float."""
    found: int = _WORD.unpack(_DOUBLE.pack(value))[0]
    return found
