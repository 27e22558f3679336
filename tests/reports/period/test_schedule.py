"""Reports by the clock: due once, told once, whatever comes in between; and what people get of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine as Database
from sqlalchemy import select

from alerts.delivery.channel import Voice
from alerts.delivery.compose import Composer
from alerts.delivery.message import Message
from alerts.delivery.outbox import Outbox
from alerts.delivery.registry import ChannelRegistry, builder
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from config import ReportSettings, Settings
from promql import Engine
from reports.letter import document, message
from reports.period import period_of
from reports.report import Reporter
from reports.schedule import NoChannelError, Reports, latest
from reports.telling import Telling
from storage.engine import open_database
from storage.incident import IncidentLog
from storage.series import SeriesStore
from storage.tables import OutboxRow, ReportRow
from tests.alerts.delivery.receivers.http import Service
from tests.alerts.delivery.receivers.mail import MailServer
from tests.reports.period.conftest import Place
from tests.reports.period.month import END_MS, ZONE, moment, write_requests

pytestmark = [
    # Apprise's plug-in for encrypted mail imports it.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
    # The mail server of the tests is on this machine.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while"),
]

MINUTE_MS = 60_000
BOXES = (ChannelSpec("mail", "apprise", SecretStr("json://a")), ChannelSpec("chat", "apprise", SecretStr("json://b")))
HOOK = ChannelSpec("hook", "webhook", SecretStr("http://c"))
Make = Callable[..., Reports]


class Killed(BaseException):
    """The process ends here."""


class MortalOutbox(Outbox):
    """Lets the process be killed at its ``n``-th notice."""

    def __init__(self, database: Database, n: int) -> None:
        super().__init__(database)
        self._left = n

    def enqueue(self, connection: Any, key: str, channel: str, message: Message, now_ms: int) -> bool:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().enqueue(connection, key, channel, message, now_ms)


@pytest.fixture
def make(database: Database) -> Make:
    """One life of a server that has been there for months; requests of yesterday are in its database."""
    IncidentLog(database).note_first_start(moment("2026-08-01T00:00"))
    write_requests(database, moment("2026-10-19T00:00"), moment("2026-10-20T00:00"), 50)
    store = SeriesStore(database)
    store.load()

    def life(outbox: Outbox | None = None, channels: tuple[ChannelSpec, ...] = BOXES, **wanted: Any) -> Reports:
        settings = ReportSettings(**({"daily": "08:00"} | wanted))
        reporter = Reporter(Settings(reports=settings), database, Engine(store), ZONE)
        return Reports(reporter, settings, database, outbox or Outbox(database), lambda: channels)

    return life


def told(database: Database) -> list[tuple[str, str]]:
    with database.connect() as connection:
        rows = connection.execute(select(OutboxRow.channel, OutboxRow.key).order_by(OutboxRow.id))
        return [(channel, key) for channel, key in rows]


def kept(database: Database) -> int:
    with database.connect() as connection:
        return len(connection.execute(select(ReportRow.id)).all())


# --- when ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "when", "now", "expected"),
    [
        ("day", "08:00", "2026-10-20T07:59", "2026-10-19T08:00"),
        ("day", "08:00", "2026-10-20T08:00", "2026-10-20T08:00"),
        ("week", "mon 08:00", "2026-10-25T23:00", "2026-10-19T08:00"),
        ("month", "1 08:00", "2026-10-31T23:00", "2026-10-01T08:00"),
        ("month", "28 8:05", "2026-03-01T00:00", "2026-02-28T08:05"),
        ("day", "08:00", "2026-10-25T08:00", "2026-10-25T08:00"),
    ],
)
def test_a_time_of_the_settings_is_one_on_the_wall_clock(kind: Any, when: str, now: str, expected: str) -> None:
    assert latest(kind, when, moment(now), ZONE) == moment(expected)


def test_a_time_that_the_clock_skips_or_shows_twice_comes_once() -> None:
    skipped = [latest("day", "02:30", moment("2026-03-29T00:00") + hour * 3_600_000, ZONE) for hour in range(24)]
    assert len(set(skipped)) == 2, "that of the day before, and one of this"
    twice = [latest("day", "02:30", moment("2026-10-25T00:00") + hour * 1_800_000, ZONE) for hour in range(50)]
    assert len(set(twice)) == 2


def test_days_are_as_long_as_they_are() -> None:
    autumn, spring = (period_of("day", date(2026, *day), ZONE) for day in ((10, 25), (3, 29)))
    assert (autumn.end_ms - autumn.start_ms, spring.end_ms - spring.start_ms) == (25 * 3_600_000, 23 * 3_600_000)
    week = period_of("week", date(2026, 10, 25), ZONE)
    assert (week.first, week.last) == (date(2026, 10, 19), date(2026, 10, 25))
    assert period_of("month", date(2026, 12, 31), ZoneInfo("Asia/Shanghai")).last == date(2026, 12, 31)
    with pytest.raises(ValueError, match="calendar"):
        period_of("month", date(9999, 12, 31), ZONE)


# --- once ------------------------------------------------------------------------------------------------------


def test_it_is_told_once_to_each_channel_at_its_time(make: Make, database: Database) -> None:
    reports = make(channels=(*BOXES, HOOK))
    sent = [reports.step(moment("2026-10-20T08:00") + minute * MINUTE_MS) for minute in range(120)]
    assert sent == [1] + [0] * 119
    assert [channel for channel, _ in told(database)] == ["mail", "chat"], "a webhook has no word for it"
    (one,) = reports.kept()
    assert (one.period, one.first) == ("day", "2026-10-19")
    body = reports.body("day", one.start_ms)
    assert body is not None
    assert body["traffic"]["requests"] == 50


@pytest.mark.parametrize("notices", [0, 1])
def test_a_kill_before_all_of_it_is_written_leaves_nothing_and_the_next_life_tells_it(
    make: Make, database: Database, notices: int
) -> None:
    now_ms = moment("2026-10-20T08:00")
    with pytest.raises(Killed):
        make(MortalOutbox(database, notices)).step(now_ms)
    assert (kept(database), told(database)) == (0, [])
    assert make().step(now_ms + MINUTE_MS) == 1
    assert make().step(now_ms + 2 * MINUTE_MS) == 0, "another life knows that it was told"
    assert [channel for channel, _ in told(database)] == ["mail", "chat"]


def test_one_that_was_missed_is_sent_within_a_day_and_not_after(make: Make, database: Database) -> None:
    assert make(weekly="mon 08:00", daily="off").step(moment("2026-10-20T08:01")) == 0
    assert make(weekly="mon 08:00", daily="off").step(moment("2026-10-20T07:59")) == 1
    assert "report-week-" in told(database)[0][1]


def test_a_report_of_a_time_before_the_service_is_not_sent(tmp_path: Any) -> None:
    database = open_database(tmp_path / "new.db")
    IncidentLog(database).note_first_start(moment("2026-10-20T07:00"))
    store = SeriesStore(database)
    store.load()
    settings = ReportSettings(daily="08:00")
    reporter = Reporter(Settings(reports=settings), database, Engine(store), ZONE)
    reports = Reports(reporter, settings, database, Outbox(database), lambda: BOXES)
    assert reports.step(moment("2026-10-20T08:00")) == 0
    assert reports.step(moment("2026-10-21T08:00")) == 1
    database.dispose()


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_report_of_a_time_before_the_service_says_that_there_are_no_data(database: Database, is_noted: bool) -> None:
    if is_noted:
        IncidentLog(database).note_first_start(moment("2026-10-20T07:00"))
    store = SeriesStore(database)
    store.load()
    reporter = Reporter(Settings(), database, Engine(store), ZONE)
    report = reporter.report("day", date(2026, 10, 18), moment("2026-10-21T08:00"))
    assert (
        Telling(report, "en", ZONE).sentence() == "There are no data for this period: it lies before the first start."
    )
    assert "没有数据" in Telling(report, "zh", ZONE).sentence()
    assert not report.advice


def test_only_the_channels_of_the_settings_get_it_and_nobody_is_an_error(make: Make, database: Database) -> None:
    now_ms = moment("2026-10-20T09:00")
    assert make(channels=BOXES, daily="off").receivers() == ["mail", "chat"]
    chosen = Reports(make().reporter, ReportSettings(channels=["chat"]), database, Outbox(database), lambda: BOXES)
    assert chosen.send("day", date(2026, 10, 19), now_ms) == ["chat"]
    assert chosen.send("day", date(2026, 10, 19), now_ms + 1) == ["chat"], "a person may ask twice"
    assert len(told(database)) == 2
    with pytest.raises(NoChannelError):
        make(channels=(HOOK,)).send("day", date(2026, 10, 19), now_ms)


# --- what people get -------------------------------------------------------------------------------------------


def send_all(database: Database, specs: list[ChannelSpec], notice: Callable[[str], Message], **voice: Any) -> Outbox:
    """Put a notice for each channel into the outbox, and have it sent."""
    outbox = Outbox(database)
    now_ms = time.time_ns() // 1_000_000
    with database.begin() as connection:
        for spec in specs:
            outbox.enqueue(connection, f"key-{spec.name}", spec.name, notice(spec.name), now_ms)
    registry = ChannelRegistry(builder(Voice(Composer("cards", ZONE, "https://watch.example"), **voice)), specs)
    Sender(outbox, registry).deliver(now_ms)
    return outbox


def test_a_mail_holds_the_page_and_its_charts_and_a_chat_five_numbers_and_a_link(
    october: Place, database: Database
) -> None:
    reporter = Reporter(Settings(name="cards"), october.database, october.query, ZONE)
    report = reporter.report("month", date(2026, 10, 1), END_MS + 8 * 3_600_000)
    with MailServer(login=True) as mail, Service() as chat:
        specs = [
            ChannelSpec("mail", "apprise", SecretStr(mail.url())),
            ChannelSpec("chat", "apprise", SecretStr(f"json://{chat.address}"), language="zh"),
        ]
        outbox = send_all(database, specs, lambda name: message(report, name, END_MS, ZONE))
        assert outbox.figures().counts["sent"] == 2, [entry.error for entry in outbox.recent()]
        (letter,) = mail.taken
        (call,) = chat.taken
    assert letter["Subject"] == "[REPORT] cards: Month 2026-10"
    html = letter.get_body(("html",))
    assert html is not None
    text = html.get_content()
    pictures = {part.get_filename(): part for part in letter.walk() if part.get_content_type() == "image/png"}
    assert set(pictures) == {"requests.png", "latency.png", "memory.png", "uptime.png"}
    for name, part in pictures.items():
        assert f'src="cid:{name}"' in text
        assert part["Content-ID"] == f"<{name}>"
        assert part.get_content()[:8] == b"\x89PNG\r\n\x1a\n"
    assert 'href="https://watch.example/reports?period=month&amp;date=2026-10-01"' in text
    assert "/data" not in text, "no path leaves the house"
    body = call.json["message"]
    assert call.json["title"] == "[报告] cards：2026-10 月报"
    assert [line.partition(": ")[0] for line in body.splitlines()[1:6]] == [
        "可用率",
        "请求数",
        "失败率",
        "p95 延迟",
        "GPU 小时",
    ]
    assert "https://watch.example/reports?period=month&date=2026-10-01" in body
    assert len(body) < 600


def test_a_channel_without_pictures_gets_a_mail_without_any(october: Place, database: Database) -> None:
    reporter = Reporter(Settings(name="cards"), october.database, october.query, ZONE)
    report = reporter.report("day", date(2026, 10, 20), END_MS)
    with MailServer(login=True) as mail:
        spec = ChannelSpec("mail", "apprise", SecretStr(mail.url()), picture=False)
        send_all(database, [spec], lambda name: message(report, name, END_MS, ZONE))
        (letter,) = mail.taken
    html = letter.get_body(("html",))
    assert html is not None
    assert "cid:" not in html.get_content()


def test_reports_that_waited_are_told_whole_not_merged_into_a_summary(october: Place, database: Database) -> None:
    reporter = Reporter(Settings(name="cards"), october.database, october.query, ZONE)
    outbox = Outbox(database)
    with database.begin() as connection:
        for day in range(4, 20):
            report = reporter.report("day", date(2026, 10, day), END_MS)
            outbox.enqueue(connection, f"k{day}", "mail", message(report, "mail", END_MS, ZONE), END_MS)
    assert outbox.crowd("mail").count == 0


def test_as_a_file_it_needs_nothing_else(october: Place) -> None:
    reporter = Reporter(Settings(name="<b>cards"), october.database, october.query, ZONE)
    text = document(reporter.report("week", date(2026, 10, 12), END_MS), "zh", ZONE)
    assert "cid:" not in text
    assert text.count("data:image/png;base64,") == 4
    assert "<b>cards" not in text
