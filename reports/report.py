"""The report: everything that is said of a period, as data. :class:`Reporter` makes one, or remembers one."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta, tzinfo
from typing import Any, TypeAlias

from sqlalchemy import Engine as Database

from config import Settings
from promql import Engine as QueryEngine
from reports import event
from reports.advice import Advice, advise
from reports.curve import STEP_MS, Asker, Curves, Grid, grid
from reports.forecast import Forecast, forecasts
from reports.machine import ALIVE, Energy, Gpu, Machine, Squeeze, machine
from reports.period import Kind, Period, before, days_between, period_of
from reports.traffic import Traffic, edges, traffic
from storage.incident import DOWN, IncidentLog

#: Of the JSON that a report becomes: one that was kept in another form is made anew.
FORM = 1
#: Reports that are remembered, and for how long one is of a period that is over: alerts are still acknowledged then.
_KEPT = 24
_FRESH_MS = 600_000
#: Days before that a forecast for a day or a week rests on.
_PAST_DAYS = 14
#: Seconds that somebody waits for a report while another one is being made.
_WAIT_SECONDS = 60.0


class BusyError(Exception):
    """Other reports are being made, and it takes long."""


@dataclass(frozen=True, slots=True)
class Point:
    """The largest use of GPU memory in a stretch of the chart, all GPUs together; None where it is not known."""

    start_ms: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The period before, to compare with; ``covered`` as in the report."""

    start_ms: int
    end_ms: int
    covered: float
    requests: int
    failed: int
    failed_share: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed since: shares of what it was before, but ``failed_share``: points. None: not to be compared."""

    requests: float | None
    failed_share: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of ``[start_ms, until_ms)``; ``until_ms`` is the period's end, or as far as it has come.

    ``covered`` is the share of that time in which Wakeless ran: all that rests on series is of that part.
    ``missing`` names metrics that could not be read, and why.
    """

    form: int
    service: str
    period: Kind
    first: str
    last: str
    zone: str
    start_ms: int
    end_ms: int
    until_ms: int
    made_ms: int
    since_ms: int
    covered: float
    slow_seconds: float
    price_per_kwh: float
    currency: str
    availability: event.Availability
    days: tuple[event.DayShare, ...]
    incidents: event.Incidents
    restarts: Mapping[str, int]
    restart_seconds: float
    traffic: Traffic
    earlier: Earlier
    change: Change
    gpus: tuple[Gpu, ...]
    energy: Energy | None
    squeeze: Squeeze
    vram: tuple[Point, ...]
    vram_bytes: float | None
    forecasts: tuple[Forecast, ...]
    alerts: event.Alerts
    notices: event.Notices
    targets: tuple[event.TargetNote, ...]
    patterns: tuple[event.PatternNote, ...]
    deeds: event.Deeds
    missing: Mapping[str, str]
    advice: tuple[Advice, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the period has ended."""
        return self.until_ms >= self.end_ms

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say: no data, no request, no incident."""
        return not self.covered and not self.traffic.requests and not self.incidents.notes

    @property
    def is_before_start(self) -> bool:
        """Whether there is nothing to say because nobody had started the service yet."""
        return self.is_empty and self.since_ms >= self.until_ms

    def as_dict(self) -> dict[str, Any]:
        """As JSON can carry it."""
        return asdict(self)


_Key: TypeAlias = tuple[Kind, int, int, str]


class Reporter:
    """Makes reports of one server. Any thread may ask; one report is made at a time."""

    def __init__(self, settings: Settings, database: Database, query: QueryEngine, zone: tzinfo | None = None) -> None:
        self._settings = settings
        self._database = database
        self._query = query
        self._incidents = IncidentLog(database)
        self._zone = zone
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Report] = OrderedDict()

    @property
    def zone(self) -> tzinfo | None:
        """The zone of its days unless another is asked for."""
        return self._zone

    def report(self, kind: Kind, day: date, now_ms: int, zone: tzinfo | None = None) -> Report:
        """The report of the period that ``day`` lies in. Raises ``ValueError`` for a day beyond the calendar, or a
        period that has not begun, :class:`BusyError`, and :class:`storage.error.StorageError`.
        """
        zone = zone or self._zone
        period = period_of(kind, day, zone)
        until_ms = min(period.end_ms, now_ms // STEP_MS * STEP_MS)
        if until_ms <= period.start_ms:
            raise ValueError("a period that has begun, five minutes ago at least")
        key: _Key = (kind, period.start_ms, until_ms, str(zone))
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise BusyError
        try:
            known = self._kept.get(key)
            if known is None or now_ms - known.made_ms > _FRESH_MS:
                known = self._kept[key] = self._make(period, until_ms, now_ms, zone)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return known
        finally:
            self._lock.release()

    def _make(self, period: Period, until_ms: int, now_ms: int, zone: tzinfo | None) -> Report:
        wanted, start_ms = self._settings.reports, period.start_ms
        asker = Asker(self._query, grid(period.days, until_ms))
        found = machine(asker, wanted.price_per_kwh)
        asked = traffic(self._database, period, until_ms, zone, wanted.slow_seconds)
        was = self._earlier(before(period, zone), zone)
        up, record, since_ms = event.availability(self._incidents, start_ms, until_ms, now_ms)
        restarts, restart_seconds = self._restarts(start_ms, until_ms, now_ms)
        days = ((day.name, day.start_ms, min(day.end_ms, until_ms)) for day in period.days if day.start_ms < until_ms)
        report = Report(
            form=FORM,
            service=self._settings.name,
            period=period.kind,
            first=period.first.isoformat(),
            last=period.last.isoformat(),
            zone=str(zone) if zone else "",
            start_ms=start_ms,
            end_ms=period.end_ms,
            until_ms=until_ms,
            made_ms=now_ms,
            since_ms=since_ms,
            covered=found.covered,
            slow_seconds=wanted.slow_seconds,
            price_per_kwh=wanted.price_per_kwh,
            currency=wanted.currency,
            availability=up,
            days=event.day_shares(record, days),
            incidents=event.incidents(self._incidents, start_ms, until_ms, now_ms),
            restarts=restarts,
            restart_seconds=restart_seconds,
            traffic=asked,
            earlier=was,
            change=_change(asked, found.covered, was),
            gpus=found.gpus,
            energy=found.energy,
            squeeze=found.squeeze,
            vram=_points(found.vram, asker.grid, edges(period, until_ms)),
            vram_bytes=_total(found.vram_sizes),
            forecasts=self._forecasts(period, until_ms, found, asker, zone),
            alerts=event.alerts(self._database, start_ms, until_ms, now_ms),
            notices=event.notices(self._database, start_ms, until_ms),
            targets=event.targets(self._database, start_ms, until_ms, now_ms),
            patterns=event.patterns(self._database, start_ms, until_ms),
            deeds=event.deeds(self._database, start_ms, until_ms),
            missing=dict(asker.missing),
        )
        return replace(report, advice=advise(report))

    def _earlier(self, period: Period, zone: tzinfo | None) -> Earlier:
        asked = traffic(self._database, period, period.end_ms, zone, self._settings.reports.slow_seconds)
        asker = Asker(self._query, grid(period.days, period.end_ms))
        covered = _covered(asker.curves("count", ALIVE), asker.grid)
        fast = asked.latency
        return Earlier(
            period.start_ms, period.end_ms, covered, asked.requests, asked.failed, asked.failed_share,
            fast.p50, fast.p95, fast.p99,
        )  # fmt: skip

    def _restarts(self, start_ms: int, until_ms: int, now_ms: int) -> tuple[dict[str, int], float]:
        """By cause, how often the process ended or the model was lost without being asked to, and for how long."""
        begun = [one for one in self._incidents.between(start_ms, until_ms - 1, DOWN) if one.started_ms >= start_ms]
        seconds = sum((now_ms if one.ended_ms is None else one.ended_ms) - one.started_ms for one in begun) / 1000
        return dict(Counter(one.cause for one in begun).most_common()), seconds

    def _forecasts(
        self, period: Period, until_ms: int, found: Machine, asker: Asker, zone: tzinfo | None
    ) -> tuple[Forecast, ...]:
        """By the period's daily maxima; a day or a week is too short for a line, and takes two weeks."""
        past, vram, sizes = asker, found.vram, found.vram_sizes
        if period.kind != "month":
            last = period.last
            past = Asker(
                self._query, grid(days_between(last - timedelta(_PAST_DAYS - 1), last + timedelta(1), zone), until_ms)
            )
            vram = past.curves("max", "gpu_memory_used_bytes")
            sizes = past.curves("max", "gpu_memory_total_bytes")
        disks = past.curves("max", "filesystem_used_bytes")
        disk_sizes = past.curves("max", "filesystem_size_bytes")
        asker.missing.update(past.missing)
        return (
            *forecasts("vram", vram, sizes, past.grid, "gpu"),
            *forecasts("disk", disks, disk_sizes, past.grid, "mountpoint"),
        )


def _change(asked: Traffic, covered: float, was: Earlier) -> Change:
    """Numbers of requests are compared only where both periods are known nearly whole."""
    whole = covered >= 0.9 and was.covered >= 0.9
    now, fast = asked.failed_share, asked.latency
    return Change(
        requests=_relative(asked.requests, was.requests) if whole else None,
        failed_share=None if now is None or was.failed_share is None else now - was.failed_share,
        p50=_relative(fast.p50, was.p50),
        p95=_relative(fast.p95, was.p95),
        p99=_relative(fast.p99, was.p99),
    )


def _relative(now: float | None, was: float | None) -> float | None:
    return None if now is None or not was else now / was - 1


def _points(curves: Curves, windows: Grid, stretches: list[tuple[int, int]]) -> tuple[Point, ...]:
    """The largest sum over all GPUs in each stretch of the chart."""
    found = []
    for start_ms, end_ms in stretches:
        inside = (windows.ends > start_ms) & (windows.ends <= end_ms)
        peaks = [values[inside] for values in curves.values()]
        known = [float(one[one == one].max()) for one in peaks if (one == one).any()]
        found.append(Point(start_ms, sum(known) if known else None))
    return tuple(found)


def _total(curves: Curves) -> float | None:
    sizes = [float(values[values == values].max()) for values in curves.values() if (values == values).any()]
    return sum(sizes) if sizes else None


def _covered(curves: Curves, windows: Grid) -> float:
    there = [values == values for values in curves.values()]
    return float(sum(any(column) for column in zip(*there, strict=True))) / windows.count if there else 0.0
