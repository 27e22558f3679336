"""A whole server beside real programs: nginx dies, is told of, is brought back by its remedy, and is told of again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.alerts.delivery.receiver import Receiver
from tests.running import RunningServer, eventually, free_port

NGINX, LOGROTATE = "/usr/sbin/nginx", "/usr/sbin/logrotate"
NODE_EXPORTER = shutil.which("prometheus-node-exporter")

pytestmark = pytest.mark.skipif(
    not (Path(NGINX).exists() and Path(LOGROTATE).exists() and NODE_EXPORTER),
    reason="needs Debian's nginx, logrotate and prometheus-node-exporter",
)

CONFIGURATION = """
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 'well'; }} }}
}}
"""

#: In the place of the stock rule, which is of level 2: those wait for half a minute, lest a blip be told.
RULES = """
groups:
- name: own
  rules:
  - alert: TargetDown
    expr: probe_up == 0
    labels: {severity: critical, level: "3"}
    annotations: {summary: "{{ $labels.target }} is down"}
"""


class Nginx:
    """Debian's nginx as a daemon of its own, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, port=self.port))
        self.command = [NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)]

    def start(self) -> None:
        subprocess.run(self.command, check=True, timeout=30)

    def kill(self) -> None:
        """All of it: a worker outlives a master that is killed. Nothing to do where it is dead already."""
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.killpg(int((self.folder / "nginx.pid").read_text()), signal.SIGKILL)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    one = Nginx(tmp_path / "nginx")
    one.start()
    yield one
    one.kill()


@pytest.fixture
def exporter() -> Iterator[int]:
    """The port of a real node_exporter."""
    assert NODE_EXPORTER is not None
    port = free_port()
    command = [NODE_EXPORTER, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    yield port
    process.terminate()
    process.wait(10)


def value(server: RunningServer, query: str) -> float | None:
    """The only value of a query; None without one."""
    found = server.json(f"/api/v1/query?query={quote(query)}")["data"]["result"]
    return float(found[0]["value"][1]) if len(found) == 1 else None


def words(receiver: Receiver) -> str:
    return json.dumps(receiver.got, ensure_ascii=False)


def turn_over(folder: Path, log: Path) -> None:
    configuration = folder / "logrotate.conf"
    configuration.write_text(f"{log} {{\n  rotate 3\n  size 1\n  create\n  missingok\n}}\n")
    configuration.chmod(0o600)
    state = ["--state", str(folder / "logrotate.state")]
    subprocess.run([LOGROTATE, "--force", *state, str(configuration)], check=True, timeout=30)


@pytest.mark.timeout(300)
def test_what_runs_beside_is_watched_told_of_and_brought_back(nginx: Nginx, exporter: int, tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("began\n")
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    url = f"http://127.0.0.1:{nginx.port}/"
    targets: list[dict[str, Any]] = [
        {
            "name": "front",
            "http": {"url": url, "interval": "5s", "timeout": "2s", "fails": 2, "contains": "well"},
            "remedies": [{"command": nginx.command, "after_fails": 6}],
        },
        {"name": "machine", "scrape": {"url": f"http://127.0.0.1:{exporter}/metrics", "interval": "2s"}},
        {"name": "painter", "log": {"path": str(log), "profile": "comfyui", "begin": "start"}},
        {"name": "unit", "systemd": {"unit": "no-such-thing.service", "interval": "5s"}},
    ]
    with (
        Receiver() as receiver,
        RunningServer(
            tmp_path / "data",
            MODEL__ENABLED="false",
            AUTH__ANONYMOUS="viewer",
            ALERTS__CHANNELS=receiver.url(),
            ALERTS__RULES=rules,
            TARGETS=json.dumps(targets),
        ) as server,
    ):
        eventually(lambda: value(server, 'probe_up{target="front"}') == 1, what="nginx seen up")
        eventually(lambda: (value(server, 'count({job="machine"})') or 0) > 300, what="node_exporter's series")

        nginx.kill()
        eventually(lambda: value(server, 'probe_up{target="front"}') == 0, what="nginx seen down")
        eventually(lambda: "front is down" in words(receiver), within=60, what="the notice of DOWN")
        eventually(lambda: value(server, 'probe_up{target="front"}') == 1, within=60, what="nginx brought back")
        eventually(lambda: any(one["type"] == "success" for one in receiver.got), within=90, what="the notice of UP")
        story = server.json("/api/targets/front")
        (deed,) = story["actions"]
        assert (deed["kind"], deed["state"], deed["helped"]) == ("command", "done", True)
        (outage,) = story["outages"]
        assert outage["ended_ms"] is not None
        assert outage["reason"] == "refuses the connection"

        with log.open("a") as file:
            file.write("Execution error before it is turned over\n")
        turn_over(tmp_path, log)
        with log.open("a") as file:
            file.write("".join(f"line {number}\n" for number in range(100)))
            file.write("Out of memory: token=planted-secret\n")
        lines = 'log_lines_total{target="painter"}'
        eventually(lambda: value(server, lines) == 103, what="every line, on both sides of the rotation")
        eventually(lambda: "Out of memory" in words(receiver), within=60, what="the notice of the log")
        assert "planted-secret" not in words(receiver)
        assert str(tmp_path) not in words(receiver)
        found = server.json("/api/logs/events")["events"]
        assert {one["pattern"] for one in found if one["raised"]} == {"Execution error", "Out of memory"}

        unit = next(one for one in server.json("/api/targets")["targets"] if one["name"] == "unit")
        assert unit["state"] == "unknown"  # this machine may have no systemd: that is no outage
