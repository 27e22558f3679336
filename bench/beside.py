"""What watching others costs: probes, logs and scrapes of a whole server, by a real Wakeless.

    python -m bench.beside [--seconds 60] [--targets 50] [--files 20] [--lines 5000] [--scrapes 5] [--series 2000]
                           [--rotations 20] [--kills 0]

Neighbours (:mod:`bench.neighbour`) answer and write in processes of their own. CPU is user plus system time of the
whole of Wakeless, the supervisor included, as a share of one core; first without targets, then with them. At the end,
lines that were written are compared with lines that were counted. With ``--kills`` the server process is killed so
often meanwhile; the supervisor starts the next one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from bench.overhead import cpu_share, resident_mb, tree
from tests.running import RunningServer, eventually, free_port

WARM_UP_SECONDS = 12.0
#: Web servers that answer all probes; each has the scrapes of its own address.
WEBS = 5


def definitions(options: argparse.Namespace, ports: list[int], folder: Path) -> list[dict[str, Any]]:
    """The targets: so many probes, scrapes and logs."""
    targets: list[dict[str, Any]] = []
    for index in range(options.targets):
        url = f"http://127.0.0.1:{ports[index % len(ports)]}/health/{index}"
        targets.append({"name": f"web{index:02}", "http": {"url": url, "interval": "5s", "timeout": "2s"}})
    for index in range(options.scrapes):
        url = f"http://127.0.0.1:{ports[index % len(ports)]}/metrics"
        targets.append({"name": f"exporter{index}", "scrape": {"url": url, "interval": "15s"}})
    for index in range(options.files):
        log = {"path": str(folder / f"service{index:02}.log"), "profile": "comfyui", "begin": "start"}
        targets.append({"name": f"log{index:02}", "log": log})
    return targets


def counted(database: Path) -> tuple[int, int]:
    """Lines of all sources, and matches of the pattern that finds errors."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (lines,) = connection.execute("SELECT coalesce(sum(lines), 0) FROM log_sources").fetchone()
        (events,) = connection.execute(
            "SELECT coalesce(sum(count), 0) FROM log_events WHERE pattern LIKE 'Execution error%'"
        ).fetchone()
    return int(lines), int(events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("seconds", 60), ("targets", 50), ("files", 20), ("lines", 5000), ("scrapes", 5), ("series", 2000),
        ("rotations", 20), ("kills", 0),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="beside-") as name:
        measure(options, Path(name))


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Without targets, then with them."""
    quiet = run(options, folder / "quiet", [], [])
    ports = [free_port() for _ in range(WEBS)]
    webs = [
        subprocess.Popen([sys.executable, "-m", "bench.neighbour", "web", str(port), str(options.series)])
        for port in ports
    ]
    logs = folder / "logs"
    logs.mkdir()
    try:
        busy = run(options, folder / "busy", definitions(options, ports, logs), [logs])
    finally:
        for web in webs:
            web.terminate()
            web.wait()
    print(f"for the targets alone: {(busy - quiet) * 100:.1f} % of a core", flush=True)


def run(options: argparse.Namespace, folder: Path, targets: list[dict[str, Any]], logs: list[Path]) -> float:
    """Start a server, let it settle, and measure it; returns its share of a core."""
    server = RunningServer(
        folder, MODEL__ENABLED="false", AUTH__ANONYMOUS="viewer", TARGETS=json.dumps(targets),
        SUPERVISOR__BACKOFF_SECONDS=0.2,
    )  # fmt: skip
    with server:
        writer = write_logs(options, logs[0]) if logs else None
        time.sleep(WARM_UP_SECONDS)
        assert server.process is not None
        root = psutil.Process(server.process.pid)
        if options.kills and targets:
            share = 0.0
            kill(server, options.kills, options.seconds)
        else:
            share = cpu_share(tree(root), options.seconds)
        print(
            f"{'with' if targets else 'without'} targets: {share * 100:.1f} % of a core,"
            f" {resident_mb([server.worker]):.0f} MB",
            flush=True,
        )
        if writer is not None:
            compare(writer, server.data_dir / "wakeless.db")
    return share


def write_logs(options: argparse.Namespace, folder: Path) -> subprocess.Popen[str]:
    """Lines from now until the measurement is over."""
    seconds = WARM_UP_SECONDS + options.seconds
    words = [str(folder), *(str(one) for one in (options.files, options.lines, seconds, options.rotations))]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.neighbour", "logs", *words], stdout=subprocess.PIPE, text=True
    )


def kill(server: RunningServer, times: int, seconds: float) -> None:
    """Kill the server process so often, evenly."""
    began = time.monotonic()
    for number in range(times):
        time.sleep(max(began + (number + 1) * seconds / (times + 1) - time.monotonic(), 0.0))
        os.kill(eventually(lambda: server.worker, what="a server process").pid, signal.SIGKILL)
    eventually(lambda: server.worker.is_running(), what="the last restart")


def compare(writer: subprocess.Popen[str], database: Path) -> None:
    """Lines that were written beside lines that were counted, once the server has caught up."""
    printed, _ = writer.communicate()
    wrote = json.loads(printed)
    try:
        eventually(lambda: counted(database)[0] >= wrote["lines"], within=60, what="the last line")
    except AssertionError:
        print("some lines have not been counted a minute after the last was written")
    time.sleep(3.0)  # a line that is counted twice has its chance
    lines, events = counted(database)
    print(f"lines: {wrote['lines']} written, {lines} counted; {wrote['rotations']} rotations")
    print(f"errors: {wrote['errors']} written, {events} found", flush=True)


if __name__ == "__main__":
    main()
