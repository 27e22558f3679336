"""Range queries over a month, asked of Wakeless and of Prometheus over HTTP, on the same samples in the same run.

    python -m bench.query --keep DIR [--days 30] [--starts 3] [--rounds 5] [--only wakeless|prometheus]

``DIR`` is what ``bench.history`` filled, or is filled first. Each query is asked of a server process that has just been
started, once (cold: nothing in the process' caches; the operating system may still hold the files), then ``--rounds``
times more (warm). That happens ``--starts`` times, the programs in turn, and medians count. The time runs from the
request to the last byte of the answer.

The answers are compared point by point. Windows begin half a second off the grid of the samples: Prometheus 2 counts a
sample at the very beginning of a window and Prometheus 3 does not, so that no sample may lie there. After that: how
long from the start to the first page, and what the servers' memory peaks at under all of these queries.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from bench.answer import Difference, compare
from bench.fleet import DAY_MS, Fleet, kept_fleet, last_midnights
from bench.history import fill_prometheus, fill_wakeless
from bench.peer import Prometheus
from bench.wakeless import Wakeless
from tests.running import eventually

POINTS = 1000
OFF_GRID_MS = 500
REST_SECONDS = 3.0
#: A slow query is not asked again after so many seconds of asking.
PATIENCE_SECONDS = 30.0
MEMORY_LIMIT_MB = 150
START_LIMIT_SECONDS = 2.0

ONE = 'gpu_power_watts{gpu="3"}'
ALL = '{__name__=~".+",series!=""}'
COUNTERS = '{__name__=~".+_(total|bucket|count|sum)",series!=""}'
MONTH = (
    ("one series, raw", ONE),
    ("avg_over_time[43m], one series", f"avg_over_time({ONE}[43m])"),
    ("quantile_over_time[43m], one", f"quantile_over_time(0.99, {ONE}[43m])"),
    ("sum(rate[5m]), 50 series", "sum(rate(cpu_seconds_total[5m]))"),
    ("sum(rate[43m]), 50 series", "sum(rate(cpu_seconds_total[43m]))"),
)
DAY = (
    ("200 series, raw", ALL),
    ("rate[5m], all 200 series", f"rate({ALL}[5m])"),
    ("rate[5m], 104 counters", f"rate({COUNTERS}[5m])"),
    ("avg_over_time[1h], 200 series", f"avg_over_time({ALL}[1h])"),
    (
        "histogram_quantile(rate[5m])",
        "histogram_quantile(0.95, sum by (route, le) (rate(http_server_request_duration_seconds_bucket[5m])))",
    ),
)


class Query(NamedTuple):
    """A range query of POINTS points; times in UTC milliseconds."""

    title: str
    text: str
    start_ms: int
    end_ms: int
    step_ms: int

    @property
    def path(self) -> str:
        times = {"start": self.start_ms / 1000, "end": self.end_ms / 1000, "step": self.step_ms / 1000}
        return "/api/v1/query_range?" + urllib.parse.urlencode({"query": self.text, **times})


class Timing(NamedTuple):
    """Seconds of the first answer and of the median of the later ones; the answer itself."""

    cold: float
    warm: float
    status: int
    body: bytes


class Program(Protocol):
    """What is asked: it listens on ``port`` of loopback from ``start`` to ``stop``."""

    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    @property
    def server(self) -> psutil.Process: ...


def queries(fleet: Fleet) -> list[Query]:
    """Those over all of the history, then those over one day in the middle of it.

    The last point lies before the last sample: after that Wakeless has seen its series end, and says so.
    """
    middle = fleet.start_ms + fleet.days // 2 * DAY_MS
    spans = [("all days: ", MONTH, fleet.start_ms, fleet.end_ms), ("one day: ", DAY, middle, middle + DAY_MS)]
    found = []
    for prefix, kinds, first_ms, last_ms in spans:
        step_ms = (last_ms - first_ms) // POINTS
        start_ms = first_ms + step_ms - 2 * fleet.interval_ms + OFF_GRID_MS
        end_ms = start_ms + (POINTS - 1) * step_ms
        found += [Query(prefix + title, text, start_ms, end_ms, step_ms) for title, text in kinds]
    return found


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, int, bytes]:
    """Seconds, status and body."""
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    return time.perf_counter() - began, answer.status, body


def measure(program: Program, query: Query, rounds: int) -> Timing:
    """Start the program, ask, stop it."""
    program.start()
    try:
        time.sleep(REST_SECONDS)
        with closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=600)) as connection:
            cold, status, body = ask(connection, query.path)
            later, end = [], time.monotonic() + PATIENCE_SECONDS
            for _ in range(rounds):
                later.append(ask(connection, query.path)[0])
                if time.monotonic() > end:
                    break
    finally:
        program.stop()
    return Timing(cold, statistics.median(later), status, body)


def in_turn(programs: Sequence[Program | None], query: Query, starts: int, rounds: int) -> list[Timing | None]:
    """The medians of each program over several starts."""
    found: list[list[Timing]] = [[] for _ in programs]
    for _ in range(starts):
        for program, timings in zip(programs, found, strict=True):
            if program is not None:
                timings.append(measure(program, query, rounds))
    return [_middle(timings) if timings else None for timings in found]


def _middle(timings: Sequence[Timing]) -> Timing:
    cold, warm = (statistics.median(column) for column in list(zip(*timings, strict=True))[:2])
    return timings[-1]._replace(cold=cold, warm=warm)


def report_memory(wakeless: Wakeless, asked: Sequence[Query], rounds: int) -> None:
    """How long the start takes, and what the server's memory peaks at under all queries, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Wakeless(Path(folder))
        without, empty_mb, _ = live(bare, lambda: bare.running.answers("/"), [])
    seconds, idle_mb, peak_mb = live(wakeless, lambda: wakeless.running.answers("/"), [*asked] * rounds)
    print(f"\nStart to first page: {seconds:.2f} s, without history {without:.2f} s (limit {START_LIMIT_SECONDS} s)")
    print(
        f"Resident: {empty_mb:.0f} MB without history, {idle_mb:.0f} MB idle with it, {peak_mb:.0f} MB at the peak of"
        f" {rounds} rounds of all queries: the store costs {peak_mb - empty_mb:.0f} MB (limit {MEMORY_LIMIT_MB} MB)"
    )


