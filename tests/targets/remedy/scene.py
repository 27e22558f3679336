"""A ladder on a real database, with time driven by hand and deeds done when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Engine, insert, update

from config_target import TargetSettings
from storage.record import AuditLog
from storage.tables import TargetOutageRow
from targets.probe.state import ProbeState
from targets.remedy.command import Ended
from targets.remedy.ladder import Ladder
from targets.remedy.log import RemedyEntry
from targets.target import Target

T0 = 1_800_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
HTTP = {"url": "http://127.0.0.1:9/health", "interval": 5, "fails": 2}


def target(*remedies: Mapping[str, Any], name: str = "comfyui", **more: Any) -> TargetSettings:
    """A target with these rungs."""
    settings = {"http": HTTP, "name": name, "remedies": list(remedies)} | more
    return TargetSettings.model_validate({key: value for key, value in settings.items() if value is not None})


def restart(**more: Any) -> dict[str, Any]:
    """A rung that runs a program, played by the scene."""
    return {"command": ["restart"], "cool_down": 0, "help_within": 60} | more


class Scene:
    """One process: ``die()`` begins another on the same database, which knows only what was written."""

    def __init__(self, database: Engine, settings: TargetSettings, **options: Any) -> None:
        self.database = database
        self.settings = settings
        self.options = options
        self.now_ms = T0
        self.ran: list[tuple[str, ...]] = []
        self.waiting: deque[Callable[[], None]] = deque()
        self.status = 0
        self.failures = 0
        self.state: Literal["up", "down", "unknown"] = "up"
        self.patterns: set[str] = set()
        self.die()

    def die(self) -> None:
        """Lose all that is in memory, deeds under way included."""
        self.waiting.clear()
        options: dict[str, Any] = {
            "run": self._run,
            "spawn": self.waiting.append,
            "audit": AuditLog(self.database),
        } | self.options
        self.ladder = Ladder(self.database, lambda: self.now_ms, **options)
        self.ladder.replace([Target(self.settings)])

    def _run(self, arguments: Sequence[str], timeout_seconds: float) -> Ended:
        self.ran.append(tuple(arguments))
        return Ended(self.status, "said this")

    def tick(self, seconds: float = 0.0) -> None:
        """Let time pass, and the ladder look."""
        self.now_ms += round(seconds * SECOND)
        state = ProbeState(
            self.settings.name, "http", self.state, T0, self.now_ms, 0, "", None, {}, failures=self.failures
        )
        states = [state] if self.settings.http else []
        self.ladder.follow(states, {(self.settings.name, one) for one in self.patterns}, self.now_ms)

    def fail(self, times: int, every: float = 5.0) -> None:
        """So many failed looks, one after the other."""
        for _ in range(times):
            self.failures += 1
            if self.failures >= 2 and self.state != "down":
                self.state = "down"
                self._open_outage()
            self.tick(every)

    def recover(self) -> None:
        """It is up again; the next tick sees it."""
        self.state, self.failures = "up", 0
        with self.database.begin() as connection:
            connection.execute(update(TargetOutageRow).values(ended_ms=self.now_ms))

    def finish(self) -> None:
        """Let the deeds under way be done, and the ladder see it."""
        while self.waiting:
            self.waiting.popleft()()
        self.tick()

    @property
    def rows(self) -> tuple[RemedyEntry, ...]:
        return self.ladder.of(self.settings.name)

    @property
    def told(self) -> list[tuple[int, str, bool | None]]:
        """Of each row its rung, its state, and whether it helped."""
        return [(row.rung, row.state, row.helped) for row in self.rows]

    def gauge(self, name: str) -> float:
        """A series of the target, summed over the others of its labels."""
        return sum(sample.value for sample in self.ladder.samples(self.now_ms) if sample.name == name)

    def _open_outage(self) -> None:
        started_ms = self.now_ms - 5 * SECOND
        values = {"target": self.settings.name, "probe": "http", "reason": "refused"}
        with self.database.begin() as connection:
            connection.execute(insert(TargetOutageRow).values(**values, started_ms=started_ms, detected_ms=self.now_ms))
