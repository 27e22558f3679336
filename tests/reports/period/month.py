"""A month of a server's life, made up: gaps, restarts, counters that begin anew, failures, people who answer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine as Database
from sqlalchemy import insert

from collectors.sample import Sample, Tick, make_labels
from storage.incident import IncidentLog
from storage.record import RequestEntry, RequestLog
from storage.series import SeriesStore
from storage.tables import (
    AlertRow,
    AuditRow,
    LogEventRow,
    OutboxRow,
    ProbeRow,
    RemedyRow,
    TargetOutageRow,
)

ZONE = ZoneInfo("Europe/Berlin")
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
#: October 2026 in Berlin: 31 days and one hour, for the clock is set back on the 25th.
START_MS = int(datetime(2026, 10, 1, tzinfo=ZONE).timestamp() * 1000)
END_MS = int(datetime(2026, 11, 1, tzinfo=ZONE).timestamp() * 1000)
GPU = make_labels(gpu="0", uuid="GPU-1", name='NVIDIA "H100", 80 GB')
GIB = 1024.0**3


def moment(text: str) -> int:
    """UTC milliseconds of a moment in Berlin."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


#: When Wakeless, or the machine, was off: [start, end), and whether the counters began anew.
GAPS = (
    (moment("2026-10-03T02:00"), moment("2026-10-03T14:00"), True),
    (moment("2026-10-11T09:07"), moment("2026-10-11T09:52"), False),
    (moment("2026-10-25T01:30"), moment("2026-10-25T05:00"), True),
)


def write_series(
    store: SeriesStore, start_ms: int, end_ms: int, step_ms: int = 60_000, *, counter: bool = True
) -> None:
    """The machine's samples; GPU memory grows by half a GiB a day, the disk does not."""
    chance = random.Random(7)
    joules, io = 5e8, 1000.0
    ticks: list[Tick] = []
    for at in range(start_ms, end_ms, step_ms):
        gap = next((gap for gap in GAPS if gap[0] <= at < gap[1]), None)
        if gap is not None:
            if gap[2]:
                joules = io = 0.0
            continue
        load = min(1.0, max(0.0, chance.gauss(0.6, 0.3)))
        joules += (80 + 300 * load) * step_ms / 1000
        io += 0.1 * step_ms / 1000
        used = (20 + 0.5 * (at - start_ms) / DAY_MS + chance.random()) * GIB
        gpu = [
            Sample("gpu_utilization_ratio", GPU, load),
            Sample("gpu_memory_used_bytes", GPU, used),
            Sample("gpu_memory_total_bytes", GPU, 80 * GIB),
            Sample("gpu_power_watts", GPU, 80 + 300 * load),
        ]
        if counter:
            gpu.append(Sample("gpu_energy_joules_total", GPU, joules))
        host = [
            Sample("process_resident_memory_bytes", (), 4e8),
            Sample("cpu_utilization_ratio", (), 0.3),
            Sample("inference_queue_depth", (), 3.0 if load < 0.3 else 0.0),
            Sample("disk_io_time_seconds_total", make_labels(device="sda"), io),
            Sample("memory_used_bytes", (), 30e9),
            Sample("memory_total_bytes", (), 64e9),
            Sample("filesystem_used_bytes", make_labels(mountpoint="/data"), 5e11 + chance.random() * 1e9),
            Sample("filesystem_size_bytes", make_labels(mountpoint="/data"), 1e12),
        ]
        ticks += [Tick("gpu", at, tuple(gpu)), Tick("host", at, tuple(host))]
        if len(ticks) >= 2000:
            store.append(ticks)
            ticks = []
    store.append(ticks)
    store.seal(everything=True)


def write_requests(database: Database, start_ms: int, end_ms: int, count: int, seed: int = 3) -> None:
    """Requests, most of them by day; some fail, some are refused."""
    chance = random.Random(seed)
    log = RequestLog(database)
    for number in range(count):
        at = chance.randrange(start_ms, end_ms)
        if chance.random() < 0.5:
            at = at // DAY_MS * DAY_MS + chance.randrange(8 * HOUR_MS, 16 * HOUR_MS)
            at = min(max(at, start_ms), end_ms - 1)
        kind = chance.choices(
            ["ok", "cached", "error", "oom", "timeout", "rejected", "bad_input"], [90, 5, 2, 1, 1, 2, 2]
        )
        outcome = kind[0]
        log.add(
            RequestEntry(
                f"r{number}", at, 200 if outcome in ("ok", "cached") else 500, outcome, "cards", "1",
                round(chance.lognormvariate(-2, 0.8), 6),
                result_class=chance.choice(["id_card", "passport"]) if outcome == "ok" else None,
                error=f"it went wrong, {outcome}" if outcome in ("error", "oom", "timeout") else None,
            )
        )  # fmt: skip
        if number % 5000 == 4999:
            log.flush()
    log.flush()


