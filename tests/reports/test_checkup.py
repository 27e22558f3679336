from __future__ import annotations

import threading

from structlog.testing import capture_logs

from reports import checkup
from reports.checkup import Change, Failure, Level, Sign, Step
from reports.common import Comparison, Trait


def say(time_ms: int) -> str:
    return f"at {time_ms}"


def test_it_is_alive_when_every_sign_says_so() -> None:
    assert checkup.alive([Sign("live", True), Sign("push", None)]).verdict == "ok"
    found = checkup.alive([Sign("live", True), Sign("http", False, "timeout"), Sign("tcp", False)])
    assert (found.verdict, found.answer) == ("bad", "Not well: http, tcp.")
    assert [(fact.name, fact.value) for fact in found.facts] == [
        ("http", "timeout"),
        ("tcp", "not well"),
        ("live", "well"),
    ]
    assert checkup.alive([]).verdict == checkup.alive([Sign("push", None)]).verdict == "unknown"


def test_what_is_beyond_its_bound_is_short_and_comes_first() -> None:
    levels = [Level("CPU", 0.5, "ratio", 0.9), Level("Disk", 0.95, "ratio", 0.85), Level("Swap", 7.0, "bytes")]
    found = checkup.resources(levels)
    assert (found.verdict, found.answer) == ("bad", "At its limit: Disk.")
    assert [fact.name for fact in found.facts] == ["Disk", "CPU", "Swap"]
    assert checkup.resources(levels[:1]).verdict == "ok"
    assert checkup.resources([]).verdict == "unknown"


def test_changes_that_nobody_asked_for_are_not_well() -> None:
    wanted, crash = (
        Change(1, "Model reload asked for (ann)"),
        Change(2, "process: segfault", planned=False, link="/incidents/1"),
    )
    found = checkup.changes([wanted, crash], say)
    assert (found.verdict, found.answer) == ("bad", "Nobody asked for this: process: segfault.")
    assert [(fact.name, fact.link) for fact in found.facts] == [("at 2", "/incidents/1"), ("at 1", None)]
    assert checkup.changes([wanted], say).answer == "One change in the hour before: Model reload asked for (ann)."
    assert checkup.changes([wanted, wanted], say).answer.startswith("2 changes in the hour before, the last one: ")
    assert checkup.changes([], say).verdict == "ok"


def test_what_was_tried_and_failed_is_not_well() -> None:
    tried = Change(2, "remedy failed: Call a URL", failed=True)
    found = checkup.changes([Change(1, "remedy done: Call a URL"), tried, Change(3, "Model reload asked for")], say)
    assert (found.verdict, found.answer) == ("bad", "Look at this first: remedy failed: Call a URL.")


def test_facts_of_a_moment_have_it_as_a_number_for_clocks_elsewhere() -> None:
    for found in (checkup.changes([Change(7, "x")], say), checkup.first_error([Failure(7, "x")], say)):
        assert [(fact["name"], fact["time_ms"]) for fact in found.as_dict()["facts"]] == [("at 7", 7)]


def test_the_first_error_is_told_with_its_lines() -> None:
    found = checkup.first_error([Failure(9, "later"), Failure(5, "CUDA out of memory", ("a", "b"))], say)
    assert (found.verdict, found.answer, found.lines) == ("bad", "The first error: CUDA out of memory", ("a", "b"))
    assert [(fact.name, fact.value) for fact in found.facts] == [("at 5", "the one above"), ("at 9", "later")]
    assert checkup.first_error([], say).verdict == "ok"


def test_an_error_that_comes_again_is_told_once() -> None:
    found = checkup.first_error([Failure(9, "x"), Failure(5, "x", ("a",)), Failure(7, "y"), Failure(8, "y")], say)
    assert [(fact.name, fact.value) for fact in found.facts] == [("at 5", "the one above"), ("at 7", "y")]


def test_what_failing_inputs_share_is_told_if_it_means_something() -> None:
    trait = Trait("format", "WEBP", 0.9, 0.1, 9.0, significant=True, p=1e-9)
    found = checkup.inputs(Comparison(50, 100, [trait]), 5)
    assert (found.verdict, found.answer) == ("bad", "90% of failing inputs have format WEBP, of good ones 10%.")
    assert checkup.inputs(Comparison(50, 100, []), 5).verdict == "ok"
    assert checkup.inputs(Comparison(2, 100, []), 5).verdict == "unknown"
    assert checkup.inputs(Comparison(0, 0, []), 5).answer == "No input has failed."


def test_a_step_that_fails_or_hangs_leaves_the_others_alone() -> None:
    hanging = threading.Event()

    def hang() -> Step:
        hanging.wait(30)
        return Step("resources", "ok", "")

    def fail() -> Step:
        raise RuntimeError("no such table")

    with capture_logs() as logs:
        found = checkup.run({"alive": lambda: Step("alive", "ok", "Yes."), "resources": hang, "changes": fail}, 0.3)
    hanging.set()
    assert [(one.key, one.verdict) for one in found] == [
        ("alive", "ok"),
        ("resources", "unknown"),
        ("changes", "unknown"),
    ]
    assert {one["event"] for one in logs} == {"checkup_step_late", "checkup_step_failed"}


def test_a_step_becomes_what_the_page_reads() -> None:
    step = Step("resources", "ok", "Nothing is short.", (checkup.Fact("CPU", 0.5, "ratio"), checkup.Fact("GPU", None)))
    assert step.as_dict() == {
        "key": "resources",
        "question": "Has it enough of everything?",
        "verdict": "ok",
        "answer": "Nothing is short.",
        "facts": [{"name": "CPU", "value": 0.5, "unit": "ratio"}, {"name": "GPU", "value": None}],
    }
