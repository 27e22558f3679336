"""Throughput and latency of one model behind Wakeless, LitServe, BentoML and a plain Flask view, beside a bare loop.

    python -m venv /tmp/rivals && /tmp/rivals/bin/pip install litserve==0.2.19 bentoml==1.4.39 flask gunicorn torch
    apt-get install wrk
    python -m bench.serving --rivals /tmp/rivals [--seconds 8] [--rounds 3] [--only heavy]

The light model takes less than 1 ms, the heavy one about 50 ms (``bench/rival/network.py``). Round by round each server
is started, warmed up, loaded by wrk at each concurrency with kept-alive connections, and stopped, so that a slow moment
of the machine hits all of them in turn. Torch has one thread everywhere, so that there is a core for HTTP and the load.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.running import ROOT, RunningServer, eventually, free_port

LEVELS = (1, 8, 32, 128)
X = [round(index / 64, 4) for index in range(64)]
#: Most inputs in a pass, here as in ``bench/rival/network.py``, which needs torch.
BATCH = 32
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Figures:
    """One server at one concurrency: answers per second, milliseconds, and answers that were no answer."""

    rate: float
    p50: float
    p99: float
    failed: int


@contextmanager
def wakeless(kind: str, folder: Path, rivals: Path) -> Iterator[tuple[str, object]]:
    """As installed, but for the size of a batch and of the queue: 128 callers at once are wanted here, not refused."""
    os.environ["BENCH_MODEL"] = kind
    with RunningServer(
        folder / "data",
        MODEL__PATH="bench.rival.hosted:Network",
        MODEL__BATCH_SIZE=BATCH,
        MODEL__QUEUE_SIZE=256,
        MODEL__CPU_THREADS=1,
    ) as server:
        server.wait_until_ready()
        yield server.url + "/predict", {"x": X}


@contextmanager
def litserve(kind: str, folder: Path, rivals: Path) -> Iterator[tuple[str, object]]:
    """One API process and one worker process, which is LitServe's default for one device."""
    port = free_port()
    with _process([rivals / "bin/python", "-m", "bench.rival.litserve_api", port], kind, folder):
        yield f"http://127.0.0.1:{port}/predict", {"x": X}


@contextmanager
def bentoml(kind: str, folder: Path, rivals: Path) -> Iterator[tuple[str, object]]:
    """One worker process, which is BentoML's default."""
    port = free_port()
    command = [rivals / "bin/python", "-m", "bentoml", "serve", "bench.rival.bentoml_service:Service", "--port", port]
    with _process([*command, "--host", "127.0.0.1"], kind, folder):
        yield f"http://127.0.0.1:{port}/predict", {"x": [X]}


@contextmanager
def flask(kind: str, folder: Path, rivals: Path) -> Iterator[tuple[str, object]]:
    """One process with a thread for each caller."""
    port = free_port()
    command = [rivals / "bin/python", "-m", "gunicorn", "--workers", "1", "--threads", max(LEVELS)]
    command += ["--no-control-socket", "--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    with _process([*command, "bench.rival.flask_view:app"], kind, folder):
        yield f"http://127.0.0.1:{port}/predict", {"x": X}


SERVERS = {"Wakeless": wakeless, "LitServe": litserve, "BentoML": bentoml, "plain Flask": flask}


@contextmanager
def _process(command: list[object], kind: str, folder: Path) -> Iterator[None]:
    """A server in a process group of its own, which is ended at the end."""
    environment = os.environ | {"BENCH_MODEL": kind, "BENTOML_DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


#: Run in a process of its own. A batch as large as that many callers could fill.
BARE = """
import sys, time
from bench.rival import network
model, rows = network.build(sys.argv[1]), [[0.5] * network.WIDTH] * int(sys.argv[2])
for _ in range(3): network.run(model, rows)
count, began, end = 0, time.perf_counter(), time.perf_counter() + float(sys.argv[3])
while time.perf_counter() < end:
    network.run(model, rows); count += len(rows)
print(count / (time.perf_counter() - began))
"""


def bare(kind: str, concurrency: int, seconds: float) -> Figures:
    """The model in a loop without any server."""
    size = min(concurrency, BATCH)
    command = [sys.executable, "-c", BARE, kind, str(size), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rate = float(done.stdout)
    return Figures(rate, size / rate * 1e3, size / rate * 1e3, 0)


def load(url: str, body: object, concurrency: int, seconds: float, folder: Path) -> Figures:
    """What wrk measures at one concurrency; a first second is not counted."""
    script = folder / "post.lua"
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{json.dumps(body)}]==]\n"
        "wrk.headers['Content-Type'] = 'application/json'\n"
    )
    command = ["wrk", "-t1", f"-c{concurrency}", "--timeout", "60s", "--latency", "-s", str(script)]
    subprocess.run([*command, "-d1s", url], capture_output=True, check=True)
    said = subprocess.run([*command, f"-d{seconds:g}s", url], capture_output=True, check=True, text=True).stdout
    failed = sum(int(count) for count in re.findall(r"(?:Non-2xx or 3xx responses: |timeout |read |write )(\d+)", said))
    return Figures(
        float(_found(r"Requests/sec:\s+([\d.]+)", said)), _percentile(50, said), _percentile(99, said), failed
    )


