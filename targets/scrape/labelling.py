"""From a series as a target names it to the series that is kept, as Prometheus does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.sample import METRIC_NAME, Labels
from config_target import Relabel
from targets.scrape.cohort import Key
from targets.scrape.exposition import ExpositionError
from targets.scrape.relabel import Relabelling

_EXPORTED = "exported_"
INSTANCE = "instance"
#: What is written about a scrape itself; nothing that a target exposes may take the place of one of these.
REPORTS = frozenset(
    {
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_response_size_bytes",
        "scrape_sample_limit",
        "scrape_body_size_limit_bytes",
        "scrape_failure_info",
    }
)


class Labelling:
    """``own`` are the labels that all series of the target get: job, instance, and those of the settings.

    Raises :class:`targets.scrape.relabel.RelabelError` for a step of relabelling that makes no sense.
    """

    def __init__(self, own: Mapping[str, str], steps: Sequence[Relabel] = (), *, honor: bool = False) -> None:
        self.own: Labels = tuple(sorted((name, value) for name, value in own.items() if value))
        self._honor = honor
        self._relabelling = Relabelling(steps)

    def of(self, exposed: Labels) -> Key | None:
        """The series, None if it is dropped. Raises :class:`ExpositionError` if relabelling has left none that is one.

        None is without ``instance``, whatever relabelling did: those are the series of Wakeless' own machine.
        """
        labels = self._relabelling.apply(self._joined(dict(exposed)))
        if not labels:
            return None
        name = labels.pop(METRIC_NAME, None)
        if name is None:
            raise ExpositionError(f"relabelling takes its name from {dict(exposed)[METRIC_NAME]}")
        own = dict(self.own)
        labels.setdefault(INSTANCE, own.get(INSTANCE, ""))
        key = Key(name, tuple(sorted(labels.items())))
        return None if name in REPORTS and key.labels == self.own else key

    def _joined(self, labels: dict[str, str]) -> dict[str, str]:
        """The labels with those of the target: its own stand, those exposed move to ``exported_…``, or the reverse."""
        if self._honor:
            return {**dict(self.own), **labels}
        moved = {name: labels.pop(name) for name, _ in self.own if name in labels}
        labels.update(self.own)
        for name, value in sorted(moved.items()):
            other = _EXPORTED + name
            while other in labels:
                other = _EXPORTED + other
            labels[other] = value
        return labels
