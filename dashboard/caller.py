"""What is kept of who sends inputs, and of what kind they say these are: a family each, nothing that names a person."""

from __future__ import annotations

import re
from functools import lru_cache

_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
#: What browsers say beside Mozilla, the most telling first: all of them claim to be the ones after it.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))


@lru_cache(maxsize=256)
def client_of(agent: str | None) -> str:
    """The family of a caller's program by its ``User-Agent``: ``curl``, ``python-requests``, ``Chrome``."""
    if not agent:
        return "none"
    if agent.startswith("Mozilla/"):
        return next((name for mark, name in _BROWSERS if mark in agent), "browser")
    found = _PRODUCT.match(agent)
    return found[0] if found else "other"


@lru_cache(maxsize=256)
def kind_of(content_type: str) -> str:
    """A content type without its parameters: ``image/jpeg``."""
    if not content_type:
        return "none"
    found = _MEDIA_TYPE.fullmatch(content_type.partition(";")[0].strip().lower())
    return found[0] if found else "other"
