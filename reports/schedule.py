"""Reports by the clock: when which is due, made once and told once, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.sqlite import insert

from alerts.delivery.message import Message
from alerts.delivery.spec import ChannelSpec
from config import ReportSettings
from reports.letter import message
from reports.period import KINDS, Kind, Period, local, period_of
from reports.report import FORM, BusyError, Report, Reporter
from reports.telling import as_document
from storage.error import StorageError
from storage.tables import ReportRow

log = structlog.get_logger(__name__)

#: A report that could not be sent in time is sent for so long after.
LATE_MS = 86_400_000
#: Requests are written once a tick, and the last window must be over.
_SETTLED_MS = 300_000
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Outbox(Protocol):
    """Takes notices within the caller's transaction."""

    def enqueue(self, connection: Connection, key: str, channel: str, message: Message, now_ms: int) -> bool:
        """Add a notice; False if its key is there already."""
        ...


class NoChannelError(Exception):
    """There is nobody to send a report to."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as it was sent on schedule."""

    period: str
    first: str
    start_ms: int
    end_ms: int
    made_ms: int


class Reports:
    """Sends the reports that are due, and those that somebody asks for. ``step`` is for one thread, once a minute.

    ``channels`` gives what channels there are now; ``wake`` has the outbox looked at. A report and its notices are
    written in one transaction: a process that is killed before has told nothing, and one that is killed after has told
    all of it.
    """

    def __init__(
        self,
        reporter: Reporter,
        settings: ReportSettings,
        database: Engine,
        outbox: Outbox,
        channels: Callable[[], Sequence[ChannelSpec]],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.reporter = reporter
        self._settings = settings
        self._database = database
        self._outbox = outbox
        self._channels = channels
        self._wake = wake
        self._stepping = threading.Lock()
        self._idle: set[tuple[Kind, int]] = set()  # what there was nothing to say of

    # --- by the clock ----------------------------------------------------------------------------------------

    def step(self, now_ms: int) -> int:
        """Send what is due and has not been; returns how many reports that were. A failure is tried again."""
        if not self._stepping.acquire(blocking=False):
            return 0
        try:
            return sum(self._send_due(kind, now_ms) for kind in KINDS)
        except (StorageError, BusyError) as error:
            log.warning("report_not_made", reason=str(error) or "other reports are being made")
            return 0
        finally:
            self._stepping.release()

    def due(self, kind: Kind, now_ms: int) -> Period | None:
        """The period whose report is to be out by now, if its moment was less than a day ago."""
        when: str = {"day": self._settings.daily, "week": self._settings.weekly, "month": self._settings.monthly}[kind]
        if when == "off":
            return None
        zone = self.reporter.zone
        moment = latest(kind, when, now_ms, zone)
        if moment is None or now_ms - moment >= LATE_MS:
            return None
        here = period_of(kind, local(moment, zone).date(), zone)
        period = period_of(kind, here.first - timedelta(days=1), zone)
        return period if now_ms >= period.end_ms + _SETTLED_MS else None

    def _send_due(self, kind: Kind, now_ms: int) -> bool:
        period = self.due(kind, now_ms)
        if period is None or (kind, period.start_ms) in self._idle or self._find(kind, period.start_ms) is not None:
            return False
        report = self.reporter.report(kind, period.first, now_ms)
        if report.is_empty and report.since_ms >= period.end_ms:  # the service is younger than that
            self._idle.add((kind, period.start_ms))
            return False
        if not self._keep(report, now_ms):
            return False
        log.info("report_sent", period=kind, first=report.first, covered=report.covered)
        self._wake()
        return True

    def _keep(self, report: Report, now_ms: int) -> bool:
        """Write it down with its notices; False if somebody has before."""
        row = {
            "period": report.period, "start_ms": report.start_ms, "end_ms": report.end_ms, "made_ms": now_ms,
            "body": as_document(report, self.reporter.zone),
        }  # fmt: skip
        notices = [(name, message(report, name, now_ms, self.reporter.zone)) for name in self.receivers()]
        with self._database.begin() as connection:
            added = insert(ReportRow).values(**row).on_conflict_do_nothing(index_elements=["period", "start_ms"])
            if connection.execute(added).rowcount != 1:
                return False
            for name, notice in notices:
                key = f"report-{report.period}-{report.start_ms}-{name}"
                self._outbox.enqueue(connection, key, name, notice, now_ms)
        return True

    # --- for people ------------------------------------------------------------------------------------------

    def send(self, kind: Kind, day: date, now_ms: int) -> list[str]:
        """Send a report now, however often it was sent; returns the channels. As :meth:`Reporter.report` raises.

        Raises :class:`NoChannelError` too.
        """
        names = self.receivers()
        if not names:
            raise NoChannelError
        report = self.reporter.report(kind, day, now_ms)
        with self._database.begin() as connection:
            for name in names:
                key = f"report-{kind}-{report.start_ms}-{name}-{now_ms}"
                self._outbox.enqueue(connection, key, name, message(report, name, now_ms, self.reporter.zone), now_ms)
        self._wake()
        return names

    def kept(self, limit: int = 100) -> list[Kept]:
        """The reports that were sent on schedule, newest first."""
        row = ReportRow
        query = select(row.period, row.start_ms, row.end_ms, row.made_ms).order_by(row.made_ms.desc()).limit(limit)
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        zone = self.reporter.zone
        return [Kept(one[0], local(one[1], zone).date().isoformat(), *one[1:]) for one in rows]

    def body(self, kind: Kind, start_ms: int) -> dict[str, Any] | None:
        """A report as it was sent, if it was, in today's form."""
        found = self._find(kind, start_ms)
        return found if found is not None and found.get("form") == FORM else None

    def _find(self, kind: Kind, start_ms: int) -> dict[str, Any] | None:
        query = select(ReportRow.body).where(ReportRow.period == kind, ReportRow.start_ms == start_ms)
        with self._database.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def receivers(self) -> list[str]:
        """The channels that get it. A webhook for alerts has no word for reports."""
        told = [spec.name for spec in self._channels() if spec.kind == "apprise"]
        wanted = self._settings.channels
        for name in wanted:
            if name not in told:
                log.warning("report_channel_unknown", channel=name)
        return [name for name in told if not wanted or name in wanted]


def latest(kind: Kind, when: str, now_ms: int, zone: tzinfo | None) -> int | None:
    """The last moment not after now that a setting such as ``08:00``, ``mon 08:00`` or ``1 08:00`` names.

    A time that the clock skips is the moment at which it would have been; of one that comes twice, the first counts.
    """
    *days, clock = when.split()
    hour, minute = map(int, clock.split(":"))
    today = local(now_ms, zone).date()
    for back in range(32):
        day = today - timedelta(days=back)
        if kind == "week" and day.weekday() != _WEEKDAYS.index(days[0]):
            continue
        if kind == "month" and day.day != int(days[0]):
            continue
        moment = int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp() * 1000)
        if moment <= now_ms:
            return moment
    return None
