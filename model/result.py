"""A result on its way out: what ``encode`` returned, as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson


class NotJson(Exception):
    """What ``encode`` returned is nothing that JSON can carry; the text names the type, or the rule that it breaks."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.reason = f"not_json: {why}"
        self.suggestion = "encode must return dicts with text keys, lists, text, numbers, true, false or None."


def to_json(encoded: Any) -> bytes:
    """``encoded`` as JSON: numpy arrays are lists, NaN and infinity null. Raises :class:`NotJson`."""
    try:
        return orjson.dumps(encoded, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise NotJson(str(error)) from None


def has_nan(encoded: Any) -> bool:
    """Whether NaN stands anywhere in what ``encode`` returned; JSON would turn it into null without a word."""
    if isinstance(encoded, float):
        return encoded != encoded
    if isinstance(encoded, dict):
        return any(has_nan(value) for value in encoded.values())
    if isinstance(encoded, (list, tuple)):
        return any(has_nan(value) for value in encoded)
    has_type = isinstance(encoded, (np.ndarray, np.floating)) and encoded.dtype.kind == "f"
    return has_type and bool(np.isnan(encoded).any())
