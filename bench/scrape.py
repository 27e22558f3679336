"""What scrapes cost: five endpoints of 2000 series each, and reading one beside prometheus_client's parser.

``python -m bench.scrape [ROUNDS]`` serves the five from a process of its own on loopback, scrapes them over HTTP, and
writes the ticks to a real store. What counts is the CPU time of this process; at one scrape of each every 15 s it is
the share of a core that is printed.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from config_target import ScrapeTarget
from storage.engine import open_database
from storage.series import SeriesStore
from targets.fetch import fetch
from targets.scrape.exposition import Reader
from targets.scrape.job import ScrapeJob

ENDPOINTS, METRICS, PER_METRIC = 5, 100, 20
INTERVAL_SECONDS = 15


def exposition(turn: int) -> bytes:
    """2000 series in 100 metrics, all of them with other values in each turn."""
    lines = []
    for metric in range(METRICS):
        lines += [f"# HELP app_{metric}_total What it counts.", f"# TYPE app_{metric}_total counter"]
        for path in range(PER_METRIC):
            labels = f'method="GET",path="/api/v1/things/{path}",code="200"'
            lines.append(f"app_{metric}_total{{{labels}}} {turn * 1.25 + metric * path}")
    return ("\n".join(lines) + "\n").encode()


def serve(pipe: Connection) -> None:
    """Answer each request with the next turn, until the process is ended."""
    turns = [exposition(turn) for turn in range(20)]
    asked = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[0] += 1
            body = turns[asked[0] // ENDPOINTS % len(turns)]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """No access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_address[1])
    server.serve_forever()


def cpu_seconds(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one run, on average."""
    begin = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begin) / times


def main(rounds: int) -> None:
    """Measure and print."""
    body = exposition(1)
    reader = Reader(lambda labels: labels)
    first = cpu_seconds(lambda: Reader(lambda labels: labels).read(body), 5)
    reader.read(body)
    again = cpu_seconds(lambda: reader.read(body), 50)
    client = cpu_seconds(lambda: list(text_string_to_metric_families(body.decode())), 5)
    print(f"reading {METRICS * PER_METRIC} series ({len(body) >> 10} KiB), CPU ms")
    print(f"  the first time          {first * 1e3:8.2f}")
    print(f"  each time after         {again * 1e3:8.2f}")
    print(f"  prometheus_client       {client * 1e3:8.2f}   ({client / again:.0f} times as much)")
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        measure(f"http://127.0.0.1:{ours.recv()}/metrics", rounds)
    finally:
        process.terminate()
        process.join()


def measure(url: str, rounds: int) -> None:
    """Scrape all endpoints so many times, over HTTP and into a store."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "wakeless.db")
        store = SeriesStore(database)
        store.load()
        settings = ScrapeTarget(url=url)
        jobs = [ScrapeJob(f"app{number}", 0, settings, f"h{number}:1", fetch) for number in range(ENDPOINTS)]
        start_ms = time.time_ns() // 1_000_000

        def all_of_them(turn: int) -> None:
            for job in jobs:
                store.append(job.scrape(start_ms + turn * INTERVAL_SECONDS * 1000))
                assert job.state.up, job.state.error

        all_of_them(0)
        turns = iter(range(1, rounds + 1))
        each = cpu_seconds(lambda: all_of_them(next(turns)), rounds)
        print(f"{ENDPOINTS} scrapes over HTTP into the store, {rounds} rounds: {each * 1e3:.1f} ms of CPU a round,")
        print(f"  every {INTERVAL_SECONDS} s: {each / INTERVAL_SECONDS:.2%} of a core")
        store.close()
        database.dispose()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