def write_events(database: Database) -> None:
    """Incidents, alerts, notices and the rest."""
    log = IncidentLog(database)
    log.note_first_start(START_MS - 40 * DAY_MS)
    power = log.add("power", "power_cut", "The machine was off", GAPS[0][0], GAPS[0][1])
    crash = log.add(
        "process", "oom_kill", "=the kernel killed it", moment("2026-10-11T09:07"), moment("2026-10-11T09:52")
    )
    log.add("planned", "restart", "A restart", moment("2026-10-11T09:50"), moment("2026-10-11T09:58"))
    late = log.add("model", "load_failed", "It did not load", moment("2026-10-31T23:00"), moment("2026-11-01T01:00"))
    early = log.add("process", "segfault", "It crashed", START_MS - HOUR_MS, START_MS + HOUR_MS // 2)
    with database.begin() as connection:
        for id in (power, crash, late, early):
            connection.exec_driver_sql("UPDATE incidents SET outage = id, over_ms = ended_ms WHERE id = ?", (id,))
        for number in range(12):
            fired = START_MS - 2 * HOUR_MS + number * 2 * DAY_MS
            connection.execute(insert(AlertRow), alert(number, fired, acknowledged=number % 3 != 0))
        rows: list[tuple[Any, Mapping[str, Any]]] = [
            (OutboxRow, notice("a", "sent")), (OutboxRow, notice("b", "sent")), (OutboxRow, notice("c", "failed")),
            (ProbeRow, {
                "target": "comfyui", "probe": "http", "state": "up", "since_ms": START_MS, "first_ms": START_MS,
                "seen_ms": END_MS, "streak": 0, "reason": "", "detail": {},
            }),
            (TargetOutageRow, {
                "target": "comfyui", "probe": "http", "reason": "connection refused",
                "started_ms": START_MS + DAY_MS, "detected_ms": START_MS + DAY_MS,
                "ended_ms": START_MS + DAY_MS + HOUR_MS,
            }),
            (LogEventRow, {
                "target": "comfyui", "source": "s", "pattern": "Out of memory", "level": 3, "fingerprint": "f",
                "first_ms": START_MS + DAY_MS, "last_ms": START_MS + DAY_MS + 1, "raised_ms": START_MS + DAY_MS,
                "count": 17, "text": "Out of memory", "context": [],
            }),
            (RemedyRow, {
                "target": "comfyui", "rung": 0, "kind": "systemd", "state": "done", "why": "w", "outcome": "o",
                "started_ms": START_MS + DAY_MS, "ended_ms": START_MS + DAY_MS + 1, "helped": True,
            }),
            (AuditRow, act("model.reload")), (AuditRow, act("login")),
        ]  # fmt: skip
        for table, row in rows:
            connection.execute(insert(table), row)


def alert(number: int, fired: int, *, acknowledged: bool) -> dict[str, Any]:
    """One alert's row."""
    who = {"ack_by": ("li", "+zhang")[number % 2], "ack_reason": "on it", "ack_ms": fired + (number + 1) * 61_000}
    return {
        "fingerprint": f"{number:x}", "rule": ("Slow", "Failing")[number % 2], "group": "g", "state": "resolved",
        "severity": "warning", "level": 2, "labels": {"alertname": "A"}, "annotations": {}, "value": 1.5,
        "active_ms": fired - 60_000, "firing_ms": fired, "resolved_ms": fired + 3 * HOUR_MS, "seen_ms": fired,
        **(who if acknowledged else {}),
    }  # fmt: skip


def notice(key: str, state: str) -> dict[str, Any]:
    """One notice's row."""
    return {
        "key": key, "channel": "c", "title": "", "body": "", "kind": "info", "state": state,
        "created_ms": START_MS + DAY_MS, "next_ms": START_MS + DAY_MS,
    }  # fmt: skip


def act(name: str) -> dict[str, Any]:
    """One thing that somebody did."""
    return {"time_ms": START_MS + DAY_MS, "actor": "li", "action": name, "target": "", "detail": {}}
