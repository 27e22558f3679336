"""Alerts are told together, once, in Alertmanager's rhythm, over restarts and clock steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import event

from tests.alerts.routing.desk import PLAIN, START_MS, Desk, heard, hook, parse, with_routes


def test_alerts_of_a_group_are_told_together_after_group_wait(desk: Desk) -> None:
    desk.fire("A", service="x")
    assert desk.run(10) == []
    desk.fire("B", service="x")
    desk.fire("C", service="y")
    assert heard(desk.run(40)) == [(30, "A B", ""), (40, "C", "")]


def test_an_alert_that_began_long_ago_is_told_at_once(desk: Desk) -> None:
    desk.fire("A", ago=60, service="x")
    assert heard(desk.run()) == [(0, "A", "")]


def test_what_joins_a_group_waits_for_its_next_interval(desk: Desk) -> None:
    desk.fire("A", service="x")
    desk.run(60)
    desk.fire("B", service="x")
    assert heard(desk.run(400)) == [(330, "A B", "")]


def test_a_recovery_is_told_at_the_next_interval_and_once(desk: Desk) -> None:
    first = desk.fire("A", service="x")
    desk.fire("B", service="x")
    desk.run(60)
    desk.resolve(first)
    assert heard(desk.run(900)) == [(330, "B", "A")]


def test_what_fires_on_is_repeated_when_the_repeat_interval_has_passed(desk: Desk) -> None:
    desk.fire("A", service="x")
    # As in Alertmanager: at the first interval after it, and an hour is twelve intervals exactly.
    assert heard(desk.run(2 * 3600 + 700, 10)) == [(30, "A", ""), (3930, "A", ""), (7830, "A", "")]


def test_what_fires_and_resolves_before_the_first_notice_is_not_told(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(10)
    desk.resolve(alert)
    assert desk.run(900) == []


def test_an_alert_that_flaps_between_two_intervals_is_not_told_again(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.resolve(alert)
    desk.run(60)
    desk.fire("A", service="x")
    assert desk.run(1200) == []


def test_an_alert_that_fires_anew_after_its_recovery_is_told_anew(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.resolve(alert)
    assert heard(desk.run(600)) == [(330, "", "A")]
    desk.fire("A", service="x")
    assert heard(desk.run(60)) == [(690, "A", "")]


def test_a_receiver_that_wants_no_recoveries_gets_none_and_still_hears_the_next_firing(
    make_desk: Callable[[str], Desk],
) -> None:
    desk = make_desk(PLAIN.replace('example.com/"', 'example.com/", send_resolved: false'))
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.resolve(alert)
    assert desk.run(600) == []
    desk.fire("A", service="x")
    assert heard(desk.run(60)) == [(690, "A", "")]


def test_a_receiver_that_wants_no_recoveries_is_not_told_anew_while_its_group_goes_on(
    make_desk: Callable[[str], Desk],
) -> None:
    # As in Alertmanager: its log keeps the alert until nothing of the group fires, or it is time to repeat.
    desk = make_desk(PLAIN.replace('example.com/"', 'example.com/", send_resolved: false'))
    alert = desk.fire("A", service="x")
    desk.fire("B", service="x")
    desk.run(60)
    desk.resolve(alert)
    desk.run(600)
    desk.fire("A", service="x")
    assert desk.run(1200) == []


def test_a_silence_keeps_notices_back_and_its_end_lets_them_go(desk: Desk) -> None:
    desk.silenced["A"] = ["a7"]
    desk.fire("A", service="x")
    assert desk.run(600) == []
    desk.silenced.clear()
    assert heard(desk.run(300)) == [(630, "A", "")]


def test_what_resolves_under_a_silence_is_told_when_it_fires_anew(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.silenced["A"] = ["a7"]
    desk.resolve(alert)
    assert desk.run(600) == []
    desk.silenced.clear()
    desk.fire("A", service="x")
    assert heard(desk.run(60)) == [(690, "A", "")]


def test_continue_tells_two_receivers_and_the_first_match_wins_without_it(make_desk: Callable[[str], Desk]) -> None:
    routes = """
  - {receiver: boss, match: {severity: critical}, continue: true}
  - {receiver: day, match_re: {severity: 'crit.*|warning'}}
  - {receiver: boss}
