"""What the baseline rules cost: weeks of recorded figures in a real store, and the group evaluated as in the server.

``python -m bench.baseline [MODELS] [GPUS]`` prints the time of one evaluation, which the server does once a minute.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from alerts.rule import load_stock
from alerts.ruling.replay import Replay
from collectors.sample import Sample, Tick, make_labels
from promql import Engine
from storage.engine import open_database
from storage.series import SeriesStore

WEEK_MS, MINUTE_MS = 7 * 86_400_000, 60_000
NOW_MS = 1_700_000_000_000
P95 = "model:inference_request_duration_seconds:p95_5m"
MEMORY = "gpu:gpu_memory_used:ratio_avg1m"
TRAFFIC = "model:inference_requests:rate5m"
ROUNDS = 20


def _recorded(models: int, gpus: int, time_ms: int) -> Iterator[Tick]:
    """What the recording rules write in a minute; each rule is a source of its own."""
    value = 1 + (time_ms // MINUTE_MS % 1440) / 1440
    by_model = [make_labels(model=f"m{number}") for number in range(models)]
    by_gpu = [make_labels(gpu=str(number)) for number in range(gpus)]
    yield Tick("p95", time_ms, tuple(Sample(P95, labels, value) for labels in by_model))
    yield Tick("memory", time_ms, tuple(Sample(MEMORY, labels, value / 3) for labels in by_gpu))
    yield Tick("traffic", time_ms, tuple(Sample(TRAFFIC, labels, value * 5) for labels in by_model))


def _raw(models: int, gpus: int, time_ms: int) -> Iterator[Tick]:
    """What the collectors write in a second."""
    buckets = [
        Sample("inference_request_duration_seconds_bucket", make_labels(model=f"m{model}", le=bound), time_ms / 1000)
        for model in range(models)
        for bound in ("0.1", "0.5", "1.0", "2.5", "10.0", "60.0", "+Inf")
    ]
    yield Tick("requests", time_ms, tuple(buckets))
    cards = [make_labels(gpu=str(number)) for number in range(gpus)]
    used = [Sample("gpu_memory_used_bytes", card, 4e10) for card in cards]
    yield Tick("nvml", time_ms, (*used, *(Sample("gpu_memory_total_bytes", card, 8e10) for card in cards)))


def main() -> None:
    """Print the table row."""
    models, gpus = (int(text) for text in (*sys.argv[1:], "1", "1")[:2])
    group = next(group for group in load_stock() if group.name == "wakeless-baseline")
    with tempfile.TemporaryDirectory() as folder:
        store = SeriesStore(open_database(Path(folder) / "wakeless.db"))
        store.load()
        for time_ms in range(NOW_MS - 22 * 86_400_000, NOW_MS, MINUTE_MS):
            store.append(list(_recorded(models, gpus, time_ms)))
            if time_ms // MINUTE_MS % 120 == 0:
                store.seal()
        for time_ms in range(NOW_MS - 600_000, NOW_MS + ROUNDS * MINUTE_MS, 1000):
            store.append(list(_raw(models, gpus, time_ms)))
        replay = Replay([group], Engine(store))
        seconds = []
        for number in range(ROUNDS):
            began = time.perf_counter()
            replay.step(NOW_MS + number * MINUTE_MS)
            seconds.append(time.perf_counter() - began)
        assert not replay.failures(), replay.failures()
        store.close()
    print(
        f"models {models}, GPUs {gpus}: median {statistics.median(seconds) * 1000:.1f} ms, worst "
        f"{max(seconds) * 1000:.1f} ms for {len(group.rules)} rules, once a minute"
    )


if __name__ == "__main__":
    main()
