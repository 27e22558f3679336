"""The storm over a whole server: ``python -m bench.storm_server --kills 30``.

As ``bench.storm``, but the process that is killed is a real server's, started anew by its supervisor: rules from a file
over conditions that come and go with the clock, a routing file, two webhooks. Each life takes seconds instead of a
fraction of one, so there are fewer of them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.storm import CHANNELS, Outcome, judge
from bench.storm_receiver import StormReceiver
from tests.running import RunningServer, eventually

#: How long one life is, in seconds; a server is there after about two.
LIFE_SECONDS = (1.5, 12.0)
#: A condition holds for the first part of each period.
PERIOD_SECONDS, HOLDS_SECONDS = 40, 20
#: Until the last life must have told all; what was restored is believed for 15 s.
PATIENCE_SECONDS = 120.0
_ROUTING = """
route: {{receiver: all, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 24h}}
receivers:
  - name: all
    webhook_configs: [{hooks}]
"""


def rules(alerts: int, end: float) -> str:
    """Conditions that come and go, each in its turn, until ``end``."""
    lines = []
    for number in range(alerts):
        shift = number * PERIOD_SECONDS / alerts
        wave = f"(vector(time()) + {shift:.1f}) % {PERIOD_SECONDS} < {HOLDS_SECONDS}"
        lines.append(f"      - {{alert: Wave{number}, expr: '{wave} and vector(time()) < {end:.0f}'}}")
    return "groups:\n  - name: waves\n    rules:\n" + "\n".join(lines) + "\n"


def rage(folder: Path, kills: int, *, seed: int = 1, alerts: int = 12) -> Outcome:
    """Kill the server process ``kills`` times, then let the weather clear, and look."""
    chance = random.Random(seed)
    lives = [chance.uniform(*LIFE_SECONDS) for _ in range(kills)]
    began = time.monotonic()
    data = folder / "data"
    with StormReceiver(seed) as receiver:
        hooks = ", ".join(f"{{url: '{receiver.url(name)}'}}" for name in CHANNELS)
        (folder / "routing.yml").write_text(_ROUTING.format(hooks=hooks))
        (folder / "rules.yml").write_text(rules(alerts, clearing(lives)))
        with RunningServer(data, **_settings(folder)) as server:
            for seconds in lives:
                time.sleep(seconds)
                server.kill_worker()
                receiver.life += 1
                eventually(lambda: server.answers("/health/live"), what="the next process")
            receiver.calm = True
            token = server.token("viewer")
            eventually(lambda: _is_over(server, token), within=PATIENCE_SECONDS, what="the end of all alerts")
        outcome = judge(data, receiver.book, kills, log="wakeless.log")
        outcome.moods = {str(mood): count for mood, count in receiver.moods.items()}
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def clearing(lives: list[float]) -> float:
    """When the weather clears, in seconds of the wall clock: about when the last life begins."""
    return time.time() + sum(lives) + 4 * len(lives) + 20


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "ALERTS__RULES": folder / "rules.yml",
        "ALERTS__ROUTING": folder / "routing.yml",
        "ALERTS__STOCK_RULES": False,
        "ALERTS__EVALUATION_INTERVAL_SECONDS": 1,
        "ALERTS__NOTICE_RETRY_SECONDS": 0.5,
        "ALERTS__CATCH_UP_SECONDS": 20,
        "ALERTS__FLAP_COUNT": 0,
        "MODEL__ENABLED": False,
    }


def _is_over(server: RunningServer, token: dict[str, str]) -> bool:
    """Whether nothing fires and nothing waits."""
    if server.json("/api/alerts", **token)["alerts"]:
        return False
    return all(lane["waiting"] == 0 for lane in server.json("/api/notices", **token)["channels"])


def main() -> int:
    """Rage once and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        outcome = rage(Path(folder), options.kills, seed=options.seed)
    print(json.dumps(asdict(outcome), indent=2))
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
