"""Metrics made of lines: counters, gauges and histograms, in labels that stay few and short."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from collectors.sample import Sample
from config_target import LogMetric
from targets.logfile.wording import told

#: Sets of label values of one metric from one source; what comes after them is counted under OTHER.
MAX_SETS = 100
MAX_LABEL_CHARS = 80
OTHER = "other"
#: No measure of a machine is larger; sums of such numbers stay exact enough.
MAX_VALUE = 1e15
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Labels that are ours.
RESERVED = frozenset({"target", "source", "le", "job", "instance"})


class Meter:
    """One metric of one source. Values that are no finite number, or beyond all measure, are refused and counted."""

    def __init__(self, settings: LogMetric) -> None:
        self._settings = settings
        self._buckets = tuple(sorted(set(settings.buckets))) or BUCKETS
        self._names = tuple(sorted(settings.labels))
        self._width = len(self._buckets) + 2 if settings.type == "histogram" else 1
        #: By label values: a counter's sum, a gauge's last value, or a histogram's counts, its sum and its count.
        self._values: dict[tuple[str, ...], list[float]] = {}
        self.refused = 0
        if not self._names and settings.type != "gauge":
            self._values[()] = [0.0] * self._width

    def observe(self, groups: Mapping[str, str]) -> None:
        """Take one line's number."""
        value = self._read(groups)
        if value is None:
            self.refused += 1
            return
        cell = self._cell(tuple(_label(groups.get(self._settings.labels[name], "")) for name in self._names))
        if self._settings.type == "counter":
            cell[0] += value
        elif self._settings.type == "gauge":
            cell[0] = value
        else:
            for place, bound in enumerate(self._buckets):
                if value <= bound:
                    cell[place] += 1
            cell[-2] += value
            cell[-1] += 1

    def samples(self, target: str, source: str) -> Iterator[Sample]:
        """Its series."""
        name = self._settings.name
        for values, cell in self._values.items():
            labels = (*zip(self._names, values, strict=True), ("target", target), ("source", source))
            plain = tuple(sorted(labels))
            if self._settings.type != "histogram":
                yield Sample(name, plain, cell[0])
                continue
            for bound, count in zip((*self._buckets, math.inf), (*cell[:-2], cell[-1]), strict=True):
                text = "+Inf" if math.isinf(bound) else repr(bound)
                yield Sample(f"{name}_bucket", tuple(sorted((*labels, ("le", text)))), count)
            yield Sample(f"{name}_sum", plain, cell[-2])
            yield Sample(f"{name}_count", plain, cell[-1])

    def dump(self) -> dict[str, Any]:
        """What must outlive this process. Buckets come with it: with others, the counts would mean something else."""
        cells = [[list(values), list(cell)] for values, cell in self._values.items()]
        return {"shape": self._shape(), "cells": cells, "refused": self.refused}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Go on from :meth:`dump`; from 0 where the settings have changed what the numbers mean."""
        if kept.get("shape") != self._shape():
            return
        self._values |= {tuple(values): [float(one) for one in cell] for values, cell in kept["cells"]}
        self.refused = int(kept["refused"])

    def _shape(self) -> list[Any]:
        kind = self._settings.type
        return [self._settings.name, kind, *self._names, *(self._buckets if kind == "histogram" else ())]

    def _read(self, groups: Mapping[str, str]) -> float | None:
        if self._settings.value is None:
            return 1.0
        try:
            value = float(groups.get(self._settings.value, "")) * self._settings.scale
        except ValueError:
            return None
        if not abs(value) <= MAX_VALUE or (value < 0 and self._settings.type == "counter"):
            return None
        return value

    def _cell(self, values: tuple[str, ...]) -> list[float]:
        if values not in self._values and len(self._values) >= MAX_SETS:
            values = (OTHER,) * len(self._names)
        return self._values.setdefault(values, [0.0] * self._width)


@lru_cache(maxsize=2048)
def _label(text: str) -> str:
    return told(text, MAX_LABEL_CHARS)
