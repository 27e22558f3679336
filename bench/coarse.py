"""What the coarser tier brings and costs: aligned range functions over all days, with buckets and without.

    python -m bench.coarse [--keep DIR] [--days 30] [--interval 5] [--seconds 3600] [--rounds 5]

``DIR`` is what ``bench.history`` filled, or is filled first; it is left as it is: the buckets go into a copy. Queries
are asked of the engine, in this process: first with nothing in the caches of a store that was just opened (cold), then
``--rounds`` times more, of which the median counts (warm). Answers are compared: extremes and counts exactly, means up
to rounding. Then what the buckets take, and how long it took to make them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.fleet import DAY_MS, Fleet, kept_fleet, last_midnights
from bench.history import fill_wakeless
from bench.query import ALL, ONE
from bench.wakeless import DATABASE
from promql import Engine, Matrix
from storage.engine import Database, open_database
from storage.series import SeriesStore
from storage.tier import Tier

HOUR_MS = 3_600_000


class Query(NamedTuple):
    """A range query over all days, its windows as long as its steps."""

    title: str
    text: str
    step_ms: int


QUERIES = tuple(
    Query(f"{name}[{window}], {count}", f"{name}({selector}[{window}])", step_ms)
    for count, selector in (("one series", ONE), ("200 series", ALL))
    for name, window, step_ms in (("avg_over_time", "1h", HOUR_MS), ("max_over_time", "1d", DAY_MS))
)


class Timing(NamedTuple):
    """Seconds, and the answer."""

    cold: float
    warm: float
    answer: Matrix


def measure(database: Database, fleet: Fleet, query: Query, rounds: int) -> Timing:
    """Ask a store that was just opened, and again."""
    store = SeriesStore(database)
    store.attach()
    engine = Engine(store, max_samples=1 << 30, max_read=1 << 40)
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = engine.range(query.text, fleet.start_ms + query.step_ms, fleet.end_ms, query.step_ms)
        seconds.append(time.perf_counter() - began)
    return Timing(seconds[0], statistics.median(seconds[1:]), answer)


def verdict(plain: Matrix, bucketed: Matrix) -> str:
    """Whether the answers are the same."""
    if plain.labels != bucketed.labels or (plain.present != bucketed.present).any():
        return "DIFFERENT series"
    difference = np.nanmax(np.abs(plain.values - bucketed.values) / np.maximum(np.abs(plain.values), 1e-300), initial=0)
    return "same" if difference == 0 else f"same up to {difference:.0e}"


def make(database: Database, resolution_ms: int) -> tuple[float, int]:
    """Make all buckets; returns the seconds and the bytes that they take."""
    store = SeriesStore(database)
    store.attach()
    tier = Tier(database, store)
    began = time.perf_counter()
    while tier.step(resolution_ms, time.time_ns() // 1_000_000):
        pass
    seconds = time.perf_counter() - began
    return seconds, sum(cost.bytes for cost in store.costs() if cost.source == "buckets")


def run(database: Database, path: Path, fleet: Fleet, resolution_ms: int, rounds: int) -> None:
    plain = [measure(database, fleet, query, rounds) for query in QUERIES]
    samples = path.stat().st_size
    seconds, size = make(database, resolution_ms)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {fleet.days} days, milliseconds")
    print(f"{'':32}{'cold':>9}{'buckets':>9}{'times':>7}{'warm':>10}{'buckets':>9}{'times':>7}   answers")
    for query, before in zip(QUERIES, plain, strict=True):
        after = measure(database, fleet, query, rounds)
        cells = [
            f"{old * 1e3:{width}.1f}{new * 1e3:9.1f}{old / new:7.1f}"
            for old, new, width in ((before.cold, after.cold, 9), (before.warm, after.warm, 10))
        ]
        print(f"{query.title:32}{''.join(cells)}   {verdict(before.answer, after.answer)}")
    print(
        f"Buckets of {resolution_ms // 1000} s: {size / 1e6:.2f} MB, {size / samples:.1%} of the database's"
        f" {samples / 1e6:.1f} MB; made in {seconds:.1f} s, {seconds / fleet.days:.2f} s a day of history"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder of bench.history (else a temporary one)")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two ticks")
    parser.add_argument("--seconds", type=int, choices=(60, 3600), default=3600, help="of a bucket")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "history"
        fleet = kept_fleet(folder, Fleet(last_midnights(options.days), options.days, round(options.interval * 1000)))
        fill_wakeless(folder / "wakeless", fleet)
        path = Path(scratch) / DATABASE
        shutil.copyfile(folder / "wakeless" / "data" / DATABASE, path)
        database = open_database(path)
        try:
            run(database, path, fleet, options.seconds * 1000, options.rounds)
        finally:
            database.dispose()


if __name__ == "__main__":
    main()
