"""What a month of history costs on disk: bytes a sample of Wakeless and of Prometheus, filled with the same samples.

    python -m bench.history [--keep DIR] [--days 30] [--interval 5] [--jitter 12] [--only wakeless|prometheus]

Wakeless gets the ticks as its collectors bring them, is stopped cleanly, and everything in its data folder is counted.
Prometheus gets the same by remote write and is left alone until it has compacted all it will; its blocks are counted,
and beside them the write-ahead log and the head, which hold its newest two to three hours. The data stay in ``DIR``
for ``bench.query``; what is there already is not made again. ``--jitter 0`` shows both on the grid to the millisecond.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.fleet import JITTER_MS, Fleet, kept_fleet, last_midnights
from bench.peer import Prometheus
from bench.wakeless import Wakeless

Note = dict[str, Any]


def fill_prometheus(folder: Path, fleet: Fleet) -> Note:
    """Feed it, wait until it rests, stop it. What it took: seconds, samples, bytes by kind."""

    def fill() -> Note:
        with Prometheus(folder) as prometheus:
            note = _feed("Prometheus", prometheus.feed(fleet.stretches()))
            began = time.monotonic()
            prometheus.settle()
            note["rest_seconds"] = time.monotonic() - began
        return note | prometheus.sizes()

    return _once(folder / "filled.json", fill)


def fill_wakeless(folder: Path, fleet: Fleet) -> Note:
    """Feed it and stop it. What it took: seconds, samples, bytes."""

    def fill() -> Note:
        wakeless = Wakeless(folder)
        note = _feed("Wakeless", wakeless.feed(fleet.stretches()))
        return note | {"bytes": wakeless.size()}

    return _once(folder / "filled.json", fill)


def _once(path: Path, fill: Callable[[], Note]) -> Note:
    """What was noted when this was done before; else do it and note it."""
    if path.exists():
        kept: Note = json.loads(path.read_text())
        return kept
    if path.parent.exists():
        raise SystemExit(f"{path.parent} was filled only in part: delete it")
    path.parent.mkdir(parents=True)
    note = fill()
    path.write_text(json.dumps(note))
    return note


def _feed(name: str, fed: Iterator[int]) -> Note:
    """Drain ``fed``; tells how far it is, day by day."""
    began, samples = time.monotonic(), 0
    for day, count in enumerate(fed, 1):
        samples += count
        seconds = time.monotonic() - began
        print(f"\r{name}: day {day}, {samples / seconds / 1e6:.2f} M samples/s ", end="", flush=True)
    print()
    return {"fed": samples, "feed_seconds": time.monotonic() - began}


def report(wakeless: Note | None, prometheus: Note | None) -> None:
    """The table, and how many times less."""
    print(f"{'':28}{'bytes a sample':>15}{'MB':>9}{'samples':>13}{'filled in':>11}")

    def row(name: str, size: int, samples: int, seconds: float) -> None:
        print(f"{name:28}{size / samples:15.3f}{size / 1e6:9.1f}{samples:13,}{seconds:9.0f} s")

    if wakeless is not None:
        row("Wakeless, everything", wakeless["bytes"], wakeless["fed"], wakeless["feed_seconds"])
    if prometheus is not None:
        seconds = prometheus["feed_seconds"]
        row("Prometheus, blocks alone", prometheus["blocks"], prometheus["samples"], seconds)
        everything = sum(prometheus[kind] for kind in ("blocks", "wal", "head"))
        row("Prometheus, everything", everything, prometheus["fed"], seconds)
        print(
            f"  of it wal {prometheus['wal'] / 1e6:.1f} MB, head {prometheus['head'] / 1e6:.1f} MB;"
            f" at rest {prometheus['rest_seconds']:.0f} s after it was fed"
        )
    if wakeless is not None and prometheus is not None:
        ours, theirs = wakeless["bytes"] / wakeless["fed"], prometheus["blocks"] / prometheus["samples"]
        print(f"Wakeless / Prometheus' blocks alone: {ours / theirs:.3f}; asked for: at most 1.1 bytes a sample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder for the data, to be used again (else a temporary one)")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two ticks")
    parser.add_argument("--jitter", type=int, default=JITTER_MS, help="milliseconds that moments lie off the grid")
    parser.add_argument("--only", choices=("wakeless", "prometheus"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "history"
        wanted = Fleet(
            last_midnights(options.days), options.days, round(options.interval * 1000), jitter_ms=options.jitter
        )
        fleet = kept_fleet(folder, wanted)
        prometheus = None if options.only == "wakeless" else fill_prometheus(folder / "prometheus", fleet)
        wakeless = None if options.only == "prometheus" else fill_wakeless(folder / "wakeless", fleet)
        report(wakeless, prometheus)


if __name__ == "__main__":
    main()
