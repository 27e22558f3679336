"""What an evaluation costs: a thousand rules over an hour of a thousand series at one second, and the stock rules.

    python -m bench.rules [--rules 1000] [--series 1000] [--seconds 3600] [--rounds 20] [--server 40] [--prometheus]

The history lies in memory, as the server has it; the database is a real file. Of the rules, half are thresholds, a
quarter compares rates of 5 minutes, and a quarter quantiles of a histogram; each is about one of the machines. One in
a hundred fires. A round is one evaluation, a second after the last; CPU is that of this process, which has one thread.

``--server`` runs a server for so many seconds that evaluates its stock rules every second over what it measures, eight
simulated GPUs among it, and prints what it says its evaluations took. With ``--prometheus``, Debian's Prometheus gets
the same samples by remote write and the same rules every second, and is asked how long it takes for the group.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from alerts.engine import AlertEngine
from alerts.rule import parse_rules
from bench.fleet import Stretch
from bench.peer import Prometheus
from collectors.sample import METRIC_NAME, Labels, Sample, Tick, Values
from promql import Engine
from promql.label import drop_name
from storage.engine import open_database
from storage.series import SeriesStore
from tests.running import RunningServer, eventually

BOUNDS = ("0.1", "0.25", "0.5", "1", "2.5", "+Inf")
PER_MACHINE = 20
SEED = 20_261_121
STAGE = 'wakeless_tick_duration_seconds{source="evaluate"}'


def machine(number: int) -> list[Labels]:
    """The series of one machine: four gauges, ten counters, and a histogram."""
    on = ("machine", f"m{number:03}")
    gauges = [((METRIC_NAME, f"bench_gauge_{kind}"), on) for kind in "abcd"]
    counters = [((METRIC_NAME, "bench_requests_total"), ("code", str(code)), on) for code in range(10)]
    buckets = [((METRIC_NAME, "bench_seconds_bucket"), ("le", bound), on) for bound in BOUNDS]
    return [tuple(sorted(labels)) for labels in (*gauges, *counters, *buckets)]


def values(machines: int, seconds: int) -> Values:
    """(series, seconds): gauges around 0.5, counters and buckets that grow."""
    rng = np.random.default_rng(SEED)
    gauges = rng.normal(0.5, 0.05, (machines, 4, seconds))
    counters = rng.poisson(3.0, (machines, 10, seconds)).cumsum(axis=2)
    each = rng.poisson(2.0, (machines, len(BOUNDS), seconds)).cumsum(axis=2)
    rows: Values = (
        np.concatenate([gauges, counters, each.cumsum(axis=1)], axis=1).reshape(-1, seconds).astype(np.float64)
    )
    return rows


def rule_file(count: int, machines: int) -> str:
    """``count`` alerting rules in one group."""
    rules = []
    for number in range(count):
        on = f'machine="m{number % machines:03}"'
        limit = 0.0 if number % 100 == 0 else 1000.0
        match number % 4:
            case 0 | 1:
                expr = f"bench_gauge_{'abcd'[number // machines % 4]}{{{on}}} > {limit}"
            case 2:
                expr = f"sum by (machine) (rate(bench_requests_total{{{on}}}[5m])) > {limit}"
            case _:
                rate = f"rate(bench_seconds_bucket{{{on}}}[5m])"
                expr = f"histogram_quantile(0.95, sum by (machine, le) ({rate})) > {limit}"
        summary = "{{ $labels.machine }} is at {{ $value }}"
        rules.append({"alert": f"Rule{number}", "expr": expr, "for": "5s", "annotations": {"summary": summary}})
    return yaml.safe_dump({"groups": [{"name": "bench", "interval": "1s", "rules": rules}]}, sort_keys=False)


def ticks(keys: Sequence[Labels], rows: Values, start_ms: int) -> Iterator[Tick]:
    """A tick for each second; the machines in ten sources, as collectors are."""
    names = [(dict(labels)[METRIC_NAME], drop_name(labels)) for labels in keys]
    parts = np.array_split(np.arange(len(keys)), 10)
    for second in range(rows.shape[1]):
        column = rows[:, second].tolist()
        for source, part in enumerate(parts):
            samples = tuple(Sample(names[row][0], names[row][1], column[row]) for row in part)
            yield Tick(f"bench{source}", start_ms + second * 1000, samples)


class Round(NamedTuple):
    """One evaluation, in milliseconds."""

    wall: float
    cpu: float


def time_rounds(engine: AlertEngine, now_ms: int, rounds: int) -> list[Round]:
    """Each evaluation but the first, which writes what is pending."""
    taken = []
    for number in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        engine.evaluate(now_ms + number * 1000)
        taken.append(Round(1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)))
    return taken[1:]


def evaluate(keys: Sequence[Labels], rows: Values, text: str, start_ms: int, rounds: int) -> None:
    """Fill a store, evaluate the rules over it, print."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "wakeless.db")
        store = SeriesStore(database)
        store.load()
        moments = ticks(keys, rows, start_ms)
        while together := list(itertools.islice(moments, 600)):
            store.append(together)
        groups, problems = parse_rules(text, "bench.yml")
        assert not problems, problems[0]
        engine = AlertEngine(database, Engine(store), groups)
        taken = time_rounds(engine, start_ms + 1000 * (rows.shape[1] - 1), rounds)
        states = [rule.health for group in engine.rules() for rule in group.rules]
        firing = sum(alert.is_firing for alert in engine.current())
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        worst = max(one.wall for one in taken)
        print(f"{len(states)} rules over {len(keys)} series, {states.count('ok')} of them well, {firing} alerts fire:")
        print(f"  Wakeless: median {wall:.0f} ms ({cpu:.0f} ms of CPU), the slowest {worst:.0f} ms")
        store.close()
        database.dispose()


