"""How each kind of failure is brought about in a running server, and what is measured of it."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.witness import PAGE, READY, Witness, now_ms, request, wait_for
from ledger import Ledger
from tests.faults.peril import BUDGET_MB
from tests.running import RunningServer

WATCHDOG_SECONDS = 2.0
#: Targets, in seconds: until a death and a hang are noticed, the page answers, the model is ready (after its load), and
#: safe mode ends a crash loop.
DETECTED, HANG_DETECTED, PAGE_BACK, READY_AGAIN, SAFE_MODE = 1.0, WATCHDOG_SECONDS + 2.0, 3.0, 3.0, 60.0
#: Requests that fit alone and not together.
_LARGE = 24
_LARGE_MB = BUDGET_MB // 2 - 10


@dataclass(frozen=True)
class Row:
    """One line of the table. Seconds; ``None`` is a moment that there is none of, or no target."""

    failure: str
    detected: float | None
    done: str
    page: float
    ready: float | None
    lost: int
    refused: int
    detected_target: float | None = None
    page_target: float | None = PAGE_BACK
    ready_target: float | None = None

    def __str__(self) -> str:
        cells = (
            self.failure,
            beside(self.detected, self.detected_target),
            self.done,
            beside(self.page, self.page_target),
            beside(self.ready, self.ready_target),
            f"{self.lost}",
            f"{self.refused}",
        )
        return f"| {' | '.join(cells)} |"


HEADER = """| failure | noticed | what was done | page away at most | ready again | lost | told to come back |
|---|---:|---|---:|---:|---:|---:|"""


def beside(seconds: float | None, target: float | None) -> str:
    """A figure and its target; bold where it was missed."""
    if seconds is None:
        return "–"
    if target is None:
        return f"{seconds:.1f} s"
    said = f"{seconds:.2f} s (≤ {target:.1f})"
    return said if seconds <= target else f"**{said}**"


#: ``(name of the failure, what makes it happen, server, witness)``; the last two are running.
Measure = Callable[[str, str, RunningServer, Witness], Row]


def death(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """The process ends at once."""
    return _restarted(name, peril, server, witness, DETECTED)


def hang(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """A call into the model does not come back."""
    return _restarted(name, peril, server, witness, HANG_DETECTED)


def starvation(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """The kernel ends the process because its control group has no more memory."""
    with _little_memory(server):
        return _restarted(name, peril, server, witness, DETECTED)


def sickness(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """The process goes on, and the model in it fails until it is loaded anew."""
    began_ms = now_ms()
    if peril:
        _send(server, peril)
    wait_for(lambda: any(one["state"] == "done" for one in _remedies(server)), "a remedy", within=900.0)
    remedy = _remedies(server)[-1]
    ready_ms = remedy["began_ms"] + round(1000 * remedy["seconds"])
    counts = witness.counts(began_ms)
    return Row(
        failure=name,
        detected=(remedy["began_ms"] - began_ms) / 1000,
        done=f"{remedy['cause']}: reload, which {'helped' if remedy['helped'] else 'did not help'}",
        page=witness.away_seconds(PAGE, began_ms),
        ready=(ready_ms - began_ms) / 1000,
        lost=counts["lost"],
        refused=counts["refused"],
    )


def leak(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """Two megabytes stay behind each second."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(1):
            request(server.port, "POST", "/predict", b'{"keep_mb": 2}')

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        return sickness(name, peril, server, witness)
    finally:
        done.set()
        dripping.join()


def shortage(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """Batches that do not fit, of inputs that fit alone."""
    body, statuses, began_ms = json.dumps({"mb": _LARGE_MB}).encode(), list[int](), now_ms()

    def ask() -> None:
        statuses.append(request(server.port, "POST", "/predict", body)[0])

    askers = [threading.Thread(target=ask) for _ in range(_LARGE)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    counts = witness.counts(began_ms)
    refusals = server.log.read_text(errors="replace").count("can't allocate memory")
    return Row(
        failure=name,
        detected=None,
        done=f"{refusals} batches of large inputs did not fit and ran in halves",
        page=witness.away_seconds(PAGE, began_ms),
        ready=None,
        lost=counts["lost"] + sum(status != 200 for status in statuses),
        refused=counts["refused"],
    )


def loop(name: str, peril: str, server: RunningServer, witness: Witness) -> Row:
    """The process dies again and again."""
    wait_for(lambda: "safe_mode" in _reason(server), "safe mode", within=240.0)
    ended_ms = now_ms()
    wait_for(lambda: witness.first_good(PAGE, ended_ms), "the page")
    ends = Ledger(server.data_dir).exits()
    began_ms = ends[0].started_ms if not witness.first_good(READY, 0) else ends[0].ended_ms
    counts = witness.counts(began_ms)
    return Row(
        failure=name,
        detected=(ended_ms - began_ms) / 1000,
        detected_target=SAFE_MODE,
        done=f"{ends[0].reason} {len(ends)} times, then safe mode",
        page=witness.away_seconds(PAGE, began_ms),
        page_target=None,  # between restarts it waits, for up to four seconds
        ready=None,
        lost=counts["lost"],
        refused=counts["refused"],
    )


def _restarted(name: str, peril: str, server: RunningServer, witness: Witness, target: float) -> Row:
    began_ms = _send(server, peril)
    wait_for(lambda: Ledger(server.data_dir).exits(), "the end of the process")
    end = Ledger(server.data_dir).exits()[0]
    wait_for(lambda: witness.first_good(READY, end.ended_ms), "readiness")
    ready_ms = witness.first_good(READY, end.ended_ms) or 0
    load = float(server.json("/api/model")["status"]["last_load_seconds"])
    counts = witness.counts(began_ms)
    return Row(
        failure=name,
        detected=(end.ended_ms - began_ms) / 1000,
        detected_target=target,
        done=f"{end.reason}: restart",
        page=witness.away_seconds(PAGE, end.ended_ms),
        ready=(ready_ms - end.ended_ms) / 1000,
        ready_target=load + READY_AGAIN,
        lost=counts["lost"],
        refused=counts["refused"],
    )


def _send(server: RunningServer, peril: str) -> int:
    """Send what makes it fail, without waiting for an answer that may never come; returns when that was."""
    body, began_ms = json.dumps({"peril": peril}).encode(), now_ms()
    threading.Thread(target=request, args=(server.port, "POST", "/predict", body), daemon=True).start()
    return began_ms


def _remedies(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.json("/api/model")["remedies"]
    return found


def _reason(server: RunningServer) -> str:
    try:
        return server.get(READY)[1].decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""


@contextmanager
def _little_memory(server: RunningServer) -> Iterator[None]:
    """A control group of 300 MB more than the process has now. Raises ``OSError`` where there is none to be had."""
    root = next(root for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if root.exists())
    group = root / f"wakeless-bench-{os.getpid()}"
    group.mkdir()
    try:
        limit = next(group / name for name in ("memory.limit_in_bytes", "memory.max") if (group / name).exists())
        (group / "cgroup.procs").write_text(str(server.worker.pid))
        limit.write_text(str(server.worker.memory_info().rss + 300_000_000))
        yield
    finally:
        with suppress(OSError):
            group.rmdir()
