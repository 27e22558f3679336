"""The closed loop: what an alert asks for is done once, and it is told whether it helped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine as Database

from alerts.outage.action import HOUR_MS, LABEL, LEAVING_MS, MOST_AT_ONCE, ActionRefused, Actions
from storage.record import AuditLog
from tests.alerts.outage.scene import MINUTE, SECOND, T0, Scene

HELP_SECONDS = 300


class Loop:
    """A process that acts: its doers note what they were asked, and work when the test says so."""

    def __init__(self, scene: Scene, **options: Any) -> None:
        self.scene = scene
        self.done: list[tuple[str, str]] = []
        self.threads: list[Callable[[], None]] = []
        self.changed: list[int] = []
        self.now = 0
        self.muted: list[str] = []
        self.busy: str | None = None
        self.answer: str | Exception | None = "loaded in 2 s"
        self.audit = AuditLog(scene.database)
        self.options = {"limit_per_hour": 2, "help_seconds": HELP_SECONDS} | options
        self.actions = self.start()

    def start(self) -> Actions:
        names = ("reload_model", "restart_process", "rollback")
        return Actions(
            self.scene.database,
            {name: partial(self.work, name) for name in names},
            muted=lambda labels, now_ms: self.muted,
            busy=lambda: self.busy,
            audit=self.audit,
            on_change=self.changed.append,
            clock=lambda: T0 + self.now,
            spawn=self.threads.append,
            **self.options,
        )

    def work(self, name: str, why: str) -> str | None:
        self.done.append((name, why))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def fire(self, action: str, rule: str = "Leak") -> int:
        return self.scene.fire(rule, self.now, labels={LABEL: action})

    def tick(self, seconds: int = 1, *, run: bool = True) -> None:
        self.now += seconds * SECOND
        alive = [replace(alert, seen_ms=T0 + self.now) for alert in self.scene.alerts.values()]
        self.actions.follow(alive, T0 + self.now)
        while run and self.threads:
            self.threads.pop()()

    def restart(self) -> None:
        self.threads.clear()
        self.actions = self.start()

    def rows(self) -> list[tuple[str, str, str, bool | None]]:
        return [(row.action, row.state, row.outcome, row.helped) for row in reversed(self.actions.log.recent(100))]


@pytest.fixture
def loop(scene: Scene) -> Loop:
    made = Loop(scene)
    made.tick()
    return made


def test_it_is_done_once_and_has_helped_if_the_alert_ends_in_time(loop: Loop) -> None:
    alert = loop.fire("reload_model")
    loop.tick()
    assert loop.done == [("reload_model", "the alert Leak asked for it")]
    assert loop.rows() == [("reload_model", "started", "", None)]
    loop.tick()
    assert loop.rows() == [("reload_model", "done", "loaded in 2 s", None)]
    assert loop.changed == [alert]
    loop.scene.change(alert, state="resolved", resolved_ms=T0 + loop.now, ended_by="recovered")
    loop.tick(10)
    assert loop.rows() == [("reload_model", "done", "loaded in 2 s", True)]
    assert loop.changed == [alert, alert]
    loop.tick(HELP_SECONDS)
    assert len(loop.done) == 1
    (told,) = loop.actions.of(alert)
    assert (told.action, told.state, told.outcome, told.helped) == ("reload_model", "done", "loaded in 2 s", True)
    (entry,) = loop.audit.between(T0, T0 + loop.now)
    assert (entry.actor, entry.action, entry.target) == ("wakeless", "alert.action", f"alert:{alert}")


def test_an_alert_that_goes_on_was_not_helped(loop: Loop) -> None:
    loop.fire("reload_model")
    loop.tick()
    loop.tick()
    loop.tick(HELP_SECONDS - 2)
    assert loop.rows()[0][3] is None
    loop.tick(10)
    assert loop.rows()[0][3] is False
    loop.tick(HELP_SECONDS)
    assert len(loop.done) == 1


def test_whether_it_helped_is_not_known_where_the_rule_is_gone(loop: Loop) -> None:
    alert = loop.fire("reload_model")
    loop.tick()
    loop.tick()
    loop.scene.change(alert, state="resolved", resolved_ms=T0 + loop.now, ended_by="rule_removed")
    loop.tick(HELP_SECONDS * 2)
    assert loop.rows()[0][3] is None


def test_nothing_is_done_about_what_somebody_has_taken_on_or_muted_or_while_something_goes_on(loop: Loop) -> None:
    alert = loop.fire("reload_model")
    loop.scene.acknowledge(alert, loop.now)
    loop.tick()
    loop.scene.change(alert, state="firing", ack_by=None, ack_reason=None, ack_ms=None)
    loop.muted = ["a silence"]
    loop.tick()
    loop.muted, loop.busy = [], "the model is being loaded"
    loop.tick()
    assert loop.rows() == []
    loop.busy = None
    loop.tick()
    assert len(loop.done) == 1


def test_one_at_a_time_and_so_many_in_an_hour(loop: Loop) -> None:
    for rule in ("A", "B", "C"):
        loop.fire("reload_model", rule)
    loop.tick(run=False)
    loop.tick(run=False)
    assert [state for _, state, *_ in loop.rows()] == ["started"]
    for _ in range(3):
        loop.tick()
    assert loop.rows()[-1] == ("reload_model", "skipped", "no more than 2 in an hour", None)
    assert len(loop.done) == 2
    loop.tick(HOUR_MS // SECOND + 1)
    assert len(loop.done) == 2  # what was skipped stays so
    loop.fire("rollback", "D")
    loop.tick()
    assert loop.done[-1][0] == "rollback"


@pytest.mark.parametrize(
    ("action", "options", "outcome"),
    [
        ("reboot", {}, "unknown action: reboot"),
        ("reload_model", {"forbidden": "safe mode: a person decides"}, "safe mode: a person decides"),
        ("reload_model", {"limit_per_hour": 0}, "switched off by alerts.action_limit_per_hour"),
    ],
)
def test_what_cannot_be_is_skipped_and_says_why(
    scene: Scene, action: str, options: dict[str, Any], outcome: str
) -> None:
    loop = Loop(scene, **options)
    loop.tick()
    loop.fire(action)
    loop.tick()
    loop.tick()
    assert loop.rows() == [(action, "skipped", outcome, None)]
    assert loop.done == []


def test_none_asks_for_nothing_and_another_servers_alert_gets_nothing(loop: Loop) -> None:
    loop.fire("none")
    other = loop.fire("restart_process")
    loop.scene.change(other, source="api")
    loop.tick()
    assert [(state, outcome) for _, state, outcome, _ in loop.rows()] == [
        ("skipped", "another server's alert says nothing about this process")
    ]


def test_a_flood_of_another_servers_alerts_delays_no_remedy_and_no_tick(loop: Loop) -> None:
    flood = [loop.fire("restart_process", f"Foreign{number}") for number in range(MOST_AT_ONCE + 9)]
    for each in flood:
        loop.scene.change(each, source="api")
    loop.fire("reload_model")
    loop.tick()
    assert [name for name, _ in loop.done] == ["reload_model"]
    assert len(loop.rows()) == MOST_AT_ONCE
    loop.tick()
    assert len(loop.rows()) == len(flood) + 1
    assert len(loop.done) == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ActionRefused("There is no version to go back to."), "There is no version to go back to."),
        (OSError("no such share"), "OSError: no such share"),
    ],
)
def test_one_that_fails_says_of_what(loop: Loop, error: Exception, outcome: str) -> None:
    loop.answer = error
    alert = loop.fire("rollback")
    loop.tick()
    loop.tick()
    assert loop.rows() == [("rollback", "failed", outcome, None)]
    assert loop.changed == [alert]


def test_after_a_restart_the_next_process_tells_the_rest_of_the_story(loop: Loop) -> None:
    loop.answer = None
    alert = loop.fire("restart_process")
    loop.tick()
    loop.tick()
    assert loop.rows() == [("restart_process", "started", "", None)]
    loop.restart()
    loop.tick(5)
    assert loop.rows() == [("restart_process", "done", "a new process has started", None)]
    loop.restart()  # and once more, by chance
    loop.tick(5)
    loop.scene.change(alert, state="resolved", resolved_ms=T0 + loop.now, ended_by="recovered")
    loop.tick()
    assert loop.rows() == [("restart_process", "done", "a new process has started", True)]
    assert len(loop.done) == 1


def test_what_a_dying_process_cut_short_has_failed(loop: Loop) -> None:
    loop.fire("reload_model")
    loop.tick(run=False)
    loop.restart()
    loop.tick()
    loop.tick()
    assert loop.rows() == [("reload_model", "failed", "the process ended meanwhile", None)]
    assert loop.done == []


def test_a_restart_that_never_comes_has_failed(loop: Loop) -> None:
    loop.answer = None
    loop.fire("restart_process")
    loop.tick()
    loop.tick()
    loop.tick(LEAVING_MS // SECOND + 1)
    assert loop.rows() == [("restart_process", "failed", "the process did not end", None)]


def test_an_alert_from_before_the_start_waits_until_it_is_seen_again(scene: Scene, database: Database) -> None:
    scene.fire("Leak", -MINUTE, labels={LABEL: "reload_model"})
    loop = Loop(scene)
    loop.actions.follow(list(scene.alerts.values()), T0)
    assert loop.rows() == []
    loop.tick()
    assert len(loop.done) == 1
