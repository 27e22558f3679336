"""What the engine of one device shares with the others, and what it asks of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from config import HealthSettings, ModelSettings
from model.brownout import Brownout
from model.cache import ResultCache
from model.canary import Canary
from model.codec import Codec
from model.meter import InferenceMeter
from model.probation import Probation
from model.release import Releases, Target
from model.reply import Replies

if TYPE_CHECKING:
    from model.engine import Engine


@dataclass(frozen=True, slots=True)
class Common:
    """What an engine shares with its host. ``clock`` gives seconds and never runs backwards."""

    settings: ModelSettings
    health: HealthSettings
    meter: InferenceMeter
    clock: Callable[[], float]
    releases: Releases
    probation: Probation
    cache: ResultCache
    codec: Codec
    replies: Replies
    brownout: Brownout
    canary: Canary


class Peers(Protocol):
    """What an engine asks of the replicas that it is one of."""

    def others_serve(self, engine: Engine) -> bool:
        """Whether requests can be answered without this one."""
        ...

    def vacate(self, engine: Engine) -> None:
        """Let no more requests go to this one, if others serve, and wait until it has answered those that it has."""
        ...

    def first_targets(self) -> Sequence[Target]:
        """What to load first."""
        ...

    def first_done(self, engine: Engine) -> None:
        """The first load has ended, well or not, or has been given up."""
        ...

    def reload(self, engine: Engine, cause: str) -> bool:
        """Load this one anew; ``False`` while a load is under way or none is possible."""
        ...
