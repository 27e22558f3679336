"""What watching costs: CPU and memory of Wakeless without a model, idle and with viewers, beside other monitors.

    python -m bench.overhead [--seconds 60] [--viewers 50] [--peers]

CPU is user plus system time of the whole process tree, as a share of one core; memory is the resident set of the server
process (the supervisor's is printed beside it). ``--peers`` measures those of prometheus + prometheus-node-exporter,
netdata and glances that are installed, at one-second collection, one after the other on the same machine.
"""

from __future__ import annotations

import argparse
import getpass
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
import simple_websocket

from tests.running import RunningServer, eventually, free_port

WARM_UP_SECONDS = 15.0


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User plus system time of all of them, in seconds."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def cpu_share(processes: list[psutil.Process], seconds: float) -> float:
    """Share of one core that ``processes`` use over the next ``seconds``."""
    before, start = cpu_seconds(processes), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(processes) - before) / (time.monotonic() - start)


def resident_mb(processes: list[psutil.Process]) -> float:
    """Resident memory of all of them, in MB (shared pages counted in each)."""
    return sum(process.memory_info().rss for process in processes) / 1e6


def report(name: str, share: float, memory: str) -> None:
    print(f"{name:44}{share * 100:8.2f} %   {memory}", flush=True)


class Viewer(threading.Thread):
    """One open page, as far as the server can tell: subscribes and reads every frame."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        self.socket = simple_websocket.Client.connect(f"ws://127.0.0.1:{server.port}/live?page=overview&step=1000")
        self.frames = 0
        self.bytes = 0

    def run(self) -> None:
        try:
            while True:
                frame = self.socket.receive()
                self.frames += 1
                self.bytes += len(frame)
        except simple_websocket.ConnectionClosed:
            return


def measure_wakeless(seconds: float, viewers: int) -> None:
    """Idle, then with open pages."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(
            Path(folder) / "data", MODEL__ENABLED="false", COLLECTORS__SIMULATED_GPUS=2, AUTH__ANONYMOUS="viewer"
        ) as server,
    ):
        assert server.process is not None
        time.sleep(WARM_UP_SECONDS)
        processes = tree(psutil.Process(server.process.pid))
        share = cpu_share(processes, seconds)
        memory = f"{resident_mb(processes[1:]):.0f} MB server + {resident_mb(processes[:1]):.0f} MB supervisor"
        report("Wakeless, 2 simulated GPUs, no viewers", share, memory)
        pages = [Viewer(server) for _ in range(viewers)]
        for page in pages:
            page.start()
        eventually(lambda: all(page.frames > 2 for page in pages), what="frames for every viewer")
        frames = sum(page.frames for page in pages)
        share = cpu_share(processes, seconds)
        received = sum(page.frames for page in pages) - frames
        report(f"Wakeless, {viewers} viewers", share, f"{resident_mb(processes[1:]):.0f} MB server")
        size = sum(page.bytes for page in pages) / max(1, sum(page.frames for page in pages))
        print(f"  frames per viewer and second: {received / viewers / seconds:.2f}, {size / 1000:.1f} kB each")


def measure_peers(seconds: float) -> None:
    """Those of the other monitors that are installed."""
    with tempfile.TemporaryDirectory() as folder:
        for name, commands in peers(Path(folder)).items():
            missing = [command[0] for command in commands if shutil.which(command[0]) is None]
            if missing:
                print(f"{name:44}not installed: {', '.join(missing)}")
                continue
            started = [
                subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for command in commands
            ]
            try:
                time.sleep(WARM_UP_SECONDS)
                processes = [item for one in started for item in tree(psutil.Process(one.pid))]
                share = cpu_share(processes, seconds)
                report(name, share, f"{resident_mb(processes):.0f} MB")
            finally:
                for one in started:
                    one.terminate()
                for one in started:
                    one.wait(20)


def peers(folder: Path) -> dict[str, list[list[str]]]:
    """Commands of each peer, collecting every second where it can, on loopback."""
    exporter, web = free_port(), free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 5s}\n"
        f"scrape_configs: [{{job_name: node, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]\n"
    )
    (folder / "netdata.conf").write_text(
        f"[global]\nrun as user = {getpass.getuser()}\n[db]\nmode = dbengine\nupdate every = 1\n"
        f"[directories]\ncache = {folder}\nlib = {folder}\nlog = {folder}\n"
        f"[web]\nbind to = 127.0.0.1:{free_port()}\n[ml]\nenabled = no\n"
    )
    return {
        "Prometheus + node_exporter, 1 s": [
            ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}"],
            [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=tsdb",
                f"--web.listen-address=127.0.0.1:{web}",
            ],
        ],
        "Netdata, 1 s": [["netdata", "-D", "-c", "netdata.conf"]],
        "Glances web server, 2 s, no history": [
            ["glances", "-w", "-B", "127.0.0.1", "-p", str(free_port()), "-t", "2"]
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds per measurement")
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--peers", action="store_true", help="measure other monitors, too")
    options = parser.parse_args()
    print(f"{'':44}{'of a core':>10}   resident")
    measure_wakeless(options.seconds, options.viewers)
    if options.peers:
        measure_peers(options.seconds)


if __name__ == "__main__":
    main()
