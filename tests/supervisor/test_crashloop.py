"""How long the supervisor waits, and when it gives up on the model."""

from __future__ import annotations

from config import SupervisorSettings
from ledger import Exit, ExitReason
from supervisor.crashloop import CrashLoop, backoff_seconds

SETTINGS = SupervisorSettings(crash_loop_count=3, crash_loop_seconds=100)


def an_exit(reason: ExitReason = "segfault", ended_ms: int = 0) -> Exit:
    return Exit(reason, "it ended", started_ms=0, ended_ms=ended_ms, pid=7)


def test_the_first_crash_is_answered_at_once_and_the_pause_then_doubles_up_to_its_limit() -> None:
    settings = SupervisorSettings()
    waits = [backoff_seconds(crashes, settings) for crashes in range(10)]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_so_many_crashes_within_the_window_mean_safe_mode() -> None:
    loop = CrashLoop(SETTINGS)
    modes = []
    for moment in (0, 10, 20):
        loop.note(an_exit(), moment)
        modes.append(loop.mode())
    assert modes == ["normal", "normal", "safe"]


def test_safe_mode_begins_without_a_pause_but_one_that_crashes_as_well_has_to_wait() -> None:
    loop = CrashLoop(SETTINGS)
    assert [loop.note(an_exit(), moment) for moment in (0, 10, 20, 30)] == [0, 1, 0, 4]


def test_a_model_that_never_answered_is_given_up_sooner() -> None:
    loop = CrashLoop(SupervisorSettings())
    modes = []
    for moment in (0, 20, 41):
        loop.note(an_exit(), moment, answered=False)
        modes.append(loop.mode())
    assert modes == ["normal", "normal", "safe"]


def test_crashes_that_are_far_apart_are_no_loop() -> None:
    loop = CrashLoop(SETTINGS)
    for moment in (0, 60, 120, 180):
        loop.note(an_exit(), moment)
    assert loop.mode() == "normal"


def test_a_restart_that_a_person_asked_for_gives_the_model_its_full_chance_again() -> None:
    loop = CrashLoop(SETTINGS)
    for moment in (0, 10, 20):
        loop.note(an_exit(), moment)
    assert loop.note(an_exit("restart"), 30) == 0
    assert loop.mode() == "normal"


def test_a_new_supervisor_goes_on_counting_where_a_killed_one_stopped() -> None:
    loop = CrashLoop(SETTINGS)
    ends = [an_exit(ended_ms=1_000), an_exit("stop", 940_000), an_exit(ended_ms=950_000), an_exit(ended_ms=960_000)]
    loop.remember(ends, now_ms=1_000_000, now=50.0)
    assert loop.mode() == "normal"
    loop.note(an_exit(), 51.0)
    assert loop.mode() == "safe"


def test_an_orderly_stop_of_the_service_starts_the_count_anew() -> None:
    loop = CrashLoop(SETTINGS)
    ends = [*(an_exit(ended_ms=moment) for moment in (990_000, 991_000, 992_000)), an_exit("stop", 993_000)]
    loop.remember(ends, now_ms=1_000_000, now=5.0)
    assert loop.mode() == "normal"


def test_a_clock_that_was_set_back_makes_no_crash_count_twice() -> None:
    loop = CrashLoop(SETTINGS)
    loop.remember([an_exit(ended_ms=2_000_000)] * 5, now_ms=1_000_000, now=5.0)
    assert loop.mode() == "normal"
