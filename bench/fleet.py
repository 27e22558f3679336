"""The data set of the benchmarks: one busy machine with eight GPUs, 200 series, for as many days as asked.

    python -m bench.fleet [--days 1] [--interval 5]      prints what it is made of

Eight GPUs with twelve series each, five modes of ten cores, two network cards, two disks, latency histograms of two
routes, six jobs that are up: what they mimic stands in :mod:`bench.device`. All series of one source are read at the
same moments, up to 12 ms around the grid, as a scheduler on a busy machine wakes up. The same seed gives the same data.

Every series carries a label ``series`` with its number, so that ``rate()`` and ``avg_over_time()`` of all 200 at once
are legal in PromQL: both drop the name, and a label set may not come twice.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from bench.device import GPUS, Disks, Drift, Gpu, Key, Networks, Processors, Requests, Ups
from collectors.sample import METRIC_NAME, Labels, Sample, Tick, Times, Values

DAY_MS = 86_400_000
JITTER_MS = 12
SEED = 20_260_301


class Stretch(NamedTuple):
    """One day of one source: ``times`` (n,), UTC milliseconds; ``values`` (series, n), in the order of ``keys``."""

    source: str
    keys: tuple[Key, ...]
    times: Times
    values: Values


@dataclass(frozen=True)
class Fleet:
    """Which data: the same numbers always give the same samples."""

    start_ms: int
    days: int
    interval_ms: int = 5000
    seed: int = SEED
    jitter_ms: int = JITTER_MS

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.days * DAY_MS

    @property
    def ticks(self) -> int:
        """Of each source."""
        return self.days * DAY_MS // self.interval_ms

    def stretches(self) -> Iterator[list[Stretch]]:
        """Day after day, all sources of it: about 28 MB a day at 5 s."""
        machine = _Machine(self.interval_ms / 1000, self.jitter_ms, np.random.default_rng(self.seed))
        for day in range(self.days):
            rng = np.random.default_rng([self.seed, day])
            yield machine.day(self.start_ms + day * DAY_MS, rng)


class _Machine:
    """Everything that goes on from one day to the next."""

    def __init__(self, interval: float, jitter_ms: int, rng: Generator) -> None:
        self._interval = interval
        self._jitter_ms = jitter_ms
        self._mood = Drift(round(300 / interval), rng, 1.0)
        self._late: dict[str, int] = {}
        self._gpus = [Gpu(number, interval, rng) for number in range(GPUS)]
        self._processors, self._networks, self._disks = Processors(rng), Networks(rng), Disks(rng)
        self._requests, self._ups = Requests(), Ups()
        parts = {
            "nvml": [key for gpu in self._gpus for key in gpu.keys],
            "nvml_pcie": [key for gpu in self._gpus for key in gpu.bus_keys],
            "host": [*Processors.KEYS, *Networks.KEYS],
            "disk": [*Disks.KEYS],
            "requests": [*Requests.KEYS],
            "up": [*Ups.KEYS],
        }
        self._keys: dict[str, tuple[Key, ...]] = {}
        number = 0
        for source, keys in parts.items():
            self._keys[source] = tuple(
                (name, tuple(sorted((*labels, ("series", f"{number + place:03}")))))
                for place, (name, labels) in enumerate(keys)
            )
            number += len(keys)

    def day(self, start_ms: int, rng: Generator) -> list[Stretch]:
        n = round(86_400 / self._interval)
        hours = np.arange(n) * self._interval / 3600
        load = np.clip(0.5 + 0.3 * np.sin(2 * np.pi * (hours - 9) / 24) + 0.12 * self._mood.noise(n, rng), 0.02, 1)
        times = {source: self._times(source, start_ms, n, rng) for source in self._keys}
        elapsed = {source: moments[1] for source, moments in times.items()}
        gpus = [gpu.advance(load, elapsed["nvml"], rng) for gpu in self._gpus]
        values = {
            "nvml": np.concatenate([own for own, _ in gpus]),
            "nvml_pcie": np.concatenate([bus for _, bus in gpus]),
            "host": np.concatenate(
                [part.advance(load, elapsed["host"], rng) for part in (self._processors, self._networks)]
            ),
            "disk": self._disks.advance(load, elapsed["disk"], rng),
            "requests": self._requests.advance(load, elapsed["requests"], rng),
            "up": self._ups.advance(load, elapsed["up"], rng),
        }
        return [Stretch(source, keys, times[source][0], values[source]) for source, keys in self._keys.items()]

    def _times(self, source: str, start_ms: int, n: int, rng: Generator) -> tuple[Times, Values]:
        """When a source was read, and the seconds since it was read before."""
        late = rng.integers(-self._jitter_ms, self._jitter_ms + 1, n)
        grid = np.arange(n, dtype=np.int64) * round(self._interval * 1000)
        before = self._late.get(source, 0) - round(self._interval * 1000)
        self._late[source] = int(late[-1])
        return start_ms + grid + late, np.diff(grid + late, prepend=before) / 1000


def ticks(stretches: list[Stretch]) -> Iterator[list[Tick]]:
    """The same day as the collectors would bring it: at each moment of the grid, one tick of each source."""
    for row in zip(*(_ticks_of(stretch) for stretch in stretches), strict=True):
        yield list(row)


def _ticks_of(stretch: Stretch) -> Iterator[Tick]:
    names, labels = zip(*stretch.keys, strict=True)
    columns = np.ascontiguousarray(stretch.values.T)
    for time_ms, column in zip(stretch.times.tolist(), columns, strict=True):
        samples = tuple(map(Sample._make, zip(names, labels, column.tolist(), strict=True)))
        yield Tick(stretch.source, time_ms, samples)


def full_labels(key: Key) -> Labels:
    """The label set with the name in it."""
    return tuple(sorted((*key[1], (METRIC_NAME, key[0]))))


def last_midnights(days: int) -> int:
    """The moment ``days`` whole days before last midnight (UTC), so that the history ends close to now."""
    now_ms = time.time_ns() // 1_000_000
    return now_ms // DAY_MS * DAY_MS - days * DAY_MS


def kept_fleet(folder: Path, wanted: Fleet) -> Fleet:
    """The data set that ``folder`` was filled with, which may have begun on another day; or ``wanted``, noted there.

    Raises ``SystemExit`` when the folder holds another data set.
    """
    note = folder / "fleet.json"
    if note.exists():
        kept = Fleet(**json.loads(note.read_text()))
        if replace(wanted, start_ms=kept.start_ms) != kept:
            raise SystemExit(f"{folder} holds {kept}: choose another folder")
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asdict(wanted)))
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two ticks")
    options = parser.parse_args()
    fleet = Fleet(last_midnights(options.days), options.days, round(options.interval * 1000))
    began = time.perf_counter()
    for day in fleet.stretches():
        last = day
    seconds = time.perf_counter() - began
    print(f"{'source':12}{'series':>7}{'moments':>9}")
    for stretch in last:
        print(f"{stretch.source:12}{len(stretch.keys):7}{len(stretch.times):9}")
    count = sum(len(stretch.keys) for stretch in last)
    print(f"{count} series, {count * fleet.ticks:,} samples, made in {seconds:.1f} s")
    for stretch in last:
        for key, row in zip(stretch.keys, stretch.values, strict=True):
            steps = np.diff(row)
            print(
                f"{key[0]:46}{row.min():17.6g}{row.max():17.6g}  {len(np.unique(row)):6} values,"
                f" {len(np.unique(steps)):6} steps"
            )


if __name__ == "__main__":
    main()
