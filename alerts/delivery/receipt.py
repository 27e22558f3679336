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
    service wants to be asked again, where it said so.
    """

    def __init__(self, message: str, permanent: bool = False, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
