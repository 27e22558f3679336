"""Whose an answer is, and what it is worth where it is not simply the model's: said at every door."""

from __future__ import annotations

from typing import Any, Protocol

#: Asked for with a request, and told with its answer.
VERSION = "X-Model-Version"


class Marked(Protocol):
    """An ``Answer`` or a ``Subscription`` of the model's host."""

    @property
    def version(self) -> str: ...
    @property
    def cache(self) -> str | None: ...
    @property
    def degraded(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def brownout(self) -> float: ...


def headers_of(answer: Marked) -> dict[str, str]:
    """``X-Model-Version``, and ``X-Cache``, ``X-Degraded`` and ``X-Brownout`` as far as they apply."""
    headers = version_header(answer.version)
    if answer.cache is not None:
        headers["X-Cache"] = answer.cache
    if answer.degraded is not None:
        headers["X-Degraded"] = answer.degraded
    if answer.brownout:
        headers["X-Brownout"] = f"{answer.brownout:g}"
    return headers


def version_header(version: str | None) -> dict[str, str]:
    """Which version made an answer; none where no model has been loaded, or its name is nothing for a header."""
    return {VERSION: version} if version and version.isascii() and version.isprintable() else {}


def members_of(answer: Marked) -> dict[str, Any]:
    """The members that a document has more for it; none for an answer that is simply the model's."""
    members: dict[str, Any] = {}
    if answer.degraded is not None:
        members |= {"degraded": answer.degraded, "reason": answer.reason or ""}
    if answer.brownout:
        members["brownout"] = answer.brownout
    return members