def live(program: Program, answers: Callable[[], bool], asked: Sequence[Query]) -> tuple[float, float, float]:
    """Seconds from the start until it ``answers``, resident MB at rest, and at the peak while all is asked."""
    began = time.perf_counter()
    program.start()
    try:
        eventually(answers, what="the first answer")
        seconds = time.perf_counter() - began
        time.sleep(2 * REST_SECONDS)
        server = program.server
        idle = server.memory_info().rss / 1e6
        Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak begins anew
        with closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=600)) as connection:
            for query in asked:
                ask(connection, query.path)
        peak = peak_bytes(server.pid) / 1e6
    finally:
        program.stop()
    return seconds, idle, peak


def peak_bytes(pid: int) -> int:
    """The most that was resident, of ``/proc``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def head() -> None:
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'milliseconds':42}{'cold':>9}{'peer':>9}{'times':>7}{'warm':>10}{'peer':>9}{'times':>7}   answers")


def row(query: Query, ours: Timing | None, theirs: Timing | None) -> None:
    """One line: ours, theirs, how many times faster; then what differs between the answers."""
    cells = []
    for kind in ("cold", "warm"):
        mine, other = (None if one is None else getattr(one, kind) * 1e3 for one in (ours, theirs))
        cells.append("-".rjust(9) if mine is None else f"{mine:9.1f}")
        cells.append("-".rjust(9) if other is None else f"{other:9.1f}")
        cells.append(f"{other / mine:7.1f} " if mine and other else " " * 8)
    print(f"{query.title:42}{''.join(cells)}  {verdict(ours, theirs)}", flush=True)


def verdict(ours: Timing | None, theirs: Timing | None) -> str:
    """Whether both answered, and the same."""
    for name, one in (("Wakeless", ours), ("Prometheus", theirs)):
        if one is not None and one.status != 200:
            return f"{name} said {one.status}: {one.body[:200].decode(errors='replace')}"
    if ours is None or theirs is None:
        return f"{len((ours or theirs or Timing(0, 0, 0, b'')).body) / 1e6:.2f} MB"
    found: Difference = compare(ours.body, theirs.body)
    return str(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="folder of bench.history")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two ticks")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes for each query")
    parser.add_argument("--rounds", type=int, default=5, help="warm answers of each of them")
    parser.add_argument("--only", choices=("wakeless", "prometheus"))
    options = parser.parse_args()
    folder: Path = options.keep
    wanted = Fleet(last_midnights(options.days), options.days, round(options.interval * 1000))
    fleet = kept_fleet(folder, wanted)
    ours = theirs = None
    if options.only != "wakeless":
        fill_prometheus(folder / "prometheus", fleet)
        theirs = Prometheus(folder / "prometheus")
    if options.only != "prometheus":
        fill_wakeless(folder / "wakeless", fleet)
        ours = Wakeless(folder / "wakeless")
    asked = queries(fleet)
    head()
    for query in asked:
        row(query, *in_turn((ours, theirs), query, options.starts, options.rounds))
    if ours is not None:
        report_memory(ours, asked, options.rounds)
    if theirs is not None:
        seconds, idle, peak = live(theirs, lambda: True, [*asked] * options.rounds)
        print(f"Prometheus: ready after {seconds:.2f} s, {idle:.0f} MB idle, {peak:.0f} MB at the peak of the same")


if __name__ == "__main__":
    main()
