"""What writing history costs: the time of a tick, the speed of sealing, the bytes that really go to the disk in a day.

    python -m bench.write [--live 120] [--folder DIR]

200 series of six sources, every second. A tick is one ``SeriesStore.append`` of all of them. It outlives the process
when that returns; the server syncs it for power cuts every ``storage.sync_seconds`` in a thread of its own, or within
the append where that is 0. Both are timed, and so are ticks that come while a block is being sealed.

The bytes are ``write_bytes`` of ``/proc/self/io``: what this process made the kernel send to the disk. Two days run as
fast as they can, with sync, seal and retention each after as many ticks as the server's clock would give, since the
kernel counts a page once for each time it is dirtied between two syncs; the second day is counted, while the first one
is being deleted. Then ``--live`` seconds run by the clock, as a check: in these nothing is sealed.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog

from bench.fleet import DAY_MS, Fleet, last_midnights, ticks
from bench.wakeless import DATABASE
from collectors.sample import Tick
from config import Settings
from server import RETENTION_SECONDS, SEAL_SECONDS
from storage.block import BLOCK_SAMPLES
from storage.engine import open_database
from storage.series import SeriesStore

TICKS = 5000
BLOCKS = 5
PACE_SECONDS = 0.002
TICK_LIMIT_MS = 2.0
SEAL_LIMIT = 3e6
DAY_LIMIT_MB = 300.0
SYNC_TICKS = round(Settings.model_fields["storage"].get_default(call_default_factory=True).sync_seconds)

Moments = Iterator[list[Tick]]


@contextmanager
def opened(folder: Path, *, sync_always: bool = False) -> Iterator[SeriesStore]:
    """A store of its own below ``folder``."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        database = open_database(Path(data) / DATABASE)
        store = SeriesStore(database, sync_always=sync_always)
        store.load()
        with closing(store):
            yield store
        database.dispose()


def endless(interval_ms: int = 1000) -> Moments:
    """Moments without end, made a day at a time."""
    for day in Fleet(last_midnights(2), 3650, interval_ms).stretches():
        yield from ticks(day)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def report(name: str, times: list[float]) -> None:
    times.sort()
    p50, p99 = (times[min(len(times) - 1, int(share * len(times)))] for share in (0.5, 0.99))
    print(f"{name:44}{p50:8.2f}{p99:8.2f}{times[-1]:8.2f}{len(times):8}", flush=True)


def measure_ticks(folder: Path) -> None:
    """A tick on its own, synced, and while a block is sealed; and how fast that is."""
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'milliseconds of a tick of 200 series':44}{'p50':>8}{'p99':>8}{'max':>8}{'ticks':>8}")
    print(f"{'(limit)':44}{'':8}{TICK_LIMIT_MS:8.2f}")
    moments = endless()
    with opened(folder) as store:
        found = [timed(lambda: store.append(moment)) for moment in itertools.islice(moments, TICKS)]  # noqa: B023
    report("append: outlives a kill", found)
    with opened(folder, sync_always=True) as store:
        found = [timed(lambda: store.append(moment)) for moment in itertools.islice(moments, TICKS)]  # noqa: B023
    report("append and sync: outlives a power cut", found)
    with opened(folder) as store:
        rates, found = measure_sealing(store, moments)
    report("append while a block is being sealed", found)
    rates.sort()
    print(f"sealing: {rates[len(rates) // 2] / 1e6:.2f} M samples/s (at least {SEAL_LIMIT / 1e6:.0f})")


def measure_sealing(store: SeriesStore, moments: Moments) -> tuple[list[float], list[float]]:
    """Samples a second of blocks sealed in quiet; milliseconds of ticks that come every few of them during others."""
    rates, during = [], []
    for busy in [False] * BLOCKS + [True] * BLOCKS:
        for moment in itertools.islice(moments, BLOCK_SAMPLES):
            store.append(moment)
        if not busy:
            began = time.perf_counter()
            rates.append(store.seal() / (time.perf_counter() - began))
            continue
        sealing = threading.Thread(target=store.seal)
        sealing.start()
        while sealing.is_alive():
            moment = next(moments)
            during.append(timed(lambda: store.append(moment)))  # noqa: B023
            time.sleep(PACE_SECONDS)
    return rates, during


def written() -> int:
    """Bytes that this process has made the kernel write so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def measure_day(folder: Path) -> None:
    """Bytes of the second of two days, by what wrote them, at the cadence of the server in ticks."""
    bytes_of: defaultdict[str, int] = defaultdict(int)

    def count(what: str, work: Callable[[], object]) -> None:
        before = written()
        work()
        bytes_of[what] += written() - before

    day = DAY_MS // 1000
    with opened(folder) as store:
        for number, moment in enumerate(itertools.islice(endless(), 2 * day), 1):
            if number == day + 1:
                bytes_of.clear()
            count("journal", lambda: store.append(moment))  # noqa: B023
            if number % SYNC_TICKS == 0:
                count("journal", store.sync)
            if number % round(SEAL_SECONDS) == 0:
                count("sealing", store.seal)
            if number % round(RETENTION_SECONDS) == 0:
                oldest = moment[0].time_ms - DAY_MS
                count("retention", lambda: store.expire(oldest))  # noqa: B023
    total = sum(bytes_of.values())
    parts = ", ".join(f"{what} {size / 1e6:.1f}" for what, size in bytes_of.items())
    print(f"written in a day at 1 s: {total / 1e6:.1f} MB ({parts}; limit {DAY_LIMIT_MB:.0f})", flush=True)
    if total == 0:
        print("nothing was counted: the folder lies in memory, choose another with --folder")


def measure_live(folder: Path, seconds: int) -> None:
    """The same by the clock: one tick a second, a sync every few of them from another thread."""
    stop = threading.Event()
    with opened(folder) as store:

        def sync() -> None:
            while not stop.wait(SYNC_TICKS):
                store.sync()

        thread = threading.Thread(target=sync)
        moments, found = endless(), []
        store.append(next(moments))
        store.sync()
        thread.start()
        before, began = written(), time.monotonic()
        for number, moment in enumerate(itertools.islice(moments, seconds), 1):
            time.sleep(max(0.0, began + number - time.monotonic()))
            found.append(timed(lambda: store.append(moment)))  # noqa: B023
        stop.set()
        thread.join()
        store.sync()
        size = written() - before
    report(f"append once a second, for {seconds} s", found)
    print(f"  journal: {size / 1e6:.2f} MB, so {size / seconds * 86_400 / 1e6:.0f} MB a day before sealing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, default=120, help="seconds by the clock; 0 for none")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (else the system's temporary folder)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        measure_ticks(Path(scratch))
        measure_day(Path(scratch))
        if options.live:
            measure_live(Path(scratch), options.live)


if __name__ == "__main__":
    main()
