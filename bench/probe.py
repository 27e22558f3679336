"""How soon it is known that a service is down: real Flask servers are killed, and made to hang, under a real Wakeless.

    python -m bench.probe [--targets 6] [--interval 5] [--fails 2]

Each is killed (then it refuses), started again, and stopped (SIGSTOP: it hangs), at moments spread over the interval.
Told is the time until ``probe_up`` is 0 for whoever asks by PromQL, against interval × fails + 1 s; asking every 0.1 s
is part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tests.running import RunningServer, eventually, free_port

POLL_SECONDS = 0.1


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("targets", 6), ("interval", 5), ("fails", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        measure(options, Path(folder) / "data")


def serve(port: int) -> None:
    """Answer until the end comes."""
    from flask import Flask

    app = Flask(__name__)

    @app.get("/")
    def root() -> str:
        return "well"

    app.run("127.0.0.1", port, threaded=True)


def measure(options: argparse.Namespace, data_dir: Path) -> None:
    """Bring each down in both ways."""
    ports = {f"flask{index}": free_port() for index in range(options.targets)}
    targets = [
        {
            "name": name,
            "http": {
                "url": f"http://127.0.0.1:{port}/",
                "interval": options.interval,
                "timeout": 2,
                "fails": options.fails,
            },
        }
        for name, port in ports.items()
    ]
    running = {name: start(port) for name, port in ports.items()}
    server = RunningServer(data_dir, MODEL__ENABLED="false", AUTH__ANONYMOUS="viewer", TARGETS=json.dumps(targets))
    try:
        with server:
            everybody = set(ports)
            eventually(lambda: named(server, 1) == everybody, what="all are up")
            report(options, "killed", bring_down(options, server, {name: kill(running[name]) for name in ports}))
            running.update({name: start(port) for name, port in ports.items()})
            eventually(lambda: named(server, 1) == everybody, what="all are up again")
            report(options, "made to hang", bring_down(options, server, {name: hang(running[name]) for name in ports}))
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.probe", "serve", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen[bytes]) -> Callable[[], None]:
    def deed() -> None:
        process.kill()
        process.wait()

    return deed


def hang(process: subprocess.Popen[bytes]) -> Callable[[], None]:
    return lambda: os.kill(process.pid, signal.SIGSTOP)


def named(server: RunningServer, value: int) -> set[str]:
    """The targets whose ``probe_up`` is that."""
    found = server.json("/api/v1/query?query=" + quote(f"probe_up == {value}"))
    return {one["metric"]["target"] for one in found["data"]["result"]}


def bring_down(
    options: argparse.Namespace, server: RunningServer, deeds: dict[str, Callable[[], None]]
) -> dict[str, float]:
    """Do each deed at its moment; returns the seconds until it was known."""
    due = {name: time.monotonic() + index * options.interval / len(deeds) for index, name in enumerate(deeds)}
    began: dict[str, float] = {}
    known: dict[str, float] = {}
    while len(known) < len(deeds):
        for name in [name for name in due if name not in began and time.monotonic() >= due[name]]:
            began[name] = time.monotonic()
            deeds[name]()
        for name in named(server, 0) - set(known):
            known[name] = time.monotonic() - began[name]
        if time.monotonic() > max(due.values()) + 10 * options.interval * options.fails:
            raise SystemExit(f"never known: {sorted(set(deeds) - set(known))}")
        time.sleep(POLL_SECONDS)
    return known


def report(options: argparse.Namespace, how: str, known: dict[str, float]) -> None:
    allowed = options.interval * options.fails + 1
    each = " ".join(f"{seconds:.1f}" for seconds in sorted(known.values()))
    verdict = "in time" if max(known.values()) <= allowed else "TOO LATE"
    print(f"{how}: {each} s; longest {max(known.values()):.2f} s of {allowed} s: {verdict}", flush=True)


if __name__ == "__main__":
    main()
