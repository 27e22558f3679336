"""Wherever a process dies, nothing is done twice, and nothing stays open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert

from storage.engine import open_database
from storage.tables import AuditRow, RemedyRow, TargetOutageRow
from targets.remedy.log import RemedyLog
from tests.running import ROOT, eventually
from tests.targets.remedy.scene import Scene, restart, target


def test_a_deed_that_was_under_way_is_told_as_cut_short_and_not_done_again(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    scene.fail(3)
    scene.die()
    scene.fail(100)
    scene.finish()
    assert scene.told == [(0, "failed", None)]
    assert scene.rows[0].outcome == "cut short: this program ended meanwhile"
    assert scene.ran == []
    assert scene.gauge("remedy_exhausted") == 1


def test_the_next_process_goes_on_with_the_next_rung(database: Engine) -> None:
    scene = Scene(database, target(restart(), restart(command=["other"], after_fails=3)))
    scene.fail(3)
    scene.die()
    scene.fail(1)
    scene.finish()
    assert scene.ran == [("other",)]


def test_what_was_done_is_judged_by_the_next_process(database: Engine) -> None:
    scene = Scene(database, target(restart(), restart(command=["other"], after_fails=3)))
    scene.fail(3)
    scene.finish()
    scene.die()
    scene.fail(2)
    assert scene.ran == [("restart",)]  # it may help yet
    scene.recover()
    scene.tick(5)
    assert scene.told == [(0, "done", True)]


def test_a_target_that_was_up_in_between_has_its_whole_ladder_again(database: Engine) -> None:
    scene = Scene(database, target(restart()))
    scene.fail(3)
    scene.finish()
    scene.recover()
    scene.die()
    scene.tick(5)
    scene.fail(3)
    scene.finish()
    assert len(scene.ran) == 2


def test_before_it_counts_as_down_a_rung_is_not_taken_twice_either(database: Engine) -> None:
    """A probe that counts to ten before it says down, and a remedy after three."""
    scene = Scene(database, target(restart(), http={"url": "http://127.0.0.1:9/", "interval": 5, "fails": 10}))
    for _ in range(3):
        scene.failures += 1
        scene.tick(5)
    scene.finish()
    scene.die()
    for _ in range(5):
        scene.failures += 1
        scene.tick(5)
    assert len(scene.rows) == 1


def test_a_standby_lasts_through_a_death(database: Engine) -> None:
    scene = Scene(database, target({"standby": "http://127.0.0.1:8189/", "after_fails": 3}))
    scene.fail(3)
    scene.die()
    assert scene.ladder.route("comfyui") == "http://127.0.0.1:8189/"
    scene.fail(2)
    assert scene.told == [(0, "started", None)]
    scene.recover()
    scene.tick(5)
    assert scene.told == [(0, "done", None)]


def test_one_cut_short_stays_tried_for_the_process_after_the_next(database: Engine) -> None:
    rungs = [restart(command=["0"], limit_per_hour=60), restart(command=["1"], limit_per_hour=60, after_fails=3)]
    scene = Scene(database, target(*rungs))
    scene.fail(14)  # the first rung is begun, and does not end
    scene.recover()
    scene.tick(5)
    scene.fail(1)
    scene.die()
    scene.fail(14)
    scene.die()
    scene.fail(1)
    assert [row.rung for row in scene.rows] == [0, 1]


STEPS = st.lists(st.sampled_from(["fail", "fail", "fail", "finish", "die", "recover", "wait"]), max_size=40)


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_no_rung_is_taken_twice_in_an_outage(database: Engine, steps: list[str]) -> None:
    with database.begin() as connection:
        for table in (RemedyRow, AuditRow, TargetOutageRow):
            connection.execute(delete(table))
    rungs = [
        restart(command=["0"], limit_per_hour=60),
        restart(command=["1"], limit_per_hour=60, after_fails=3),
        {"standby": "http://127.0.0.1:1/", "cool_down": 0, "after_fails": 4, "limit_per_hour": 60},
    ]
    scene = Scene(database, target(*rungs))
    outages: list[tuple[int, int | None]] = []
    for step in [*steps, "die", "recover"]:
        if step == "fail":
            if scene.failures == 0:
                outages.append((scene.now_ms, None))
            scene.fail(1)
        elif step == "recover":
            scene.recover()
            scene.tick(5)
            if outages and outages[-1][1] is None:
                outages[-1] = (outages[-1][0], scene.now_ms)
        elif step == "wait":
            scene.fail(13) if scene.failures else scene.tick(61)
        else:
            getattr(scene, step)()
            scene.tick()
    for start_ms, end_ms in outages:
        end_ms = end_ms or scene.now_ms
        rungs_taken = [row.rung for row in scene.rows if start_ms < row.started_ms <= end_ms]
        assert len(rungs_taken) == len(set(rungs_taken)), scene.rows
        assert rungs_taken == sorted(rungs_taken)
    scene.finish()
    scene.tick()
    assert RemedyLog(database).open() == [], "nothing stays open once it is up"


CHILD = """
import sys, time
from pathlib import Path
from storage.engine import open_database
from storage.record import AuditLog
from targets.probe.state import ProbeState
from targets.remedy.ladder import Ladder
from targets.target import Target
from tests.targets.remedy.scene import target
folder = Path(sys.argv[1])
clock = lambda: time.time_ns() // 1_000_000
database = open_database(folder / "wakeless.db")
command = ["sh", "-c", f"echo done >> {folder}/did; sleep 0.3; echo over >> {folder}/did"]
ladder = Ladder(database, clock, audit=AuditLog(database))
ladder.replace([Target(target({"command": command, "cool_down": 0, "help_within": 5}))])
print("running", flush=True)
while True:
    ladder.follow([ProbeState("comfyui", "http", "down", 0, clock(), 0, "", None, {}, failures=9)], (), clock())
    time.sleep(0.005)
"""


def test_killed_again_and_again_it_does_it_at_most_once(tmp_path: Path) -> None:
    """The real thing: SIGKILL before the row, between row and deed, in the deed, and after it."""
    database = open_database(tmp_path / "wakeless.db")
    with database.begin() as connection:
        values = {"target": "comfyui", "probe": "http", "reason": "x", "started_ms": 1, "detected_ms": 1}
        connection.execute(insert(TargetOutageRow).values(values))
    for last in (False, False, False, True):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, env=os.environ
        )
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"running\n"
            eventually(lambda: RemedyLog(database).of("comfyui"), what="a row")
            if last:
                eventually(lambda: not RemedyLog(database).open(), what="the end of what was open")
            child.send_signal(signal.SIGKILL)
            child.wait()
    done = (tmp_path / "did").read_text().split() if (tmp_path / "did").exists() else []
    assert done.count("done") <= 1
    (row,) = RemedyLog(database).of("comfyui")
    assert row.state in ("failed", "done")
    database.dispose()
