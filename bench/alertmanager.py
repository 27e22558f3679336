"""Wakeless beside Debian's Alertmanager: the same routing file and the same alerts, notice by notice.

``python -m bench.alertmanager --hours 6`` starts Alertmanager on the loopback with its state in a folder that is thrown
away, posts alerts and silences to it as a schedule says, and takes its webhooks. Then our dispatcher gets the same, its
time driven by hand. A simulated minute lasts ``--minute-ms`` in both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from alerts.delivery.message import Message
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.load import load_routing
from alerts.state import Alert
from bench.notice_compare import ACCEPTED, Notice, compare, most_late_ms, report
from bench.notice_plan import Plan, alert_of, make_plan, routing_text
from storage.engine import open_database
from tests.running import free_port

BINARY = "prometheus-alertmanager"
#: How often our dispatcher looks, in a simulated minute.
STEPS = 50


# --- Alertmanager -----------------------------------------------------------------------------------------------


class _Hooks(ThreadingHTTPServer):
    """Takes webhooks and keeps each with the time at which it came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.taken: list[tuple[float, str, dict[str, Any]]] = []


class _Hook(BaseHTTPRequestHandler):
    server: _Hooks

    def do_POST(self) -> None:
        came = time.time() * 1000
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((came, self.path.strip("/"), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *found: object) -> None:
        """Say nothing."""


@contextmanager
def _hurry() -> Iterator[None]:
    """Go before other programs, where that is allowed: Alertmanager lives in real time."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


@contextmanager
def _alertmanager(folder: Path, port: int) -> Iterator[float]:
    """A running Alertmanager; gives the time, in ms, at which it had read its file."""
    log_file = folder / "alertmanager.log"
    flags = [
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with log_file.open("w") as log:
        process = subprocess.Popen([BINARY, *flags], stdout=log, stderr=log)
    try:
        for _ in range(200):
            loaded = re.search(r"ts=(\S+) .*Completed loading of configuration file", log_file.read_text())
            if loaded is not None and _answers(port):
                yield datetime.fromisoformat(loaded[1].replace("Z", "+00:00")).timestamp() * 1000
                return
            time.sleep(0.05)
        raise RuntimeError(f"Alertmanager did not start: {log_file.read_text()}")
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _post(port: int, path: str, body: object) -> None:
    data = json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def _stamp(time_ms: float) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def ask_alertmanager(plan: Plan, minute_ms: int) -> tuple[list[Notice], float]:
    """Play the schedule to Alertmanager; returns its notices, and how long before it Alertmanager had begun, in ms."""
    hooks = _Hooks()
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    folder = Path(tempfile.mkdtemp(prefix="alertmanager-"))
    try:
        (folder / "alertmanager.yml").write_text(routing_text(minute_ms, hooks.server_port, inhibits=plan.inhibits))
        port = free_port()
        with _hurry(), _alertmanager(folder, port) as began_ms:
            # Alertmanager forgets empty groups every 30 s: let that fall between changes and what is told of them.
            start_ms = time.time() * 1000 + 300
            start_ms += minute_ms - (start_ms - began_ms + 0.25 * minute_ms) % minute_ms
            for found in plan.silences:
                _post(port, "silences", _silence(found.name, found.value, start_ms, found.start, found.end, minute_ms))
            for minute in range(plan.minutes + 1):
                _sleep_until(start_ms + minute * minute_ms)
                posted = [
                    _posted(plan.labels[index], fires, plan, index, minute, start_ms, minute_ms)
                    for index, fires in sorted(plan.changes.get(minute, {}).items())
                ]
                if posted:
                    _post(port, "alerts", posted)
        notices = [_noticed(came - start_ms, receiver, body) for came, receiver, body in hooks.taken]
        return notices, start_ms - began_ms
    finally:
        hooks.shutdown()
        hooks.server_close()
        shutil.rmtree(folder, ignore_errors=True)


def _sleep_until(moment_ms: float) -> None:
    time.sleep(max(0.0, (moment_ms - time.time() * 1000) / 1000))


def _posted(
    labels: Mapping[str, str], fires: bool, plan: Plan, index: int, minute: int, start_ms: float, minute_ms: int
) -> dict[str, Any]:
    began = minute if fires else max(m for m in plan.changes if m < minute and plan.changes[m].get(index))
    entry: dict[str, Any] = {"labels": dict(labels), "startsAt": _stamp(start_ms + began * minute_ms)}
    return entry if fires else entry | {"endsAt": _stamp(start_ms + minute * minute_ms)}


def _silence(name: str, value: str, start_ms: float, start: int, end: int, minute_ms: int) -> dict[str, Any]:
    return {
        "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True}],
        "startsAt": _stamp(start_ms + start * minute_ms),
        "endsAt": _stamp(start_ms + end * minute_ms),
        "createdBy": "bench",
        "comment": "bench",
    }


def _noticed(at_ms: float, receiver: str, body: Mapping[str, Any]) -> Notice:
    sides: dict[str, set[str]] = {"firing": set(), "resolved": set()}
    for alert in body["alerts"]:
        sides[alert["status"]].add(alert["labels"]["instance"])
    return Notice(receiver, body["groupKey"], at_ms, frozenset(sides["firing"]), frozenset(sides["resolved"]))


# --- ours -------------------------------------------------------------------------------------------------------


class _Ours:
    """Our dispatcher, its notices kept in a list."""

    def __init__(self, plan: Plan, minute_ms: int, folder: Path) -> None:
        self._plan = plan
        self._minute_ms = minute_ms
        (folder / "alertmanager.yml").write_text(routing_text(minute_ms, 9, inhibits=plan.inhibits))
        routing = load_routing(folder / "alertmanager.yml")
        assert not routing.unsupported, routing.unsupported
        self.start_ms = 1_700_000_000_000
        self.notices: list[Notice] = []
        self._firing: dict[int, Alert] = {}
        self._rows: dict[str, Alert] = {}
        self._database = open_database(folder / "wakeless.db")
        self.dispatcher = Dispatcher(
            self._database, routing, self, muted=self._muted, latest=lambda names: {n: self._rows[n] for n in names}
        )

    def enqueue(self, connection: Connection, key: str, channel: str, message: Message, now_ms: int) -> bool:
        """Take a notice, as the outbox would."""
        sides = [frozenset(fact.labels["instance"] for fact in side) for side in (message.firing, message.resolved)]
        self.notices.append(Notice(message.receiver, message.group_key, now_ms - self.start_ms, *sides))
        return True

    def _muted(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        minute = (now_ms - self.start_ms) / self._minute_ms
        return [
            found.value
            for found in self._plan.silences
            if labels[found.name] == found.value and found.start <= minute < found.end
        ]

    def run(self, lead_ms: float) -> list[Notice]:
        """Play the schedule, looking every :data:`STEPS`-th of a minute; the dispatcher began ``lead_ms`` before it."""
        self.dispatcher.step([], self.start_ms - round(lead_ms))
        for step in range(self._plan.minutes * STEPS + 1):
            minute, rest = divmod(step, STEPS)
            now_ms = self.start_ms + step * self._minute_ms // STEPS
            if not rest:
                self._change(self._plan.changes.get(minute, {}), now_ms)
            self.dispatcher.step([*self._firing.values()], now_ms)
        self._database.dispose()
        return self.notices

    def _change(self, changes: Mapping[int, bool], now_ms: int) -> None:
        for index, fires in sorted(changes.items()):
            if fires:
                alert = alert_of(self._plan.labels[index], index + 1, now_ms)
                self._firing[index] = alert
            else:
                alert = replace(self._firing.pop(index), state="resolved", resolved_ms=now_ms)
            self._rows[alert.fingerprint] = alert


def ask_ours(plan: Plan, minute_ms: int, lead_ms: float) -> list[Notice]:
    """Play the schedule to our dispatcher; returns its notices."""
    folder = Path(tempfile.mkdtemp(prefix="dispatcher-"))
    try:
        return _Ours(plan, minute_ms, folder).run(lead_ms)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Play, compare, print; 1 where they differ for no known reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=6.0, help="simulated hours")
    parser.add_argument("--minute-ms", type=int, default=300, help="how long a simulated minute lasts")
    parser.add_argument("--alerts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--without-muting", action="store_true", help="no silences and no inhibition")
    found = parser.parse_args(argv)
    plan = make_plan(round(found.hours * 60), found.alerts, found.seed, muting=not found.without_muting)
    theirs, lead_ms = ask_alertmanager(plan, found.minute_ms)
    ours = ask_ours(plan, found.minute_ms, lead_ms)
    agreed, differences = compare(ours, theirs, found.minute_ms)
    changes = sum(map(len, plan.changes.values()))
    print(f"{found.alerts} alerts, {changes} changes, {len(plan.silences)} silences, {found.hours:g} simulated hours")
    print(f"a notice for each change: {changes}; Alertmanager: {len(theirs)}; Wakeless: {len(ours)}")
    print(report(agreed, differences))
    if most_late_ms(agreed) >= 0.3 * found.minute_ms:
        print(
            "This machine was too busy: Alertmanager's timers slipped towards the changes. Take a larger --minute-ms."
        )
    return 1 if any(difference.reason not in ACCEPTED for difference in differences) else 0


if __name__ == "__main__":
    raise SystemExit(main())