def _percentile(percent: int, said: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(\D+)", _found(rf"\n\s+{percent}%\s+(\S+)", said)).groups()  # type: ignore[union-attr]
    return float(value) * _UNITS[unit]


def _found(pattern: str, said: str) -> str:
    match = re.search(pattern, said)
    if match is None:
        raise RuntimeError(f"wrk said no {pattern!r}: {said}")
    return match[1]


def _answers(url: str, body: object) -> bool:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def measure(kind: str, names: list[str], options: argparse.Namespace) -> dict[tuple[str, int], list[Figures]]:
    """All rounds of one model: figures by server and concurrency."""
    found: dict[tuple[str, int], list[Figures]] = {}
    for turn in range(options.rounds):
        for level in LEVELS:
            found.setdefault(("bare loop", level), []).append(bare(kind, level, options.seconds / 2))
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url, body = stack.enter_context(SERVERS[name](kind, folder, options.rivals))
                eventually(partial(_answers, url, body), within=120, what=f"an answer of {name}")
                for level in LEVELS:
                    figures = load(url, body, level, options.seconds, folder)
                    print(f"  {kind} {turn} {name} {level}: {figures}", file=sys.stderr, flush=True)
                    found.setdefault((name, level), []).append(figures)
    return found


def table(kind: str, found: dict[tuple[str, int], list[Figures]], names: list[str]) -> Iterator[str]:
    """Markdown: medians over the rounds; a cell is ``rate /s, p50 / p99 ms``."""
    yield f"| {kind} | " + " | ".join(f"{level} callers" for level in LEVELS) + " |"
    yield "|---|" + "---:|" * len(LEVELS)
    for name in ("bare loop", *names):
        cells = []
        for level in LEVELS:
            runs = found[name, level]
            rate, p50, p99 = (statistics.median(getattr(run, key) for run in runs) for key in ("rate", "p50", "p99"))
            failed = sum(run.failed for run in runs)
            cells.append(f"{rate:.0f} /s, {p50:.1f} / {p99:.1f} ms" + (f", {failed} failed" if failed else ""))
        yield f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=Path, required=True, help="a virtual environment with the other servers")
    parser.add_argument("--seconds", type=float, default=8, help="seconds per measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything takes its turn")
    parser.add_argument("--only", choices=("light", "heavy"), help="one of the two models")
    parser.add_argument("--servers", nargs="+", choices=tuple(SERVERS), default=list(SERVERS), help="some of them")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    os.environ["OMP_NUM_THREADS"] = "1"
    for kind in (options.only,) if options.only else ("light", "heavy"):
        found = measure(kind, options.servers, options)
        print("\n".join(table(kind, found, options.servers)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
