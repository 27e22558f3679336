"""When a rung is taken, and when it is left alone."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from storage.record import AuditLog
from targets.target import Target
from tests.targets.remedy.scene import HOUR, T0, Scene, restart, target


def test_a_rung_is_taken_at_its_number_of_failures_and_not_before(database: Engine) -> None:
    scene = Scene(database, target(restart(after_fails=3)))
    scene.fail(2)
    assert scene.told == []
    scene.fail(1)
    row = scene.rows[0]
    assert (row.state, row.why, row.started_ms) == ("started", "http has failed 3 times in a row", scene.now_ms)
    scene.fail(5)
    assert len(scene.rows) == 1
    scene.finish()
    assert scene.ran == [("restart",)]
    assert scene.rows[0].outcome == "exit status 0: said this"


def test_it_has_helped_if_the_target_is_up_in_time(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    scene.fail(3)
    scene.finish()
    scene.recover()
    scene.tick(10)
    assert scene.told == [(0, "done", True)]
    assert scene.gauge("remedy_exhausted") == 0


def test_the_next_rung_waits_until_the_one_before_has_not_helped(database: Engine) -> None:
    scene = Scene(database, target(restart(command=["first"]), restart(command=["second"], after_fails=3)))
    scene.fail(3)
    scene.finish()
    scene.fail(11)
    assert scene.ran == [("first",)]
    scene.fail(1)
    scene.finish()
    assert scene.ran == [("first",), ("second",)]
    assert scene.told == [(0, "done", False), (1, "done", None)]


def test_after_the_whole_ladder_it_stops_until_the_target_was_up(database: Engine) -> None:
    scene = Scene(database, target(restart(limit_per_hour=60)))
    scene.fail(3)
    scene.finish()
    scene.fail(200)
    assert scene.told == [(0, "done", False)]
    assert scene.gauge("remedy_exhausted") == 1
    scene.recover()
    scene.tick(5)
    assert scene.gauge("remedy_exhausted") == 0
    scene.fail(3)
    scene.finish()
    assert len(scene.ran) == 2


def test_a_person_may_have_it_tried_again(database: Engine) -> None:
    scene = Scene(database, target(restart(limit_per_hour=60)))
    scene.fail(3)
    scene.finish()
    scene.fail(20)
    scene.ladder.try_again("comfyui")
    scene.fail(1)
    scene.finish()
    assert len(scene.ran) == 2


def test_what_fails_is_told_and_the_next_rung_need_not_wait_for_its_help(database: Engine) -> None:
    scene = Scene(database, target(restart(), restart(command=["other"], after_fails=3)))
    scene.status = 3
    scene.fail(3)
    scene.finish()
    assert scene.rows[0].outcome == "exit status 3: said this"
    scene.fail(1)
    scene.finish()
    assert scene.ran == [("restart",), ("other",)]


def test_it_rests_between_two_rungs(database: Engine) -> None:
    scene = Scene(database, target(restart(cool_down=300), restart(command=["other"], after_fails=3)))
    scene.status = 1
    scene.fail(3)
    scene.finish()
    scene.fail(59)
    assert len(scene.rows) == 1
    assert scene.gauge("remedy_exhausted") == 0
    scene.fail(1)
    assert len(scene.rows) == 2


def test_what_its_limit_forbids_is_told_once_and_done_when_the_hour_is_over(database: Engine) -> None:
    scene = Scene(database, target(restart(limit_per_hour=2)))
    for _ in range(3):
        scene.fail(3)
        scene.finish()
        scene.recover()
        scene.tick(5)
    assert scene.told == [(0, "done", True), (0, "done", True), (0, "skipped", None)]
    assert scene.rows[2].outcome == "no more than 2 in an hour"
    scene.fail(100)
    assert len(scene.rows) == 4  # of another episode, told again
    assert scene.gauge("remedy_exhausted") == 1
    scene.fail(int(HOUR / 1000 / 5))
    scene.finish()
    assert len(scene.ran) == 3


def test_a_spent_limit_lets_the_next_rung_have_its_turn(database: Engine) -> None:
    scene = Scene(database, target(restart(limit_per_hour=1), restart(command=["other"], after_fails=3)))
    scene.fail(3)
    scene.finish()
    scene.recover()
    scene.tick(5)
    scene.fail(3)
    scene.finish()
    assert scene.ran == [("restart",), ("other",)]


def test_a_dry_run_only_notes(database: Engine) -> None:
    scene = Scene(database, target(restart(dry_run=True), restart(dry_run=True, command=["a", "b"], after_fails=3)))
    scene.fail(30)
    scene.finish()
    assert scene.ran == []
    assert scene.told == [(0, "dry_run", None), (1, "dry_run", None)]
    assert scene.rows[1].outcome == "would have: a b"
    assert scene.gauge("remedy_exhausted") == 0  # nothing was tried


def test_a_limit_of_none_switches_a_rung_off(database: Engine) -> None:
    scene = Scene(database, target(restart(limit_per_hour=0)))
    scene.fail(30)
    assert scene.told == [(0, "skipped", None)]
    assert scene.gauge("remedy_exhausted") == 0


def test_a_raised_pattern_is_a_condition_of_its_own(database: Engine) -> None:
    log = {"path": "/x.log", "patterns": [{"match": "Out of memory", "quiet": 600}]}
    scene = Scene(database, target(restart(pattern="Out of memory"), log=log))
    scene.fail(10)
    assert scene.told == []  # failing is not what this rung is for
    scene.recover()
    scene.patterns.add("Out of memory")
    scene.tick(1)
    scene.finish()
    assert scene.rows[0].why == "its log has raised Out of memory"
    scene.tick(600)  # raised until it has been quiet for ten minutes: too early for a verdict
    assert scene.told == [(0, "done", None)]
    scene.patterns.clear()
    scene.tick(5)
    assert scene.told == [(0, "done", True)]


def test_a_rung_for_a_pattern_that_is_not_raised_is_passed_over(database: Engine) -> None:
    scene = Scene(database, target(restart(pattern="Out of memory"), restart(command=["other"], after_fails=3)))
    scene.fail(3)
    scene.finish()
    assert scene.ran == [("other",)]


def test_under_maintenance_nothing_is_begun(database: Engine) -> None:
    asked: list[dict[str, str]] = []
    windows = ["the weekly one"]

    def muted(labels: dict[str, str], now_ms: int) -> list[str]:
        asked.append(dict(labels))
        return windows

    scene = Scene(database, target(restart()), muted=muted)
    scene.fail(10)
    assert scene.told == []
    assert asked[0] == {"alertname": "TargetDown", "target": "comfyui", "probe": "http"}
    windows.clear()
    scene.fail(1)
    assert len(scene.rows) == 1


def test_in_safe_mode_only_a_person_goes_on(database: Engine) -> None:
    scene = Scene(database, target(restart()), forbidden="safe mode: only a person goes on from here")
    scene.fail(100)
    assert scene.told == [(0, "skipped", None)]
    assert scene.rows[0].outcome == "safe mode: only a person goes on from here"
    assert scene.gauge("remedy_exhausted") == 0


def test_who_did_what_is_in_the_audit(database: Engine) -> None:
    scene = Scene(database, target(restart(command=["tool", "--password=hunter2"])))
    scene.fail(3)
    (entry,) = AuditLog(database).between(T0, scene.now_ms)
    assert (entry.actor, entry.action, entry.target) == ("wakeless", "target.remedy", "target:comfyui")
    assert entry.detail["why"] == "http has failed 3 times in a row"
    assert "hunter2" not in str(entry.detail)


def test_what_breaks_in_a_deed_is_its_outcome(database: Engine) -> None:
    def broken(*_: object) -> object:
        raise KeyError("inside")

    scene = Scene(database, target(restart()), run=broken)
    scene.fail(3)
    scene.finish()
    assert scene.rows[0].state == "failed"
    assert scene.rows[0].outcome == "KeyError: 'inside'"


def test_secrets_in_an_outcome_are_masked(database: Engine) -> None:
    scene = Scene(database, target(restart()), mask=lambda text: text.replace("said", "[secret]"))
    scene.fail(3)
    scene.finish()
    assert scene.rows[0].outcome == "exit status 0: [secret] this"


def test_the_runs_are_counted_from_nought(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    assert [sample.value for sample in scene.ladder.samples(T0) if sample.name == "remedy_runs_total"] == [0, 0]
    scene.fail(3)
    scene.finish()
    assert scene.gauge("remedy_runs_total") == 1


def test_a_target_that_nobody_watches_is_not_remedied(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    scene.ladder.replace([])
    scene.fail(10)
    assert scene.told == []
    assert scene.ladder.samples(scene.now_ms) == []


def test_a_pause_does_not_have_it_done_twice(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    scene.fail(3)
    here = scene.ladder
    here.replace([])
    scene.fail(1)
    here.replace([Target(scene.settings)])
    scene.fail(20)
    scene.finish()
    scene.fail(20)
    assert len(scene.ran) == 1


@pytest.mark.parametrize("state", ["unknown"])
def test_what_nobody_knows_is_no_reason(database: Engine, state: str) -> None:
    scene = Scene(database, target(restart()))
    scene.state = "unknown"
    scene.tick(100)
    assert scene.told == []


def test_a_clock_that_is_set_back_does_not_hold_it_up_for_ever(database: Engine) -> None:
    scene = Scene(database, target(restart(cool_down=600), restart(command=["other"], after_fails=3)))
    scene.status = 1
    scene.fail(3)
    scene.finish()
    scene.tick(-24 * 3600)
    scene.tick(5)
    assert len(scene.rows) == 2
