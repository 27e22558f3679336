"""Plain values made fit to be shown to others: every text masked beside its name, and known secrets hidden."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from config import HIDDEN, SECRET_WORDS
from mask import mask

#: Characters of one value that are told, of a name, and how deep values lie in others.
_MOST_TEXT, _LONGEST, _DEPTH = 8000, 200, 12
#: Keys of settings whose values are hidden as a whole, wherever they stand: what is sent, and what is run.
_HIDDEN = frozenset(
    {*SECRET_WORDS, "channels", "heartbeat_url", "admin_password", "command", "username", "contains", "excludes"}
)
#: Shorter texts are words that stand elsewhere as well.
_LEAST_SECRET = 6


def clean(name: str, value: Any, how: Callable[[str], str] = mask, depth: int = 0) -> Any:
    """A value as others may see it; masked beside its name, which may be what tells that it is a secret."""
    if depth < _DEPTH and isinstance(value, Mapping):
        return {how(str(key)[:_LONGEST]): clean(str(key), inner, how, depth + 1) for key, inner in value.items()}
    if depth < _DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        return [clean(name, inner, how, depth + 1) for inner in value]
    if isinstance(value, (float, bool, type(None))):
        return value
    head = f"{name[:_LONGEST]}: "
    told = how(f"{head}{str(value)[:_MOST_TEXT]}")
    return value if isinstance(value, int) and told == f"{head}{value}" else told.removeprefix(head)


def without_secrets(section: BaseModel) -> dict[str, Any]:
    """Settings, or a part of them, with every secret hidden; of URLs the part that names a place is left."""
    found: dict[str, Any] = _hide(section.model_dump(mode="json"))
    return found


def secrets_in(section: BaseModel) -> frozenset[str]:
    """Every text in settings that may be a secret, so that it can be looked for elsewhere."""
    return frozenset(text for text in _secrets(section, hidden=False) if len(text) >= _LEAST_SECRET)


def scrubber(secrets: Collection[str]) -> Callable[[str], str]:
    """:func:`mask.mask`, before which known secrets are hidden."""
    longest_first = sorted(secrets, key=len, reverse=True)

    def scrub(text: str) -> str:
        for secret in longest_first:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return mask(text)

    return scrub


def _hide(value: Any, key: str = "") -> Any:
    if key in _HIDDEN and value not in (None, [], {}, ""):
        return HIDDEN
    if isinstance(value, dict):
        return {name: _hide(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hide(inner, key) for inner in value]
    return _place(value) if isinstance(value, str) and "://" in value else value


def _place(url: str) -> str:
    """A URL without its user, its query and its fragment: these may hold secrets, and so may its path."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    more = "/…" if len(parts.path) > 1 or parts.query or parts.fragment else parts.path
    return f"{parts.scheme}://{parts.hostname or ''}{port}{more}"


def _secrets(value: Any, *, hidden: bool) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield from _secrets(value.get_secret_value(), hidden=True)
    elif isinstance(value, BaseModel):
        for name, inner in value:
            yield from _secrets(inner, hidden=hidden or name in _HIDDEN)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, hidden=hidden or name in _HIDDEN)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secrets(inner, hidden=hidden)
    elif isinstance(value, str) and hidden:
        yield value
        # A token in the middle of a URL or of a header is one by itself as well.
        yield from (part for part in re.split(r"[\s/:@?&=#,;]+", value) if len(part) >= 2 * _LEAST_SECRET)
    elif isinstance(value, str) and "://" in value:
        yield from _url_secrets(value)


def _url_secrets(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from (part for part in (parts.password, parts.query, parts.fragment) if part)
    yield from (part.partition("=")[2] for part in parts.query.split("&"))
