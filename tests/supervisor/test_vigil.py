"""When the world hears that the server is down, and that it is back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger import Exit, ExitReason
from supervisor.vigil import STEADY_MS, Vigil, Word

START = 1_000_000_000_000
SECOND, HOUR = 1000, 3_600_000


def an_exit(ended_ms: int, reason: ExitReason = "segfault", **detail: object) -> Exit:
    return Exit(reason, f"it ended by {reason}", ended_ms - 5000, ended_ms, pid=7, detail=dict(detail))


@pytest.fixture
def vigil(tmp_path: Path) -> Vigil:
    made = Vigil(tmp_path, down_seconds=60, started_ms=START)
    made.resume([], booted_ms=0)
    return made


def words(vigil: Vigil, *moments: int) -> list[Word]:
    return [word for moment in moments if (word := vigil.look(START + moment)) is not None]


def be_up(vigil: Vigil, since: int) -> list[Word]:
    """Answer from a moment on, for as long as it takes to count."""
    found = []
    for moment in range(since, since + STEADY_MS + SECOND, SECOND):
        vigil.answered(START + moment)
        found += words(vigil, moment)
    return found


def test_a_restart_of_a_few_seconds_is_nobodys_business(vigil: Vigil) -> None:
    be_up(vigil, 0)
    vigil.died(an_exit(START + 10 * SECOND), START + 10 * SECOND)
    assert words(vigil, 11 * SECOND, 12 * SECOND) == []
    assert be_up(vigil, 13 * SECOND) == []
    assert vigil.downtime is None


def test_longer_than_the_limit_is_told_once_with_the_cause_and_then_that_it_is_over(vigil: Vigil) -> None:
    be_up(vigil, 0)
    vigil.died(an_exit(START + 10 * SECOND, stderr=["CUDA error"]), START + 10 * SECOND)
    (down,) = words(vigil, 69 * SECOND, 70 * SECOND, 71 * SECOND, 200 * SECOND)
    assert (down.kind, down.until_ms - down.downtime.since_ms) == ("down", 60 * SECOND)
    assert (down.downtime.cause, down.downtime.lines) == ("segfault", ["CUDA error"])
    (up,) = be_up(vigil, 7510 * SECOND)
    assert (up.kind, up.until_ms - up.downtime.since_ms) == ("up", 7500 * SECOND)
    assert up.downtime.cause == "segfault"


def test_a_server_that_answers_between_two_crashes_is_one_outage_with_its_first_cause(vigil: Vigil) -> None:
    be_up(vigil, 0)
    for moment in range(10, 70, 10):
        vigil.died(an_exit(START + moment * SECOND, "oom_kill" if moment == 10 else "crash"), START + moment * SECOND)
        vigil.answered(START + (moment + 4) * SECOND)
        assert words(vigil, (moment + 5) * SECOND) == []
    vigil.died(an_exit(START + 70 * SECOND), START + 70 * SECOND)
    (down,) = words(vigil, 71 * SECOND)
    assert (down.downtime.cause, down.downtime.ends) == ("oom_kill", 7)


def test_a_server_that_runs_but_does_not_answer_is_down_since_its_last_answer(vigil: Vigil) -> None:
    be_up(vigil, 0)
    last = STEADY_MS
    vigil.failed(START + 20 * SECOND, "no answer within 10 s")
    vigil.failed(START + 40 * SECOND, "stalled: no progress for 61s")
    assert words(vigil, last + 59 * SECOND) == []
    (down,) = words(vigil, last + 60 * SECOND)
    assert (down.downtime.cause, down.downtime.summary) == ("unresponsive", "stalled: no progress for 61s")
    vigil.died(an_exit(START + 120 * SECOND, "hang"), START + 120 * SECOND)
    (up,) = be_up(vigil, 125 * SECOND)
    assert up.downtime.cause == "hang"
    assert up.until_ms - up.downtime.since_ms == 125 * SECOND - last


def test_a_restart_that_was_asked_for_and_takes_too_long_is_told_as_well(vigil: Vigil) -> None:
    be_up(vigil, 0)
    vigil.died(an_exit(START + 10 * SECOND, "restart"), START + 10 * SECOND)
    (down,) = words(vigil, 70 * SECOND)
    assert down.downtime.cause == "restart"
    (up,) = be_up(vigil, 80 * SECOND)
    assert up.kind == "up"


def test_a_server_that_never_answers_is_told_after_the_start(vigil: Vigil) -> None:
    vigil.failed(START + 10 * SECOND, "no answer within 10 s")
    (down,) = words(vigil, 59 * SECOND, 60 * SECOND)
    assert down.downtime.since_ms == START


def test_an_outage_that_was_told_is_over_only_when_a_later_supervisor_says_so(tmp_path: Path, vigil: Vigil) -> None:
    be_up(vigil, 0)
    vigil.died(an_exit(START + 10 * SECOND), START + 10 * SECOND)
    assert len(words(vigil, 70 * SECOND)) == 1
    later = Vigil(tmp_path, down_seconds=60, started_ms=START + 2 * HOUR)
    later.resume([an_exit(START + 10 * SECOND)], booted_ms=0)
    assert words(later, 2 * HOUR + SECOND) == []
    (up,) = be_up(later, 2 * HOUR + 4 * SECOND)
    assert (up.downtime.cause, up.until_ms - up.downtime.since_ms) == ("segfault", 2 * HOUR - 6 * SECOND)
    assert not (tmp_path / "outage.json").exists()


@pytest.mark.parametrize(("booted", "cause"), [(START + HOUR, "power"), (0, "killed")])
def test_the_sudden_end_of_everything_is_told_with_its_whole_duration(
    tmp_path: Path, vigil: Vigil, booted: int, cause: str
) -> None:
    be_up(vigil, 0)
    started = START + 2 * HOUR + 5 * 60 * SECOND
    later = Vigil(tmp_path, down_seconds=60, started_ms=started)
    later.resume([], booted_ms=booted)
    assert later.look(started + SECOND) is None
    (up,) = be_up(later, 2 * HOUR + 5 * 60 * SECOND + 4 * SECOND)
    assert up.downtime.cause == cause
    assert abs(up.until_ms - up.downtime.since_ms - (2 * HOUR + 5 * 60 * SECOND)) <= 10 * SECOND


def test_after_an_orderly_stop_nothing_is_told(tmp_path: Path, vigil: Vigil) -> None:
    be_up(vigil, 0)
    later = Vigil(tmp_path, down_seconds=60, started_ms=START + 2 * HOUR)
    later.resume([an_exit(START + 20 * SECOND, "stop")], booted_ms=0)
    assert later.downtime is None
    assert be_up(later, 2 * HOUR + SECOND) == []


def test_a_clock_that_was_wrong_makes_no_outage_of_negative_length(tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    os.utime(tmp_path / "alive", (START / 1000 + 7200, START / 1000 + 7200))
    vigil = Vigil(tmp_path, down_seconds=60, started_ms=START)
    vigil.resume([], booted_ms=0)
    assert vigil.down_ms(START) == 0
    assert be_up(vigil, 3 * SECOND) == []


def test_a_record_that_makes_no_sense_is_no_outage(tmp_path: Path) -> None:
    (tmp_path / "outage.json").write_text('{"since_ms": 5, "colour": "red"}')
    vigil = Vigil(tmp_path, down_seconds=60, started_ms=START)
    vigil.resume([], booted_ms=0)
    assert vigil.downtime is None