def watch_server(seconds: float) -> None:
    """Run a server that evaluates every second; print what its evaluations took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(
            Path(folder) / "data",
            ALERTS__EVALUATION_INTERVAL_SECONDS=1,
            COLLECTORS__SIMULATED_GPUS=8,
            AUTH__ANONYMOUS="viewer",
        ) as server,
    ):
        server.wait_until_ready()
        time.sleep(seconds)
        for title, function in (("median", "quantile_over_time(0.5, "), ("slowest", "max_over_time(")):
            query = urllib.parse.urlencode({"query": f"{function}{STAGE}[{seconds - 5:.0f}s])"})
            found = server.json(f"/api/v1/query?{query}")
            print(f"  {title} {1000 * float(found['data']['result'][0]['value'][1]):.1f} ms")


def ask_prometheus(text: str, keys: Sequence[Labels], rows: Values, start_ms: int, rounds: int) -> None:
    """Print what Prometheus says its group takes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yml"
        file.write_text(text, encoding="utf-8")
        times = start_ms + 1000 * np.arange(rows.shape[1], dtype=np.int64)
        named = tuple((dict(labels)[METRIC_NAME], drop_name(labels)) for labels in keys)
        with Prometheus(Path(folder) / "prometheus", f"rule_files: [{file}]\n") as prometheus:
            for _ in prometheus.feed([[Stretch("bench", named, times, rows)]]):
                pass
            taken: list[float] = []
            cpu: list[float] = []

            def has_evaluated() -> bool:
                with urllib.request.urlopen(f"http://127.0.0.1:{prometheus.port}/api/v1/rules") as answer:
                    (group,) = json.load(answer)["data"]["groups"]
                if 1000 * group["evaluationTime"] not in taken:
                    taken.append(1000 * group["evaluationTime"])
                    cpu.append(1000 * sum(prometheus.server.cpu_times()[:2]))
                return len(taken) > rounds

            eventually(has_evaluated, within=120, what=f"{rounds} evaluations")
        each = (cpu[-1] - cpu[0]) / rounds
        wall, worst = statistics.median(taken[1:]), max(taken[1:])
        print(f"  Prometheus: median {wall:.0f} ms ({each:.0f} ms of CPU, all of it), the slowest {worst:.0f} ms")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--server", type=float, default=0.0)
    parser.add_argument("--prometheus", action="store_true")
    options = parser.parse_args()
    machines = options.series // PER_MACHINE
    keys = [labels for number in range(machines) for labels in machine(number)]
    rows = values(machines, options.seconds)
    text = rule_file(options.rules, machines)
    start_ms = time.time_ns() // 1_000_000_000 * 1000 - options.seconds * 1000
    evaluate(keys, rows, text, start_ms, options.rounds)
    if options.prometheus:
        ask_prometheus(text, keys, rows, start_ms, options.rounds)
    if options.server:
        print("Stock rules in a server, every second:")
        watch_server(options.server)


if __name__ == "__main__":
    main()
