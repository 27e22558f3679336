"""Moving history in and out: samples a second and memory, beside Prometheus' own import of the same file.

    python -m bench.transfer [--days 3] [--keep DIR]

Makes a dump of the benchmarks' data set (200 series every 5 s, some 120 bytes a line), imports it into an empty
Wakeless, imports it again (every sample is there already), and exports all of it in each format. ``promtool tsdb
create-blocks-from openmetrics`` takes the same dump. Processor time is what counts on a machine with other work: the
commands of Wakeless use one core, promtool as many as there are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.fleet import Fleet, Stretch, full_labels, last_midnights
from collectors.sample import Series
from storage.dump import dump_lines

ROOT = Path(__file__).parents[1]


class Spent(NamedTuple):
    """What a command took (``processor`` and ``wall`` in seconds), and how much it wrote to its output."""

    wall: float
    processor: float
    peak_bytes: int
    out_bytes: int


def write_dump(fleet: Fleet, path: Path) -> None:
    """The data set as ``promtool tsdb dump-openmetrics`` writes one: series after series. All of it lies in memory."""
    with path.open("wb") as file:
        for days in zip(*fleet.stretches(), strict=True):
            file.writelines(_lines(days))
        file.write(b"# EOF\n")


def _lines(days: tuple[Stretch, ...]) -> Iterator[bytes]:
    """The text of one source, given day by day."""
    times = np.concatenate([day.times for day in days])
    for row, key in enumerate(days[0].keys):
        values = np.concatenate([day.values[row] for day in days]).astype(np.float64)
        yield from dump_lines(Series(full_labels(key), times, values))


def spend(*command: str, data: Path) -> Spent:
    """Run a command to its end; raises ``SystemExit`` when it fails."""
    began = time.monotonic()
    environment = {**os.environ, "WAKELESS_DATA_DIR": str(data), "WAKELESS_STORAGE__RETENTION_DAYS": "3650"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert child.stdout is not None
    out_bytes = 0
    while piece := child.stdout.read(1 << 20):
        out_bytes += len(piece)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {child.returncode}")
    processor = usage.ru_utime + usage.ru_stime
    return Spent(time.monotonic() - began, processor, usage.ru_maxrss * 1024, out_bytes)


def measure(folder: Path, fleet: Fleet) -> None:
    """Do all of it in ``folder``, and print a line for each."""
    dump, data, samples = folder / "dump.prom", folder / "data", 200 * fleet.ticks
    write_dump(fleet, dump)
    print(f"{samples:,} samples of 200 series, dump of {dump.stat().st_size / 1e6:,.0f} MB")
    print(f"{'':34}{'M samples/s':>12}{'on one core':>12}{'memory':>10}{'output':>12}")

    def row(name: str, spent: Spent) -> None:
        speeds = f"{samples / spent.wall / 1e6:12.2f}{samples / spent.processor / 1e6:12.2f}"
        print(f"{name:34}{speeds}{spent.peak_bytes / 1e6:7.0f} MB{spent.out_bytes / 1e6:9,.0f} MB", flush=True)

    wakeless = (sys.executable, "app.py")
    row("Wakeless, import", spend(*wakeless, "import", str(dump), data=data))
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    row("Wakeless, the same import again", spend(*wakeless, "import", str(dump), data=data))
    window = ("--start", str(fleet.start_ms / 1000 - 1), "--end", str(fleet.end_ms / 1000 + 1))
    for layout in ("wide", "long", "openmetrics"):
        row(f"Wakeless, export {layout}", spend(*wakeless, "export", *window, "--format", layout, data=data))
    if shutil.which("promtool"):
        blocks = folder / "blocks"
        create = ("promtool", "tsdb", "create-blocks-from", "openmetrics", str(dump), str(blocks))
        row("promtool, create-blocks-from", spend(*create, data=data))
        theirs = sum(path.stat().st_size for path in blocks.rglob("*") if path.is_file())
        print(f"on disk: Wakeless {size / samples:.3f} bytes a sample, Prometheus {theirs / samples:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder for the data (else a temporary one)")
    parser.add_argument("--days", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, Fleet(last_midnights(options.days), options.days))


if __name__ == "__main__":
    main()
