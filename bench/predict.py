"""What the service adds to a bare ``model(x)``: latency at concurrency 1 and 8, in one run, beside a plain Flask view.

    python -m bench.predict [--seconds 6] [--rounds 3]

Four things take turns, round by round, so that a slow moment of the machine hits all of them: the bare model in a
loop (batch of one and of eight, input already decoded), decoding plus model, the plain Flask view of
``bench/plain_flask.py`` under gunicorn gthread, and Wakeless. The client is one process with a thread and a kept-alive
connection per unit of concurrency.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.running import ROOT, RunningServer, eventually, free_port

CARD = sorted((ROOT / "examples/cards").glob("*.jpg"))[0].read_bytes()


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed_loop(work: Callable[[], object], seconds: float) -> list[float]:
    """Call ``work`` for about ``seconds``; the duration of each call in seconds."""
    found, end = [], time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        work()
        found.append(time.perf_counter() - start)
    return found


def load_http(port: int, concurrency: int, seconds: float) -> list[float]:
    """Latencies in seconds of POST /predict by ``concurrency`` clients, each with its own kept-alive connection."""
    found: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def once() -> None:
            connection.request("POST", "/predict", CARD, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")

        timed_loop(once, 0.3)
        found.extend(timed_loop(once, seconds))
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(concurrency)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return found


#: Run in a process of its own, so that the client's own work is not measured with the model's.
BARE = """
import sys, time, json
sys.path.insert(0, ".")
from pathlib import Path
import torch
from model.builtin import CardDetector
torch.set_num_threads(max(1, (__import__("os").cpu_count() or 2) - 1))
detector = CardDetector(); detector.load("cpu")
body = Path(sys.argv[1]).read_bytes(); image = detector.decode(body, "image/jpeg")
works = {"bare model(x), batch 1": lambda: detector.predict([image]),
         "bare model(x), batch 8": lambda: detector.predict([image] * 8),
         "decode + model(x)": lambda: detector.predict([detector.decode(body, "image/jpeg")])}
found = {}
for name, work in works.items():
    for _ in range(5): work()
    times, end = [], time.perf_counter() + float(sys.argv[2])
    while (start := time.perf_counter()) < end:
        work(); times.append(time.perf_counter() - start)
    found[name] = times
print(json.dumps(found))
"""


def bare(seconds: float) -> dict[str, list[float]]:
    """Latencies of the model without any server, by what was called."""
    import json

    with tempfile.NamedTemporaryFile(suffix=".jpg") as card:
        Path(card.name).write_bytes(CARD)
        done = subprocess.run(
            [sys.executable, "-c", BARE, card.name, str(seconds)], cwd=ROOT, capture_output=True, text=True, check=True
        )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="seconds per measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything takes its turn")
    options = parser.parse_args()
    flask_port = free_port()
    flask = [sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "16", "--worker-class", "gthread"]
    flask += ["--no-control-socket", "--bind", f"127.0.0.1:{flask_port}", "--log-level", "error"]
    rows: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, RunningServer(Path(folder) / "data") as server:
        plain = subprocess.Popen([*flask, "bench.plain_flask:app"], cwd=ROOT)
        try:
            server.wait_until_ready()
            eventually(lambda: _answers(flask_port), within=60, what="the plain Flask view")
            for _ in range(options.rounds):
                measured = bare(options.seconds / 3)
                for concurrency in (1, 8):
                    measured[f"plain Flask view, {concurrency} clients"] = load_http(
                        flask_port, concurrency, options.seconds
                    )
                    measured[f"Wakeless, {concurrency} clients"] = load_http(server.port, concurrency, options.seconds)
                for name, times in measured.items():
                    rate = len(times) / (options.seconds if "clients" in name else sum(times))
                    rows.setdefault(name, []).append(
                        (percentile(times, 0.5) * 1e3, percentile(times, 0.99) * 1e3, rate)
                    )
        finally:
            plain.terminate()
            plain.wait(10)
    print(f"{'':32}{'p50 ms':>9}{'p99 ms':>9}{'per s':>9}   (median of {options.rounds} rounds)")
    middle = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in rows.items()}
    for name, (p50, p99, rate) in middle.items():
        print(f"{name:32}{p50:9.2f}{p99:9.2f}{rate:9.1f}")
    base = middle["bare model(x), batch 1"]
    decode = middle["decode + model(x)"]
    for concurrency in (1, 8):
        ours, theirs = middle[f"Wakeless, {concurrency} clients"], middle[f"plain Flask view, {concurrency} clients"]
        print(
            f"{concurrency} clients: Wakeless adds {ours[0] - base[0]:.2f} ms (p50) and {ours[1] - base[1]:.2f} ms"
            f" (p99) to model(x), {ours[0] - decode[0]:.2f} ms (p50) to decode + model(x);"
            f" rate / plain Flask = {ours[2] / theirs[2]:.2f}"
        )


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/predict", CARD, {"Content-Type": "image/jpeg"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
