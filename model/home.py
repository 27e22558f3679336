"""What a canary asks of the engine on whose device it lives."""

from __future__ import annotations

from typing import Protocol

from model.breaker import Breaker
from model.loader import Instance
from model.plan import Plan


class Home(Protocol):
    """That engine, as far as it concerns the canary."""

    @property
    def instance(self) -> Instance | None:
        """What serves there."""
        ...

    @property
    def serving(self) -> bool:
        """Whether it takes requests now."""
        ...

    def begin(self, plan: Plan) -> bool:
        """Begin a load; ``False`` while there is another."""
        ...

    def breaker(self, instance: Instance) -> Breaker:
        """The breaker of its version."""
        ...

    def welcome(self, instance: Instance) -> None:
        """On the model thread: it answers what it decodes, from now on."""
        ...

    def dismiss(self, instance: Instance, why: str | None) -> None:
        """It gets no more requests; ``why`` it failed, where it was taken out."""
        ...
