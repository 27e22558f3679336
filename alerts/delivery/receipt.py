"""What a service answers to a notice: it has taken it, or why it has not."""

from __future__ import annotations

from typing import NamedTuple


class Receipt(NamedTuple):
    """A service has taken a notice: in these words, and this is what it answered."""

    title: str
    body: str
    answer: str = ""


class DeliveryError(Exception):
    """A service did not take a notice; the message says why, without secrets.

    ``permanent``: the same notice will be refused again, however often it is sent. ``retry_after_seconds``: when the
    service wants to be asked again, where it said so. ``unclear``: it may have taken the notice all the same, since no
    answer came; None: assumed unless the error shows that there was one. An unclear notice is only ever sent again as
    it is and under the same key, never as part of a summary.
    """

    def __init__(
        self,
        message: str,
        permanent: bool = False,
        retry_after_seconds: float | None = None,
        unclear: bool | None = None,
    ) -> None:
        super().__init__(whole(message))
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
        self.unclear = not permanent and retry_after_seconds is None if unclear is None else unclear


def whole(text: str) -> str:
    """``text`` with ``?`` for every half of a surrogate pair: JSON may hold one, a database and a file cannot."""
    return text.encode("utf-8", "replace").decode()
