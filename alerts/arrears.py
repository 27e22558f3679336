"""What the database still has to be told: alerts move on in memory while it takes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alerts.state import Alert, Track
from alerts.step import Owner, Step
from collectors.sample import Labels


class Arrears:
    """Remembers, for every alert that has moved, what the database has of it, so that one write makes up for all."""

    def __init__(self) -> None:
        self._saved: dict[tuple[Owner, Labels], Track | None] = {}
        self._ended: list[Step] = []
        self._last_id = 0

    @property
    def ended(self) -> list[Alert]:
        """Alerts that have resolved, as the database does not know yet."""
        return [step.after.alert for step in self._ended if step.after is not None]

    def join(self, steps: Sequence[Step]) -> list[Step]:
        """The steps as the database has to take them: from what it has, and with what it missed of other alerts."""
        owed = dict(self._saved)
        joined = []
        for step in steps:
            known = step.owner is not None and (step.owner, step.labels) in owed
            joined.append(step._replace(before=owed.pop((step.owner, step.labels))) if known else step)  # type: ignore[arg-type]
        rest = [Step(owner, labels, saved, owner.tracks[labels]) for (owner, labels), saved in owed.items()]
        return [*joined, *rest, *self._ended]

    def hold(self, steps: Sequence[Step]) -> list[Step]:
        """Note that these steps could not be written; returns how memory is to take them, new alerts with an id < 0."""
        taken = []
        for step in steps:
            if step.owner is None:  # an end that waits already
                continue
            self._saved.pop((step.owner, step.labels), None)
            if step.after is None or step.after.alert.state == "resolved":
                if step.before is not None or step.after is not None:
                    self._ended.append(step._replace(owner=None))
            else:
                self._saved[step.owner, step.labels] = step.before
                step = step._replace(after=self._named(step.after))
            taken.append(step)
        return taken

    def settle(self, steps: Sequence[Step]) -> None:
        """These steps, joined before, have been written."""
        for step in steps:
            if step.owner is not None:
                self._saved.pop((step.owner, step.labels), None)
        self._ended = []

    def _named(self, track: Track) -> Track:
        if track.alert.id != 0:
            return track
        self._last_id -= 1
        return replace(track, alert=replace(track.alert, id=self._last_id))
