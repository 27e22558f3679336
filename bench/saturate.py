"""Three times as many requests as the model can take, for an hour: does anything take being busy for being broken?

    python -m bench.saturate [--minutes 60] [--batch-size 8]

The model is :class:`bench.paced.Heavy`, so its capacity is known: ``batch size / 50 ms``. Once a second everything that
says how the server is doing is asked; every restart, verdict, opened breaker and remedy counts, and the target is none.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.flood import Tally, flooding
from bench.paced import Heavy
from ledger import Ledger
from tests.running import RunningServer, eventually

TIMES = 3
BODY = '{"value": 1.5}'
#: What has to be 200 all the time, and how often it is looked at.
VERDICTS = ("/health", "/health/live", "/health/ready")
LOOK_SECONDS = 1.0
#: Until memory and threads are taken as what they are under load.
WARM_SECONDS = 10.0
#: Events of the log that count whatever their level: something was taken for broken, and mended.
_MENDING = ("remedy_begins", "model_reload_begins")
_LOUD = ("warning", "error", "critical")
#: What says only that the machine had no time for a tick; whether that is too late for a verdict, the verdicts tell.
_LATE = "job_overrun"


@dataclass
class Watched:
    """What was seen. ``alarms`` is what the target says there must be none of."""

    minutes: float = 0.0
    alarms: Counter[str] = field(default_factory=Counter)
    late_ticks: int = 0
    looks: int = 0
    slowest_look: float = 0.0
    #: Resident bytes and threads of the server, warm and at the end.
    resident: tuple[int, int] = (0, 0)
    threads: tuple[int, int] = (0, 0)
    tally: Tally = field(default_factory=Tally)

    def __str__(self) -> str:
        alarms = ", ".join(f"{count} × {what}" for what, count in sorted(self.alarms.items())) or "none"
        tally = self.tally
        return "\n".join(
            (
                f"{self.minutes:.1f} minutes, {tally.sent} requests, {tally.sent / tally.seconds:.0f} a second",
                f"answered {tally.count(200)} ({tally.rate():.1f} a second), refused {tally.count(429, 503, 504)}"
                f" ({tally.mute} without Retry-After), lost {tally.lost}, unsent {tally.unsent},"
                f" other {sum(tally.count(status) for status in tally.times if status not in (200, 429, 503, 504))}",
                f"p50 {tally.seconds_at(0.5, 200) * 1e3:.0f} ms, p99 {tally.seconds_at(0.99, 200) * 1e3:.0f} ms",
                f"{self.looks} looks at the health, the slowest answer after {self.slowest_look * 1e3:.0f} ms",
                f"memory {self.resident[0] / 1e6:.0f} MB warm, {self.resident[1] / 1e6:.0f} MB at the end;"
                f" threads {self.threads[0]} and {self.threads[1]}",
                f"late ticks: {self.late_ticks}; alarms: {alarms}",
            )
        )


def saturate(folder: Path, seconds: float, batch_size: int, *, verbose: bool = False) -> Watched:
    """Flood a fresh server for so long and watch it."""
    settings: dict[str, Any] = {
        "MODEL__PATH": "bench.paced:Heavy",
        "MODEL__DEVICE": "cpu",
        "MODEL__BATCH_SIZE": batch_size,
    }
    rate = TIMES * batch_size / Heavy.seconds
    seen = Watched(minutes=seconds / 60)
    with RunningServer(folder / "data", AUTH__ANONYMOUS="viewer", **settings) as server:
        server.wait_until_ready()
        first = server.worker
        with flooding(server.port, rate, seconds, "--body", BODY) as flood:
            began, warm = time.monotonic(), False
            while flood.running:
                _look(server, seen)
                passed = time.monotonic() - began
                if not warm and passed >= min(WARM_SECONDS, seconds / 2):
                    warm, seen.resident = True, (first.memory_info().rss, 0)
                    seen.threads = first.num_threads(), 0
                if verbose and seen.looks % 60 == 0:
                    print(
                        f"{passed / 60:6.1f} min  {first.memory_info().rss / 1e6:.0f} MB  {dict(seen.alarms)}",
                        flush=True,
                    )
                time.sleep(LOOK_SECONDS)
            seen.tally = flood.tally()
        eventually(lambda: server.json("/api/model")["status"]["queue_depth"] == 0, what="an empty queue")
        status, _ = server.request("POST", "/predict", BODY.encode(), {"Content-Type": "application/json"})
        seen.alarms["no answer at the end"] += status != 200
        seen.alarms["restart"] += server.worker.pid != first.pid or len(Ledger(server.data_dir).exits())
        seen.resident = seen.resident[0], server.worker.memory_info().rss
        seen.threads = seen.threads[0], server.worker.num_threads()
        for name in _events(server.log):
            seen.alarms[name] += 1
    seen.late_ticks = seen.alarms.pop(_LATE, 0)
    seen.alarms = +seen.alarms
    return seen


def _look(server: RunningServer, seen: Watched) -> None:
    seen.looks += 1
    for path in VERDICTS:
        began = time.monotonic()
        try:
            status, said = server.get(path)
        except OSError as error:
            status, said = 0, str(error).encode()
        seen.slowest_look = max(seen.slowest_look, time.monotonic() - began)
        if status != 200:
            seen.alarms[f"{path} {status}"] += 1
            print(f"{path}: {status} {said[:200]!r}", flush=True)


def _events(log: Path) -> Iterator[str]:
    """What went wrong by the server's own account: warnings and worse, and remedies."""
    for line in log.read_text(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and (said.get("level") in _LOUD or said.get("event") in _MENDING):
            yield str(said.get("event"))


def main() -> None:
    """Watch, and say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--batch-size", type=int, default=8, help="160 requests a second at 8; half of it at 4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(saturate(Path(folder), options.minutes * 60, options.batch_size, verbose=True))


if __name__ == "__main__":
    main()
