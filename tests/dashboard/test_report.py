"""Reports over HTTP: what viewers read, what operators send, and what is said when neither can be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from alerts.delivery.spec import ChannelSpec
from dashboard.moment import now_ms
from storage.record import RequestEntry
from tests.dashboard.house import House, MakeHouse

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's mail plug-in


@pytest.fixture
def yesterday(house: House) -> date:
    """A day with four requests, of which one failed."""
    day = datetime.now(UTC).date() - timedelta(days=1)
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    for number, outcome in enumerate(("ok", "ok", "error", "cached")):
        house.services.requests.add(
            RequestEntry(f"r{number}", noon + number, 200, outcome, "m", "1", 0.1 * (number + 1))
        )
    house.services.requests.flush()
    return day


def get(house: House, path: str, role: str = "viewer") -> Any:
    return house.visitor().get(path, headers=house.token(role))


def test_it_tells_the_last_day_that_is_over_in_both_languages(house: House, yesterday: date) -> None:
    report = get(house, "/api/reports?tz=UTC").get_json()
    assert (report["period"], report["first"], report["zone"]) == ("day", yesterday.isoformat(), "UTC")
    assert report["traffic"]["requests"] == 4
    assert report["traffic"]["failed_share"] == 0.25
    assert report["traffic"]["latency"]["p95"] == pytest.approx(0.4)
    assert "4 requests, 25.0 % failed" in report["told"]["en"]["sentence"]
    assert "4 个请求，失败 25.0 %" in report["told"]["zh"]["sentence"]
    assert len(report["traffic"]["slots"]) == 24


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=year", "period"),
        ("date=2026-13-01", "date"),
        ("date=9999-12-31", "date"),
        ("tz=../etc", "tz"),
        ("period=month&date=0001-01-01&tz=Asia/Shanghai", "date"),
    ],
)
def test_what_is_no_period_is_refused_by_name(calm: House, query: str, field: str) -> None:
    found = get(calm, f"/api/reports?{query}")
    assert found.status_code == 422
    assert found.get_json()["field"] == field


def test_sending_needs_a_channel_and_is_written_down(house: House, yesterday: date) -> None:
    ask: dict[str, Any] = {"json": {"period": "day", "date": yesterday.isoformat()}, "headers": house.token("operator")}
    assert house.visitor().post("/api/reports/send", **ask).status_code == 409
    spec = ChannelSpec("chat", "apprise", SecretStr("json://127.0.0.1:9"), origin="page")
    house.services.channels.add(spec, "li", now_ms())
    answer = house.visitor().post("/api/reports/send", **ask)
    assert (answer.status_code, answer.get_json()) == (202, {"channels": ["chat"]})
    assert get(house, "/api/reports/list").get_json()["channels"] == ["chat"]
    (notice,) = house.services.outbox.recent()
    assert (notice.channel, notice.about) == ("chat", "report")
    assert notice.headline.startswith("wakeless: Day ")
    (entry,) = [one for one in house.services.audit.between(0, now_ms()) if one.action == "report.send"]
    assert entry.detail == {"channels": ["chat"]}


def test_the_list_says_what_is_sent_by_itself(make_house: MakeHouse) -> None:
    house = make_house(reports={"weekly": "mon 08:00"})
    found = get(house, "/api/reports/list").get_json()
    assert found == {"reports": [], "schedule": {"day": "off", "week": "mon 08:00", "month": "off"}, "channels": []}
