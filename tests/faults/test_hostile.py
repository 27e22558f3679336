"""Whatever is sent to a running server: no 5xx, nothing leaks, no thread is lost, and it still does its work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ledger import Ledger
from tests.faults.attack import Attack, Outcomes
from tests.faults.hostile import attacks
from tests.faults.picture import photographs
from tests.faults.vocabulary import request
from tests.running import RunningServer, eventually

#: Attacks that come at the same moment.
TOGETHER = 16
#: Clients that send half a request and fall silent, all at once.
SILENT = 48
#: Bad ends after which there is no use in going on.
ENOUGH = 40
#: What memory may grow by after the first fifth: buffers, the history's own growth, the allocator's mood; and what it
#: may for each series that only came to be then, of which there are as many as ways to answer (method, route, status).
GROWTH_BYTES = 40_000_000
SERIES_BYTES = 12_000
#: Longer than it takes until freed memory has been given back.
TRIM_SECONDS = 75.0
_QUIET = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


class Siege:
    """A server and what it has stood so far."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.worker = server.worker
        self.outcomes = Outcomes()

    def weigh(self) -> dict[str, int]:
        """What it holds at rest."""
        eventually(lambda: not self._busy(), within=60, what="an idle server")
        return {
            "memory": self.worker.memory_info().rss,
            "threads": self.worker.num_threads(),
            "files": self.worker.num_fds(),
            "series": sum(not line.startswith(b"#") for line in self.server.get("/metrics")[1].splitlines()),
        }

    def _busy(self) -> bool:
        """Whether anybody is still connected, or any work under way."""
        status = self.server.json("/api/model")["status"]
        open_connections = [one for one in self.worker.net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED]
        return bool(status["queue_depth"] or status["in_flight"] or status["streams_open"] or len(open_connections) > 1)


@pytest.fixture
def siege(tmp_path: Path) -> Iterator[Siege]:
    chosen: dict[str, Any] = {
        "MODEL__PATH": "tests.faults.guest:Guest",
        "MODEL__DEVICE": "cpu",
        "COLLECTORS__INTERVAL_SECONDS": 10,  # the history in memory is no leak; the less of it, the plainer is one
        "AUTH__ANONYMOUS": "viewer",
    }
    with RunningServer(tmp_path / "data", **chosen) as server:
        server.wait_until_ready()
        yield Siege(server)


def besiege(siege: Siege, count: int, *, derandomize: bool) -> None:
    """Send so many attacks, :data:`TOGETHER` of them at a time."""
    together: list[Attack] = []

    @settings(_QUIET, max_examples=count, derandomize=derandomize)
    @given(attacks)
    def draw(attack: Attack) -> None:
        together.append(attack)
        if len(together) == TOGETHER:
            siege.outcomes.launch(siege.server.port, together)
            together.clear()
        assert len(siege.outcomes.bad) < ENOUGH, siege.outcomes.complaint()

    draw()
    if together:
        siege.outcomes.launch(siege.server.port, together)


def outlast(siege: Siege, count: int, *, derandomize: bool = False) -> str:
    """Stand ``count`` different attacks; says what came of it."""
    besiege(siege, count // 5, derandomize=derandomize)
    silent = Attack("silent", (request("POST /predict HTTP/1.1", b"", length="1000") + b"x",))
    siege.outcomes.launch(siege.server.port, [silent] * SILENT)
    warm = siege.weigh()
    while siege.outcomes.count < count:
        besiege(siege, max(TOGETHER, count - siege.outcomes.count), derandomize=derandomize)
        derandomize = False
    assert not siege.outcomes.bad, siege.outcomes.complaint()
    cold = siege.weigh()
    until = time.monotonic() + TRIM_SECONDS
    while _growth(warm, cold) >= GROWTH_BYTES and time.monotonic() < until:
        time.sleep(1)  # what is free is given back once a minute
        cold = siege.weigh()
    said = (
        f"{siege.outcomes.count} different inputs, answers {dict(sorted(siege.outcomes.statuses.items()))};"
        f" after the first fifth {warm}, at the end {cold}; the slowest {siege.outcomes.slowest[0]:.1f} s"
    )
    assert _growth(warm, cold) < GROWTH_BYTES, said
    # The pool keeps its threads: one that is missing has died. It may have made more of them.
    assert warm["threads"] - 2 <= cold["threads"] <= warm["threads"] + TOGETHER, said
    assert abs(cold["files"] - warm["files"]) <= 8, said
    _still_at_work(siege)
    return said


def _growth(warm: dict[str, int], cold: dict[str, int]) -> int:
    """Bytes that no new series accounts for."""
    return cold["memory"] - warm["memory"] - SERIES_BYTES * max(0, cold["series"] - warm["series"])


def _still_at_work(siege: Siege) -> None:
    server = siege.server
    assert server.worker.pid == siege.worker.pid
    assert not Ledger(server.data_dir).exits()
    for path in ("/health", "/health/live", "/health/ready", "/v2/health/ready", "/"):
        assert server.get(path)[0] == 200, path
    status, said = server.request("POST", "/predict", photographs()[0])
    answer = json.loads(said)
    assert (status, answer["result"]["class"] != "none") == (200, True), answer
    before = time.time_ns() // 1_000_000
    eventually(lambda: _newest_sample_ms(server) > before, what="a tick")
    assert server.json("/api/model")["status"]["breaker"] == "closed"
    assert [line for line in _log(server) if line.get("level") in ("error", "critical")] == []
    assert "Traceback" not in server.log.read_text(errors="replace")


def _newest_sample_ms(server: RunningServer) -> float:
    found = server.json("/api/v1/query?query=timestamp(up)")["data"]["result"]
    return 1000 * max((float(one["value"][1]) for one in found), default=0.0)


def _log(server: RunningServer) -> list[dict[str, object]]:
    found = []
    for line in server.log.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if isinstance(line, dict)]


def test_some_hundred_hostile_inputs_do_no_harm(siege: Siege) -> None:
    outlast(siege, 320, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_hostile_inputs_do_no_harm(siege: Siege) -> None:
    print(outlast(siege, int(os.environ.get("WAKELESS_TEST_HOSTILE", "10000"))))