"""
    desk = make_desk(with_routes(routes) + hook("boss") + hook("day"))
    desk.fire("A", service="x", severity="critical")
    desk.fire("B", service="x", severity="warning")
    desk.fire("C", service="x", severity="info")
    said = sorted((item.channel, item.firing) for item in desk.run(30))
    assert said == [("boss.webhook", "A"), ("boss.webhook", "C"), ("day.webhook", "A B")]


def test_an_alert_that_another_explains_is_not_told_while_that_one_fires(make_desk: Callable[[str], Desk]) -> None:
    rule = "{source_match: {alertname: Down}, target_match_re: {alertname: 'Slow|Down'}, equal: [host]}"
    desk = make_desk(f"{PLAIN}inhibit_rules: [{rule}]\n")
    cause = desk.fire("Down", service="x", host="a")
    desk.fire("Slow", service="x", host="a")
    desk.fire("Slow", service="x", host="b")
    assert heard(desk.run(30)) == [(30, "Down Slow", "")]
    desk.resolve(cause)
    assert heard(desk.run(300)) == [(330, "Slow Slow", "Down")]


def test_a_route_is_mute_in_its_time_intervals(make_desk: Callable[[str], Desk]) -> None:
    # The start is 2023-11-14 22:13:20 UTC.
    routes = """
  - {match: {service: x}, mute_time_intervals: [late]}
  - {match: {service: y}, active_time_intervals: [late]}
