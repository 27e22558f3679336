"""One thing that is watched beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from collectors.sample import Tick
from config_target import TargetSettings

#: What can be asked of a target, in the order in which people read of it.
PROBES = ("http", "tcp", "dns", "ping", "process", "systemd", "docker", "push")

Origin = Literal["settings", "page"]


@dataclass(frozen=True, slots=True)
class Target:
    """A target and where it was named. One of the page holds :data:`config_target.PAGE_KEYS` only."""

    settings: TargetSettings
    origin: Origin = "settings"

    @property
    def name(self) -> str:
        """What it is called; unique among all targets."""
        return self.settings.name

    @property
    def probes(self) -> tuple[str, ...]:
        """The kinds of probes that it has."""
        return tuple(kind for kind in PROBES if getattr(self.settings, kind) is not None)


class Watch(Protocol):
    """One way of watching targets: probes, scrapes, logs. Has threads of its own between ``start`` and ``stop``."""

    def start(self) -> None:
        """Begin. Called once."""
        ...

    def stop(self) -> None:
        """End, without waiting for what hangs; what is known is in the database."""
        ...

    def replace(self, targets: Sequence[Target]) -> None:
        """Watch these from now on. What has not changed goes on as it was; series of what is gone end."""
        ...

    def collect(self, now_ms: int) -> list[Tick]:
        """What has come in since the last call, for the tick of ``now_ms``: quick, and without I/O.

        Times ascend strictly within a source; an empty tick ends all series of its source.
        """
        ...
