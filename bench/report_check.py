"""Reckon a report's figures again from the CSV files that the server gives, and compare. Imports nothing of Wakeless.

    python bench/report_check.py --url http://127.0.0.1:8000 --token TOKEN --period month --date 2026-10-01
    python bench/report_check.py --files FOLDER      (report.json, series.csv, requests.csv, incidents.csv, alerts.csv)

What a figure means is told in docs/reports.md; this is that text in plain code, sample by sample. Exit status 1 if a
figure differs by more than 1e-9 of its size.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import re
import statistics
import sys
import tempfile
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

METRICS = (
    "process_resident_memory_bytes", "gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes",
    "gpu_energy_joules_total", "gpu_power_watts",
)  # fmt: skip
STEP = 300_000
FAILED = {"error", "oom", "timeout"}
REFUSED = {"rejected", "bad_input", "canceled"}
DOWN = {"process", "power", "model"}
csv.field_size_limit(1 << 26)


def main() -> int:
    """Compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url")
    parser.add_argument("--token", default="")
    parser.add_argument("--period", default="day", choices=("day", "week", "month"))
    parser.add_argument("--date", default="")
    parser.add_argument("--files", type=Path)
    asked = parser.parse_args()
    if asked.files:
        different = compare(asked.files)
    else:
        with tempfile.TemporaryDirectory() as folder:
            download(Path(folder), asked.url, asked.token, asked.period, asked.date)
            different = compare(Path(folder))
    print(f"{different} figures differ" if different else "all figures are equal")
    return 1 if different else 0


def download(folder: Path, url: str, token: str, period: str, day: str) -> None:
    """Fetch the report, and the files that it can be reckoned from."""
    get(folder / "report.json", url, token, "/api/reports", {"period": period, **({"date": day} if day else {})})
    report = json.loads((folder / "report.json").read_text())
    window = {"start": report["start_ms"], "end": report["until_ms"]}
    for name in ("requests", "incidents", "alerts"):
        get(folder / f"{name}.csv", url, token, f"/api/{name}.csv", window)
    get(folder / "series.csv", url, token, "/api/export.csv", {**window, "match[]": METRICS})


