"""What an answer is worth, where it is not simply the model's: said in headers and in the document, at every door."""

from __future__ import annotations

from typing import Any, Protocol


class Marked(Protocol):
    """An ``Answer`` or a ``Subscription`` of the model's host."""

    @property
    def cache(self) -> str | None: ...
    @property
    def degraded(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def brownout(self) -> float: ...


def headers_of(answer: Marked) -> dict[str, str]:
    """``X-Cache``, ``X-Degraded`` and ``X-Brownout``, as far as they apply."""
    headers: dict[str, str] = {}
    if answer.cache is not None:
        headers["X-Cache"] = answer.cache
    if answer.degraded is not None:
        headers["X-Degraded"] = answer.degraded
    if answer.brownout:
        headers["X-Brownout"] = f"{answer.brownout:g}"
    return headers


def members_of(answer: Marked) -> dict[str, Any]:
    """The members that a document has more for it; none for an answer that is simply the model's."""
    members: dict[str, Any] = {}
    if answer.degraded is not None:
        members |= {"degraded": answer.degraded, "reason": answer.reason or ""}
    if answer.brownout:
        members["brownout"] = answer.brownout
    return members
