"""Advice drawn from the numbers: S2's list of bottlenecks, each with what it rests on. Where data are missing, none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from reports.report import Report

Weight: TypeAlias = Literal["critical", "warning", "info"]
#: A number, with the unit that :mod:`reports.wording` shows it in, or a name.
Number: TypeAlias = float | str

#: Windows in which something must have been short for it to be called a bottleneck.
_OFTEN_BUSY, _OFTEN_WAITING = 0.2, 0.05
_MUCH_MEMORY, _MUCH_VRAM = 0.9, 0.95
_SMALL_BATCH = 2.0
_CPU_BUSY = 0.7
_MANY_FAILED, _MANY_REFUSED, _MANY_SLOW = 0.01, 0.01, 0.05
_MANY_RESTARTS = 3
#: A report that rests on less says so first.
_COVERED = 0.9
_SOON_MS = 60 * 86_400_000


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice; ``facts`` are the numbers that it rests on, by the names that its words use."""

    key: str
    weight: Weight
    facts: Mapping[str, Number]


def advise(report: Report) -> tuple[Advice, ...]:
    """All that the numbers say, the most urgent first."""
    order = ("critical", "warning", "info")
    found = [one for source in _SOURCES for one in source(report)]
    return tuple(sorted(found, key=lambda one: order.index(one.weight)))


def _coverage(report: Report) -> Iterator[Advice]:
    if report.covered < _COVERED and not report.is_before_start:
        yield Advice("not_covered", "info", {"covered": report.covered})


def _runs_full(report: Report) -> Iterator[Advice]:
    for one in report.forecasts:
        if one.verdict == "full" and one.full_ms is not None and one.per_day is not None:
            soon = one.full_ms - report.until_ms < _SOON_MS
            facts: dict[str, Number] = {
                "name": one.name, "day": float(one.full_ms), "per_day": one.per_day, "capacity": one.capacity,
            }  # fmt: skip
            yield Advice(f"{one.what}_full", "warning" if soon else "info", facts)


def _gpu(report: Report) -> Iterator[Advice]:
    short = report.squeeze
    if short.gpu_busy is not None and short.gpu_busy >= _OFTEN_BUSY:
        yield Advice("gpu_bound", "warning", {"busy": short.gpu_busy, "hours": sum(one.hours for one in report.gpus)})
    for one in report.gpus:
        if one.memory_peak_bytes is not None and one.memory_bytes:
            part = one.memory_peak_bytes / one.memory_bytes
            if part >= _MUCH_VRAM:
                facts: dict[str, Number] = {"gpu": one.gpu, "share": part, "peak": one.memory_peak_bytes}
                yield Advice("vram_short", "warning", facts)


def _queue(report: Report) -> Iterator[Advice]:
    short = report.squeeze
    stalled, cpu = short.waiting_gpu_idle, short.waiting_cpu
    if stalled is not None and cpu is not None and stalled >= _OFTEN_WAITING:
        key = "preprocess_bound" if cpu >= _CPU_BUSY else "gpu_starved"
        yield Advice(key, "warning", {"share": stalled, "cpu": cpu})
    waits = short.waiting is not None and short.waiting >= _OFTEN_WAITING
    if waits and short.waiting_batch is not None and short.waiting_batch < _SMALL_BATCH:
        yield Advice("small_batches", "info", {"batch": short.waiting_batch, "share": short.waiting or 0.0})


def _host(report: Report) -> Iterator[Advice]:
    short = report.squeeze
    if short.disk_busy is not None and short.disk is not None and short.disk_busy >= _OFTEN_WAITING:
        yield Advice("disk_bound", "warning", {"device": short.disk, "share": short.disk_busy})
    if short.memory_peak is not None and short.memory_peak >= _MUCH_MEMORY:
        yield Advice("memory_short", "warning", {"share": short.memory_peak})


def _traffic(report: Report) -> Iterator[Advice]:
    asked = report.traffic
    if not asked.requests:
        return
    if asked.failed_share is not None and asked.failed_share >= _MANY_FAILED:
        facts: dict[str, Number] = {"share": asked.failed_share, "failed": float(asked.failed)}
        yield Advice("failing", "critical" if asked.failed_share >= 0.1 else "warning", facts)
    if asked.outcomes.get("oom"):
        yield Advice("out_of_memory", "warning", {"count": float(asked.outcomes["oom"])})
    refused = asked.outcomes.get("rejected", 0) / asked.requests
    if refused >= _MANY_REFUSED:
        yield Advice("refusing", "warning", {"share": refused, "count": float(asked.outcomes["rejected"])})
    slow = asked.slow / asked.requests
    if slow >= _MANY_SLOW:
        yield Advice("slow", "warning", {"share": slow, "limit": report.slow_seconds})


def _people(report: Report) -> Iterator[Advice]:
    restarts = sum(report.restarts.values())
    if restarts >= _MANY_RESTARTS:
        yield Advice("restarts", "warning", {"count": float(restarts), "seconds": report.restart_seconds})
    left = report.alerts.count - report.alerts.acknowledged
    if report.alerts.count >= 5 and left / report.alerts.count >= 0.5:
        yield Advice("unanswered", "info", {"count": float(left), "all": float(report.alerts.count)})
    if report.notices.failed:
        yield Advice("not_told", "warning", {"count": float(report.notices.failed)})


_SOURCES: tuple[Callable[[Report], Iterator[Advice]], ...] = (
    _traffic, _runs_full, _gpu, _queue, _host, _people, _coverage,
)  # fmt: skip