def get(file: Path, url: str, token: str, path: str, query: dict[str, Any]) -> None:
    """One file."""
    request = urllib.request.Request(f"{url}{path}?{urllib.parse.urlencode(query, doseq=True)}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer, file.open("wb") as out:
        while piece := answer.read(1 << 20):
            out.write(piece)


def compare(folder: Path) -> int:
    """How many figures differ; each is printed."""
    report = json.loads((folder / "report.json").read_text())
    reckoned = figures(folder, report)
    wrong = 0
    for name, value in reckoned.items():
        told: Any = report
        for part in name.split("/"):
            told = told[int(part)] if isinstance(told, list) else told[part]
        if not same(told, value):
            wrong += 1
            print(f"{name}: the report says {told!r}, the files say {value!r}")
    print(f"{len(reckoned)} figures compared")
    return wrong


def same(one: Any, other: Any) -> bool:
    """Equal; numbers to 1e-9."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def figures(folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """By its place in the report, what each figure is."""
    return {
        **of_requests(folder / "requests.csv", report),
        **of_series(folder / "series.csv", report),
        **of_incidents(folder / "incidents.csv", report),
        **of_alerts(folder / "alerts.csv", report),
    }


def plain(cell: str) -> str:
    """A text without the apostrophe that keeps spreadsheets from taking it for a formula."""
    return cell[1:] if re.match(r"'[=+\-@\t\r]", cell) else cell


def millis(text: str) -> int:
    """UTC milliseconds of a cell."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000)


def nearest_rank(ordered: list[float], percent: int) -> float | None:
    """The value of which so many percent are no larger."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)] if ordered else None


def of_requests(file: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Counts, shares, latency, hours."""
    zone = ZoneInfo(report["zone"]) if report["zone"] else None
    outcomes: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    heat = [[0] * 24 for _ in range(7)]
    seconds: list[float] = []
    slow = 0
    starts = [slot["start_ms"] for slot in report["traffic"]["slots"]]
    slots: dict[int, list[list[Any]]] = defaultdict(list)
    with file.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            at, took = millis(row["time"]), float(row["total_seconds"])
            if not report["start_ms"] <= at < report["until_ms"]:
                continue
            outcomes[row["outcome"]] += 1
            if row["result_class"]:
                classes[plain(row["result_class"])] += 1
            moment = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
            heat[moment.weekday()][moment.hour] += 1
            slow += took > report["slow_seconds"]
            if row["outcome"] not in REFUSED:
                seconds.append(took)
            slots[max(start for start in starts if start <= at)].append([row["outcome"], took])
    seconds.sort()
    total, failed = sum(outcomes.values()), sum(outcomes[name] for name in FAILED)
    by_hour = sorted(((sum(day[hour] for day in heat), -hour) for hour in range(24)), reverse=True)
    return {
        "traffic/requests": total,
        "traffic/failed": failed,
        "traffic/failed_share": failed / total if total else None,
        "traffic/slow": slow,
        "traffic/outcomes": dict(outcomes),
        "traffic/classes": dict(classes),
        "traffic/heat": heat,
        "traffic/busiest": [{"hour": -hour, "requests": count} for count, hour in by_hour[:3] if count],
        "traffic/latency": {
            "count": len(seconds),
            "mean": statistics.fmean(seconds) if seconds else None,
            **{f"p{share}": nearest_rank(seconds, share) for share in (50, 95, 99)},
            "max": seconds[-1] if seconds else None,
        },
        "traffic/slots": [
            {
                "start_ms": start,
                "requests": len(slots[start]),
                "failed": sum(one[0] in FAILED for one in slots[start]),
                "p95": nearest_rank(sorted(one[1] for one in slots[start] if one[0] not in REFUSED), 95),
            }
            for start in starts
        ],
    }


def of_series(file: Path, report: dict[str, Any]) -> dict[str, Any]:
    """What rests on samples, in windows of five minutes that are open at their beginning."""
    start, until = report["start_ms"], report["until_ms"]
    count = (until - start) // STEP
    windows: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with file.open(newline="", encoding="utf-8") as text:
        rows = csv.reader(text)
        names = next(rows)[1:]
        for row in rows:
            at = millis(row[0])
            window = -(-(at - start) // STEP) - 1
            if not 0 <= window < count:
                continue
            for name, cell in zip(names, row[1:], strict=True):
                if cell:
                    windows[name][window].append(float(cell))
    alive = {place for name, found in windows.items() if name.startswith(METRICS[0]) for place in found}
    told: dict[str, Any] = {"covered": len(alive) / count}
    for place, gpu in enumerate(report["gpus"]):
        told[f"gpus/{place}"] = of_gpu(gpu, windows, count)
    energy = of_energy(windows, count)
    if energy is not None and report["price_per_kwh"]:
        energy["cost"] = energy["kwh"] * report["price_per_kwh"]
    told["energy"] = energy
    return told


def of_gpu(gpu: dict[str, Any], windows: dict[str, dict[int, list[float]]], count: int) -> dict[str, Any]:
    """One GPU."""

    def series(metric: str) -> dict[int, list[float]]:
        mine = re.compile(rf'{metric}\{{(.*,)?gpu="{re.escape(gpu["gpu"])}"[,}}]')
        return next((found for name, found in windows.items() if mine.match(name)), {})

    means = [statistics.fmean(samples) for samples in series("gpu_utilization_ratio").values()]
    used, sizes = series("gpu_memory_used_bytes"), series("gpu_memory_total_bytes")
    return {
        "gpu": gpu["gpu"],
        "name": gpu["name"],
        "hours": math.fsum(means) * STEP / 3_600_000,
        "utilisation": statistics.fmean(means),
        "busy": sum(one >= 0.9 for one in means) / len(means),
        "covered": len(means) / count,
        "memory_peak_bytes": max(map(max, used.values())) if used else None,
        "memory_bytes": max(map(max, sizes.values())) if sizes else None,
    }


def of_energy(windows: dict[str, dict[int, list[float]]], count: int) -> dict[str, Any] | None:
    """What the counters grew by, or power over time."""
    counters = [found for name, found in windows.items() if name.startswith("gpu_energy_joules_total")]
    powers = [found for name, found in windows.items() if name.startswith("gpu_power_watts")]
    chosen = counters or powers
    if not chosen:
        return None
    if counters:
        joules = math.fsum(map(increase, counters))
    else:
        joules = math.fsum(statistics.fmean(samples) * STEP / 1000 for one in powers for samples in one.values())
    covered = len({place for one in chosen for place in one}) / count
    return {"kwh": joules / 3.6e6, "by": "counter" if counters else "power", "covered": covered, "cost": None}


def increase(found: dict[int, list[float]]) -> float:
    """From each sample of a counter to the next; a smaller one has begun anew at 0."""
    samples = [value for place in sorted(found) for value in found[place]]
    return math.fsum(after - value if after >= value else after for value, after in itertools.pairwise(samples))


def of_incidents(file: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Availability, second by second as it were: the union of what was down."""
    start, until, now = max(report["start_ms"], report["since_ms"]), report["until_ms"], report["made_ms"]
    down: list[tuple[int, int]] = []
    planned: list[tuple[int, int]] = []
    count = 0
    with file.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            began, ended = millis(row["started"]), millis(row["ended"]) if row["ended"] else now
            if row["kind"] in DOWN:
                down.append((max(began, start), min(ended, until)))
            elif row["kind"] == "planned":
                planned.append((max(began, start), min(ended, until)))
            if row["kind"] in {*DOWN, "alert"} and not row["part_of"]:
                count += report["start_ms"] <= began < until
    if until <= start:
        return {"incidents/count": count}
    lost = covered(down)
    asked = covered(down + planned) - lost
    counted = until - start - asked
    return {
        "incidents/count": count,
        "availability/ratio": 1 - lost / counted if counted else None,
        "availability/seconds_down": lost / 1000,
        "availability/seconds_planned": asked / 1000,
    }


def covered(stretches: list[tuple[int, int]]) -> int:
    """The milliseconds that lie in any of them."""
    total, reached = 0, 0
    for began, ended in sorted(stretches):
        total += max(0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


def of_alerts(file: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Which rules fired, and who answered."""
    waits: dict[str, list[float]] = defaultdict(list)
    fired: Counter[str] = Counter()
    with file.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            if not row["fired"] or not report["start_ms"] <= millis(row["fired"]) < report["until_ms"]:
                continue
            fired[plain(row["rule"])] += 1
            if row["acknowledged"]:
                waits[plain(row["acknowledged_by"])].append(
                    max(0, millis(row["acknowledged"]) - millis(row["fired"])) / 1000
                )
    every = [wait for some in waits.values() for wait in some]
    people = sorted(((-len(some), name, statistics.fmean(some)) for name, some in waits.items()))[:10]
    return {
        "alerts/count": sum(fired.values()),
        "alerts/acknowledged": len(every),
        "alerts/acknowledge_seconds": statistics.fmean(every) if every else None,
        "alerts/people": [{"name": name, "count": -count, "seconds": mean} for count, name, mean in people],
        **{f"alerts/rules/{place}/count": fired[rule["rule"]] for place, rule in enumerate(report["alerts"]["rules"])},
    }


if __name__ == "__main__":
    sys.exit(main())
