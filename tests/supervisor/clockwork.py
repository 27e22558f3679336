"""Fakes of what lies outside the supervisor: errands that a test ends by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeErrand:
    """An errand under way; set ``answer`` to end it: empty when it went well."""

    order: dict[str, Any]
    deadline: float
    answer: str | None = None
    ended: bool = False

    def result(self, now: float) -> str | None:
        return "no answer in time" if self.answer is None and now >= self.deadline else self.answer

    def end(self) -> None:
        self.ended = True


@dataclass
class FakePost:
    """Starts errands and remembers them."""

    sent: list[FakeErrand] = field(default_factory=list)
    broken: bool = False

    def __call__(self, order: dict[str, Any], deadline: float) -> FakeErrand:
        if self.broken:
            raise OSError(12, "Cannot allocate memory")
        self.sent.append(FakeErrand(order, deadline))
        return self.sent[-1]
