"""On-call rotas, escalation and quiet hours: the right person hears, at a time when it helps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from alerts.routing.rota import Override, Rota
from tests.alerts.routing.desk import PLAIN, Desk, heard, hook, with_routes

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


def _rota(zone: ZoneInfo, *overrides: Override) -> Rota:
    return Rota("on-call", zone, zone.key, datetime(2026, 1, 5, 9), 7, ("ann", "bob", "eve"), overrides)  # noqa: DTZ001


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_turns_change_on_the_hour_of_the_wall_also_where_clocks_change() -> None:
    rota = _rota(BERLIN)
    # Summer time begins on 2026-03-29; turns go on changing on Mondays at 9.
    for monday, who in (
        (datetime(2026, 1, 5, 9, tzinfo=BERLIN), "ann"),
        (datetime(2026, 4, 6, 9, tzinfo=BERLIN), "bob"),
    ):
        assert rota.on_call(_ms(monday)) == who
        assert rota.on_call(_ms(monday) - 1000) != who


def test_turns_before_the_start_are_counted_backwards() -> None:
    assert _rota(SHANGHAI).on_call(_ms(datetime(2026, 1, 4, 9, tzinfo=SHANGHAI))) == "eve"


def test_an_override_takes_over_for_its_time() -> None:
    start = datetime(2026, 1, 6, tzinfo=SHANGHAI)
    rota = _rota(SHANGHAI, Override(_ms(start), _ms(start + timedelta(days=1)), "eve"))
    assert rota.on_call(_ms(start) - 1) == "ann"
    assert rota.on_call(_ms(start)) == "eve"
    assert rota.on_call(_ms(start + timedelta(days=1))) == "ann"


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1)))  # noqa: DTZ001
def test_everybody_has_a_turn_of_a_week_in_three(moment: datetime) -> None:
    rota = _rota(SHANGHAI)
    now = moment.replace(tzinfo=UTC)
    assert {rota.on_call(_ms(now + timedelta(weeks=week))) for week in range(3)} == {"ann", "bob", "eve"}
    assert rota.on_call(_ms(now)) == rota.on_call(_ms(now + timedelta(weeks=3)))


def test_a_rota_says_when_who_comes_next() -> None:
    start = datetime(2026, 1, 6, tzinfo=SHANGHAI)
    monday = datetime(2026, 1, 12, 9, tzinfo=SHANGHAI)
    assert _rota(SHANGHAI).handover(_ms(start)) == (_ms(monday), "bob")
    covered = _rota(SHANGHAI, Override(_ms(start), _ms(monday), "bob"))
    assert covered.handover(_ms(start) - 1000) == (_ms(start), "bob")
    assert covered.handover(_ms(start)) == (_ms(monday + timedelta(days=7)), "eve")
    alone = Rota("a", SHANGHAI, SHANGHAI.key, datetime(2026, 1, 5), 1, ("ann",))  # noqa: DTZ001
    assert alone.handover(_ms(start)) is None


ROTA = """
rotas:
  - name: on-call
    timezone: UTC
    start: 2023-11-14 23:00
    period: 1d
    receivers: [team, boss]
"""


def test_who_comes_on_call_is_told_of_what_fires_and_who_went_still_hears_its_end(
    make_desk: Callable[[str], Desk],
) -> None:
    desk = make_desk(PLAIN.replace("receiver: team", "receiver: on-call") + hook("boss") + ROTA)
    # The start is 22:13:20: 23:00 is after 2800 s.
    alert = desk.fire("A", service="x")
    desk.fire("B", service="x")
    said = desk.run(3300, 10)
    assert [(item.seconds, item.channel, item.firing) for item in said] == [
        (30, "boss.webhook", "A B"),
        (3030, "team.webhook", "A B"),
    ]
    desk.resolve(alert)
    said = desk.run(400, 10)
    assert [(item.channel, item.firing, item.resolved) for item in said] == [
        ("team.webhook", "B", "A"),
        ("boss.webhook", "", "A"),
    ]


ESCALATION = with_routes(
    "  - {match: {severity: critical}, escalation: [{after: 15m, receiver: boss}, {after: 1h, receiver: owner}]}\n"
)
ESCALATING = ESCALATION + hook("boss") + hook("owner")


def test_what_nobody_acknowledges_goes_up_step_by_step(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(ESCALATING.replace("repeat_interval: 1h", "repeat_interval: 5h"))
    alert = desk.fire("A", service="x", severity="critical")
    said = desk.run(4000, 10)
    assert [(item.seconds, item.channel, item.kind) for item in said] == [
        (30, "team.webhook", "alerts"),
        (930, "boss.webhook", "escalation"),
        (3630, "owner.webhook", "escalation"),
    ]
    desk.acknowledge(alert)
    assert sorted(item.channel for item in desk.run()) == ["boss.webhook", "owner.webhook", "team.webhook"]
    desk.resolve(alert)
    assert sorted((item.channel, item.resolved) for item in desk.run(300)) == [
        ("boss.webhook", "A"),
        ("owner.webhook", "A"),
        ("team.webhook", "A"),
    ]


def test_an_acknowledgement_in_time_stops_the_escalation(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(ESCALATING)
    alert = desk.fire("A", service="x", severity="critical")
    desk.run(600)
    desk.acknowledge(alert)
    assert {item.channel for item in desk.run(7200, 10)} == {"team.webhook"}


def test_an_escalation_survives_a_restart_and_is_not_repeated(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(ESCALATING)
    desk.fire("A", service="x", severity="critical")
    desk.run(600)
    desk.boot()
    assert [(item.seconds, item.kind) for item in desk.run(600)] == [(930, "escalation")]
    desk.boot()
    assert desk.run(600) == []


def test_what_resolved_in_time_or_is_silenced_does_not_go_up(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(ESCALATING)
    alert = desk.fire("A", service="x", severity="critical")
    desk.fire("B", service="y", severity="critical")
    desk.run(600)
    desk.resolve(alert)
    desk.silenced["B"] = ["a7"]
    assert {item.channel for item in desk.run(3000, 10)} == {"team.webhook"}


QUIET = (
    with_routes("  - {match: {service: x}, quiet_hours: [{time_intervals: [late], levels: [1, 2]}]}\n")
    + "time_intervals: [{name: late, time_intervals: [{times: [{start_time: '22:15', end_time: '22:40'}]}]}]\n"
)


def test_quiet_hours_hold_a_level_back_and_tell_it_afterwards_if_it_still_fires(
    make_desk: Callable[[str], Desk],
) -> None:
    desk = make_desk(QUIET)
    # Quiet from 100 s to 1600 s.
    desk.now_ms += 120_000
    passing = desk.fire("Passing", service="x", severity="warning")
    desk.fire("Lasting", service="x", severity="warning")
    desk.fire("Urgent", service="x", severity="critical")
    assert heard(desk.run(1200, 10)) == [(150, "Urgent", "")]
    desk.resolve(passing)
    assert heard(desk.run(600, 10)) == [(1650, "Lasting Urgent", "")]


def test_the_end_of_what_was_told_before_quiet_hours_is_told_after_them(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(QUIET)
    alert = desk.fire("A", service="x", severity="warning")
    assert heard(desk.run(200, 10)) == [(30, "A", "")]
    desk.resolve(alert)
    assert heard(desk.run(1800, 10)) == [(1830, "", "A")]
