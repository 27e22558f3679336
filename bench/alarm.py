"""How long from a condition to the notice: ``python -m bench.alarm --alerts 40 --interval 1``.

A real server, rules that begin to hold at moments known beforehand and spread over whole seconds, a routing file
without ``group_wait``, and a web service in this process that notes when it has heard of each.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.running import RunningServer

#: Seconds from the start of the server until the first condition holds, and between two.
LEAD_SECONDS, GAP_SECONDS = 15.0, 1.37
PATIENCE_SECONDS = 30.0
_ROUTING = """
route: {{receiver: here, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 24h}}
receivers:
  - name: here
    webhook_configs: [{{url: '{url}'}}]
"""


class Ear:
    """A web service that notes when it first heard of each alert, in seconds of the wall clock."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                moment = time.time()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    ear.heard.setdefault(alert["labels"]["alertname"], moment)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"


def rules(moments: Mapping[str, float]) -> str:
    """A rule file in which each alert holds from its moment on."""
    lines = [f"      - {{alert: {name}, expr: vector(time()) >= {moment:.3f}}}" for name, moment in moments.items()]
    return "groups:\n  - name: alarms\n    rules:\n" + "\n".join(lines) + "\n"


def measure(folder: Path, alerts: int, interval: float) -> list[float]:
    """Seconds from each condition to its notice, sorted; infinite for one that was never told."""
    ear = Ear()
    start = math.ceil(time.time()) + LEAD_SECONDS
    moments = {f"Alarm{number}": start + number * GAP_SECONDS for number in range(alerts)}
    (folder / "rules.yml").write_text(rules(moments))
    (folder / "routing.yml").write_text(_ROUTING.format(url=ear.url))
    settings: dict[str, Any] = {
        "ALERTS__RULES": folder / "rules.yml",
        "ALERTS__ROUTING": folder / "routing.yml",
        "ALERTS__EVALUATION_INTERVAL_SECONDS": interval,
    }
    with RunningServer(folder / "data", **settings):
        deadline = max(moments.values()) + PATIENCE_SECONDS
        while len(ear.heard.keys() & moments.keys()) < alerts and time.time() < deadline:
            time.sleep(0.1)
    ear.server.shutdown()
    return sorted(ear.heard.get(name, math.inf) - moment for name, moment in moments.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=40)
    parser.add_argument("--interval", type=float, default=5.0, help="alerts.evaluation_interval_seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alarm-") as folder:
        waits = measure(Path(folder), options.alerts, options.interval)
    print(json.dumps(summary(waits), indent=2))


def summary(waits: Sequence[float]) -> dict[str, float | int]:
    """The figures that people ask for."""
    return {
        "alerts": len(waits),
        "median_seconds": round(statistics.median(waits), 3),
        "p95_seconds": round(waits[math.ceil(len(waits) * 0.95) - 1], 3),
        "longest_seconds": round(waits[-1], 3),
    }


if __name__ == "__main__":
    main()
