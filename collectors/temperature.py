"""The machine's temperature sensors. On its own collector, since some chips take milliseconds to answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import psutil

from collectors.sample import Sample, make_labels


class Reading(Protocol):
    """One sensor of a chip."""

    label: str
    current: float


class TemperatureCollector:
    """Reads every sensor that the kernel knows; a machine without any (most virtual ones) yields nothing."""

    def __init__(
        self,
        interval_seconds: float = 10.0,
        sensors: Callable[[], Mapping[str, Sequence[Reading]]] | None = None,
    ) -> None:
        self.name = "temperature"
        self.interval_seconds = interval_seconds
        #: psutil knows sensors on Linux and FreeBSD only.
        self._sensors: Callable[[], Mapping[str, Sequence[Reading]]] = (
            sensors or getattr(psutil, "sensors_temperatures", None) or dict
        )

    def collect(self) -> Iterable[Sample]:
        """One temperature a sensor; sensors that a chip leaves nameless or names twice are numbered."""
        for chip, readings in sorted(self._sensors().items()):
            seen: set[str] = set()
            for number, reading in enumerate(readings):
                sensor = f"{chip} {reading.label}" if reading.label else f"{chip} {number}"
                if sensor in seen:
                    sensor = f"{sensor} {number}"
                seen.add(sensor)
                if reading.current is not None and math.isfinite(reading.current):
                    yield Sample("host_temperature_celsius", make_labels(sensor=sensor), float(reading.current))