"""
    late = "{name: late, time_intervals: [{times: [{start_time: '22:00', end_time: '22:20'}]}]}"
    desk = make_desk(f"{with_routes(routes)}time_intervals: [{late}]\n")
    desk.fire("A", service="x")
    desk.fire("B", service="y")
    assert heard(desk.run(1200)) == [(30, "B", ""), (630, "A", "")]


def test_an_acknowledged_alert_is_told_to_those_who_know_it_and_not_repeated(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.acknowledge(alert)
    (notice,) = desk.run(2 * 3600, 10)
    assert (notice.seconds, notice.kind, notice.firing) == (60, "acknowledged", "A")
    desk.resolve(alert)
    assert [item.resolved for item in desk.run(300)] == ["A"]


def test_an_alert_that_is_acknowledged_before_anybody_was_told_stays_quiet(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(10)
    desk.acknowledge(alert)
    assert desk.run(7200, 10) == []
    desk.unacknowledge(alert)
    assert [item.firing for item in desk.run(300)] == ["A"]


def test_an_acknowledgement_that_is_taken_back_lets_repeats_go_on(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.acknowledge(alert)
    desk.run(7200, 10)
    desk.unacknowledge(alert)
    assert [(item.kind, item.firing) for item in desk.run(300)] == [("alerts", "A")]
    desk.acknowledge(alert)
    assert [item.kind for item in desk.run(10)] == ["acknowledged"]


def test_a_restart_anywhere_changes_nothing_of_what_is_told(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(PLAIN)
    chance = random.Random(7)
    first = desk.fire("A", service="x")
    said = []
    for second in range(1500):
        if second == 100:
            desk.fire("B", service="x")
        if second == 400:
            desk.resolve(first)
        if chance.random() < 0.2:
            desk.boot()
        said += desk.run()
        desk.now_ms += 1000
    # A start looks at once at what is due, so times may be earlier than the next interval, never later.
    assert [(item.firing, item.resolved) for item in said] == [("A", ""), ("A B", ""), ("B", "A")]
    assert all(item.seconds <= latest for item, latest in zip(said, (30, 330, 630), strict=True))


def test_what_has_resolved_while_nothing_ran_is_told_after_the_start(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.resolve(alert)
    desk.boot()
    assert heard(desk.run(300)) == [(330, "", "A")]


def test_an_alert_that_the_engine_has_not_taken_up_yet_is_not_taken_for_resolved(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.boot()
    waiting = desk.alerts.pop(alert.fingerprint)
    assert desk.run(600) == []
    desk.alerts[alert.fingerprint] = waiting
    assert desk.run(600) == []


def test_a_failure_to_write_loses_nothing_and_repeats_nothing(desk: Desk) -> None:
    desk.fire("A", service="x")
    broken = {"on": True}

    @event.listens_for(desk.database, "commit")
    def refuse(connection: object) -> None:
        if broken["on"]:
            raise OSError("no space left")

    desk.now_ms += 40_000
    with pytest.raises(OSError, match="no space"):
        desk.step()
    broken["on"] = False
    assert [item.firing for item in desk.run(60)] == ["A"]


@pytest.mark.parametrize("step_seconds", [-86_400, -100, 90, 86_400])
def test_a_step_of_the_clock_delays_nothing_and_repeats_at_most_what_is_due(desk: Desk, step_seconds: int) -> None:
    desk.fire("A", service="x")
    desk.run(60)
    desk.now_ms += step_seconds * 1000
    desk.fire("B", service="y")
    desk.fire("C", service="x")
    said = desk.run(330)
    assert sorted(item.firing for item in said if "A" not in item.firing) == ["B"]
    assert [item.firing for item in said if "A" in item.firing] == ["A C"]


def test_a_quiet_tick_neither_reads_nor_writes(desk: Desk) -> None:
    for number in range(50):
        desk.fire(f"A{number}", service=str(number))
    desk.run(60)
    statements: list[str] = []
    event.listen(desk.database, "before_cursor_execute", lambda *found: statements.append(found[2]))
    desk.now_ms += 1000
    assert desk.step() == 0
    assert statements == []


def test_another_file_goes_on_with_the_groups_that_it_still_has(desk: Desk) -> None:
    desk.fire("A", service="x")
    desk.fire("B", service="y")
    desk.run(60)
    desk.dispatcher.replace(parse(PLAIN.replace("group_interval: 5m", "group_interval: 1m")), desk.now_ms)
    assert desk.run(600) == []
    regrouped = parse(PLAIN.replace("[service]", "[alertname]"))
    desk.dispatcher.replace(regrouped, desk.now_ms)
    assert sorted(item.firing for item in desk.run(60)) == ["A", "B"]  # as Alertmanager: other groups, told anew


def test_a_notice_has_a_key_of_its_own_and_alertmanagers_group_key(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(with_routes("  - {match: {severity: critical}}\n"))
    desk.fire("A", service='a"b', severity="critical")
    desk.run(30)
    desk.fire("B", service='a"b', severity="critical")
    desk.run(300)
    with desk.database.connect() as connection:
        keys = connection.exec_driver_sql("SELECT key, group_key FROM outbox").all()
    assert len({key for key, _ in keys}) == 2
    assert {group for _, group in keys} == {'{}/{severity="critical"}:{service="a\\"b"}'}


def test_empty_groups_are_forgotten(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    desk.run(60)
    desk.resolve(alert)
    desk.run(400)
    assert desk.dispatcher.groups() == []
    with desk.database.connect() as connection:
        for table in ("dispatch_groups", "dispatch_log"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0


def test_explain_names_the_route_the_receiver_and_what_keeps_an_alert_back(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(PLAIN + "inhibit_rules: [{source_match: {alertname: Down}, target_match: {alertname: Slow}}]\n")
    down = desk.fire("Down", service="x")
    desk.silenced["Down"] = ["a7"]
    desk.run(30)
    (found,) = desk.dispatcher.explain({"alertname": "Slow", "service": "x"}, desk.now_ms)
    assert (found.route, found.receiver, found.channels) == ("route", "team", ("team.webhook",))
    assert [(reason.kind, reason.names) for reason in found.muted_by] == [("inhibited", ("Down",))]
    (found,) = desk.dispatcher.explain(down.labels, desk.now_ms)
    assert [(reason.kind, reason.names) for reason in found.muted_by] == [("silenced", ("a7",))]
    desk.silenced.clear()
    desk.run(300)
    (found,) = desk.dispatcher.explain(down.labels, desk.now_ms)
    assert found.muted_by == ()
    assert found.told_ms == {"team.webhook": START_MS + 330_000}


def test_two_alerts_with_equal_labels_fire_until_both_have_ended(desk: Desk) -> None:
    alert = desk.fire("A", service="x")
    twin = replace(alert, id=99, source="api")
    desk.dispatcher.step([alert, twin], desk.now_ms)
    desk.now_ms += 30_000
    desk.dispatcher.step([twin], desk.now_ms)
    assert [item.firing for item in desk.said()] == ["A"]


def test_a_flood_of_groups_is_told_over_several_steps_those_that_wait_longest_first(desk: Desk) -> None:
    for number in range(450):
        desk.fire(f"A{number}", service=str(number))
    desk.run()
    desk.now_ms += 1000
    desk.fire("Z", service="0later")
    desk.run()
    desk.now_ms += 30_000
    steps = []
    while desk.step():
        steps.append([said.firing for said in desk.said()])
        desk.now_ms += 1000
    assert [len(step) for step in steps] == [200, 200, 51]
    assert "Z" in steps[-1]
    assert len({name for step in steps for name in step}) == 451
    assert desk.run(60) == []
