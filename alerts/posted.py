"""Alerts that other servers send through the Alertmanager API: they fire at once, and end when told or not repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from alerts.state import Alert, AlertError, Track, fingerprint, level_of, resolve, shift
from alerts.step import Step
from collectors.sample import Labels

#: Alerts of other servers that may be open at once; each takes about 2 kB.
MOST_OPEN = 10_000
#: As many are taken at once: between them, those who evaluate and read get their turn.
PORTION = 200


class Posted(NamedTuple):
    """One alert as another server sends it. ``ends_ms`` in the future: it ends then, unless it is sent again."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_ms: int | None = None
    ends_ms: int | None = None
    generator_url: str | None = None


def refusal(problems: Sequence[str]) -> AlertError:
    """What the sender hears of alerts that were refused."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return AlertError("invalid", problems[0] + more)


class PostedAlerts:
    """Owns the open alerts of other servers, by their labels. Used under the engine's lock.

    ``resolve_ms``: an alert that is sent without an end ends when it has not been sent again for so long.
    """

    def __init__(self, resolve_ms: int, most_open: int = MOST_OPEN) -> None:
        self.tracks: dict[Labels, Track] = {}
        self._resolve_ms = resolve_ms
        self._most_open = most_open

    def place(self, alerts: Iterable[Alert]) -> None:
        """Take stored alerts up."""
        for alert in alerts:
            labels = tuple(sorted(alert.labels.items()))
            self.tracks[labels] = Track(alert, restored=True, saved_ms=alert.seen_ms)

    def take(self, posted: Sequence[Posted], now_ms: int) -> tuple[list[Step], list[str]]:
        """How alerts move, and what is wrong with those that are refused. Of equal ones, the last counts."""
        wanted: dict[Labels, Posted] = {}
        problems = []
        for one in posted:
            labels = tuple(sorted((name, text) for name, text in one.labels.items() if text))
            if not labels:
                problems.append("an alert needs at least one label")
            elif one.starts_ms is not None and one.ends_ms is not None and one.ends_ms < one.starts_ms:
                problems.append("an alert's start must not be after its end")
            else:
                wanted[labels] = one
        steps, room = [], self._most_open - len(self.tracks)
        for labels, one in wanted.items():
            before = self.tracks.get(labels)
            over = one.ends_ms is not None and one.ends_ms <= now_ms
            if before is not None:
                steps.append(Step(self, labels, before, self._told(before, one, now_ms)))
            elif not over and room > 0:
                room -= 1
                steps.append(Step(self, labels, None, self._begin(labels, one, now_ms)))
            elif not over:
                problems.append(f"{self._most_open} alerts of other servers are open already; more are not taken")
        return steps, problems

    def expire(self, now_ms: int, boot_ms: int) -> list[Step]:
        """Alerts end that should have been sent again by now; after a start, their senders are given time for it."""
        steps = []
        for labels, track in self.tracks.items():
            ends_ms = track.alert.ends_ms or 0
            if track.restored:
                ends_ms = max(ends_ms, boot_ms + self._resolve_ms)
            if now_ms >= ends_ms:
                steps.append(Step(self, labels, track, Track(resolve(track.alert, now_ms, "expired"))))
        return steps

    def shift(self, step_ms: int) -> None:
        """The clock was set."""
        self.tracks = {labels: shift(track, step_ms) for labels, track in self.tracks.items()}

    def _begin(self, labels: Labels, one: Posted, now_ms: int) -> Track:
        plain = dict(labels)
        known = one.starts_ms is not None and one.starts_ms >= 0  # what no clock of a server can say is no start
        since_ms = min(one.starts_ms or 0, now_ms) if known else now_ms
        alert = Alert(
            id=0,
            fingerprint=fingerprint(labels),
            rule=plain.get("alertname", ""),
            group="",
            state="firing",
            severity=plain.get("severity", "none"),
            level=level_of(plain),
            labels=plain,
            annotations=dict(one.annotations),
            value=None,
            active_ms=since_ms,
            firing_ms=since_ms,
            resolved_ms=None,
            seen_ms=now_ms,
            source="api",
            ends_ms=self._deadline(one, now_ms),
            generator_url=one.generator_url or None,
        )
        return Track(alert)

    def _told(self, track: Track, one: Posted, now_ms: int) -> Track:
        """An open alert as its sender sees it now."""
        alert = replace(
            track.alert,
            annotations=dict(one.annotations),
            generator_url=one.generator_url or None,
            seen_ms=now_ms,
            ends_ms=self._deadline(one, now_ms),
        )
        if one.ends_ms is not None and one.ends_ms <= now_ms:
            alert = resolve(alert, one.ends_ms, "told")
        return Track(alert, saved_ms=track.saved_ms)

    def _deadline(self, one: Posted, now_ms: int) -> int:
        return now_ms + self._resolve_ms if one.ends_ms is None else one.ends_ms
