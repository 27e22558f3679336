"""A mail that is sent again has the same Message-ID, so that a mailbox can tell. Imports no Apprise of its own."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import make_msgid
from typing import Any

_KEY: ContextVar[str] = ContextVar("key", default="")


@contextmanager
def keyed(key: str) -> Iterator[None]:
    """Mails that this thread makes in here are those of ``key``."""
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)


def stamp(plugin: Any) -> None:
    """Have Apprise's plug-in for mail, if it is that one, take Message-IDs from here: it has no setting for them."""
    make = getattr(type(plugin), "prepare_emails", None)
    if make is not None:
        sys.modules[make.__module__].make_msgid = _message_id  # type: ignore[attr-defined]


def _message_id(idstring: str | None = None, domain: str | None = None) -> str:
    key = _KEY.get()
    if not key:
        return make_msgid(idstring, domain)
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain or 'wakeless'}>"
