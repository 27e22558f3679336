"""A result on its way out: what ``encode`` returned, as JSON."""

from __future__ import annotations

from typing import Any

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
