"""Which share of the time the service could answer: over some windows, and day by day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from alerts.outage.stretch import Stretch, covered_ms, union, without
from storage.incident import DOWN, Incident, IncidentLog

DAY_MS = 86_400_000
WINDOWS: Mapping[str, int] = {"24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "90d": 90 * DAY_MS}
#: Days that are told one by one, today included.
DAYS = 90


@dataclass(frozen=True, slots=True)
class Share:
    """How a window went. ``ratio`` is None where there was no service yet, or only restarts that were asked for.

    ``since_ms`` is where it begins: with the window, or with the service's first start.
    """

    ratio: float | None
    since_ms: int
    seconds_down: float
    seconds_planned: float


@dataclass(frozen=True, slots=True)
class Day:
    """How a day went, named by its date. ``incidents`` are outages that began to keep the service from answering."""

    day: str
    ratio: float | None
    seconds_down: float
    seconds_planned: float
    incidents: int


@dataclass(frozen=True, slots=True)
class Uptime:
    """``since_ms`` is the first start of the service; None before anybody noted one."""

    since_ms: int | None
    windows: Mapping[str, Share]
    days: tuple[Day, ...]


class Record:
    """When something could not answer, and when it was not to: what is planned does not count at all.

    Its time is in neither part of the ratio, but where something was down meanwhile. ``begun`` are the moments at which
    outages began, for counting them by day.
    """

    def __init__(
        self, down: Iterable[Stretch], planned: Iterable[Stretch], begun: Collection[int], since_ms: int, now_ms: int
    ) -> None:
        self._since_ms = since_ms
        self._now_ms = now_ms
        self._begun = sorted(begun)
        self._down = union(down)
        self._planned = without(union(planned), self._down)

    def share(self, start_ms: int, end_ms: int) -> Share:
        """How ``[start_ms, end_ms)`` went, as far as it is over and there was a service."""
        start_ms, end_ms = max(start_ms, self._since_ms), min(end_ms, self._now_ms)
        if end_ms <= start_ms:
            return Share(None, start_ms, 0.0, 0.0)
        down_ms = covered_ms(self._down, start_ms, end_ms)
        planned_ms = covered_ms(self._planned, start_ms, end_ms)
        counted_ms = end_ms - start_ms - planned_ms
        ratio = 1 - down_ms / counted_ms if counted_ms > 0 else None
        return Share(ratio, start_ms, down_ms / 1000, planned_ms / 1000)

    def windows(self) -> dict[str, Share]:
        """How each of :data:`WINDOWS` went until now."""
        return {name: self.share(self._now_ms - length, self._now_ms) for name, length in WINDOWS.items()}

    def days(self, zone: tzinfo | None) -> tuple[Day, ...]:
        """The last :data:`DAYS` days of ``zone``, today included; None is the machine's own."""
        names, edges = _days(_date(self._now_ms, zone), zone)
        return tuple(self._day(*one) for one in zip(names, edges, edges[1:], strict=False))

    def _day(self, name: str, start_ms: int, end_ms: int) -> Day:
        share = self.share(start_ms, end_ms)
        count = bisect_left(self._begun, end_ms) - bisect_left(self._begun, start_ms)
        return Day(name, share.ratio, share.seconds_down, share.seconds_planned, count)


def first_ms(now_ms: int, zone: tzinfo | None) -> int:
    """Where the longest window and the first of the days begin: nothing before it is asked for."""
    return min(_days(_date(now_ms, zone), zone)[1][0], now_ms - max(WINDOWS.values()))


def uptime(log: IncidentLog, now_ms: int, zone: tzinfo | None = None) -> Uptime:
    """How the service did until now. Days are those of ``zone``; None is the machine's own.

    Down is the union of all stretches of the kinds process, power and model; planned is a restart that somebody asked
    for. An outage that lasts counts up to now; the time before the first start counts as nothing.
    """
    since_ms = log.first_start_ms()
    incidents = log.between(first_ms(now_ms, zone), now_ms, (*DOWN, "planned"))
    begun: dict[int, int] = {}  # when each outage first kept the service from answering
    for one in incidents:
        if one.kind in DOWN:
            begun.setdefault(one.outage or one.id, one.started_ms)
    down = [_stretch(one, now_ms) for one in incidents if one.kind in DOWN]
    planned = [_stretch(one, now_ms) for one in incidents if one.kind == "planned"]
    record = Record(down, planned, begun.values(), now_ms if since_ms is None else since_ms, now_ms)
    return Uptime(since_ms, record.windows(), record.days(zone))


def _stretch(incident: Incident, now_ms: int) -> Stretch:
    return Stretch(incident.started_ms, now_ms if incident.ended_ms is None else incident.ended_ms)


@lru_cache(maxsize=8)
def _days(today: date, zone: tzinfo | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The names of the days that end with ``today``, and their edges: where each begins, and where the last ends."""
    dates = [today - timedelta(days=back) for back in range(DAYS - 1, -2, -1)]
    return tuple(one.isoformat() for one in dates[:-1]), tuple(_midnight(one, zone) for one in dates)


def _date(time_ms: int, zone: tzinfo | None) -> date:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).date()


def _midnight(day: date, zone: tzinfo | None) -> int:
    """The moment at which a day begins; one of 23 or 25 hours is as long as it is."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(start.timestamp() * 1000)
