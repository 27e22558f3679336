"""How often an alert has fired lately, counted in the alerts table, so that a restart forgets none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from alerts.book import AlertBook
from alerts.state import Alert, Flapping
from alerts.step import Step
from storage.error import StorageError

log = structlog.get_logger(__name__)


class FlapCount:
    """Writes into alerts that begin to fire how often they have, this time included."""

    def __init__(self, book: AlertBook, flapping: Flapping) -> None:
        self._book = book
        self._flapping = flapping

    def counted(self, steps: Sequence[Step], unwritten: Iterable[Alert], now_ms: int) -> list[Step]:
        """The same steps; ``unwritten`` are alerts that have ended and that the table does not have yet.

        Where the table cannot be read, alerts fire all the same, and count less.
        """
        fired = [step.after.alert for step in steps if step.after is not None and step.fires]
        if not fired:
            return list(steps)
        since_ms = now_ms - self._flapping.within_ms
        earlier: Counter[tuple[str, str]] = Counter(
            (alert.fingerprint, alert.rule)
            for alert in unwritten
            if alert.firing_ms is not None and since_ms < alert.firing_ms <= now_ms
        )
        try:
            earlier += self._book.firings({alert.fingerprint for alert in fired}, since_ms, now_ms)
        except StorageError as error:
            log.warning("flaps_not_counted", error=str(error))
        return [_with_flaps(step, earlier) for step in steps]


def _with_flaps(step: Step, earlier: Counter[tuple[str, str]]) -> Step:
    if step.after is None or not step.fires:
        return step
    alert = step.after.alert
    alert = replace(alert, flaps=1 + earlier[alert.fingerprint, alert.rule])
    return step._replace(after=replace(step.after, alert=alert))
