"""Our dispatcher and Debian's Alertmanager tell the same of the same alerts, by the same routing file."""

from __future__ import annotations

import os
import shutil

import pytest

from bench.alertmanager import BINARY, ask_alertmanager, ask_ours
from bench.notice_compare import FOLLOWS, UNSEEN, Notice, compare, most_late_ms
from bench.notice_plan import make_plan

needs_alertmanager = pytest.mark.skipif(
    shutil.which(BINARY) is None and os.environ.get("CI") != "true",
    reason="Alertmanager is not installed (Debian's package prometheus-alertmanager has it)",
)


def _notice(at_ms: float, firing: str, resolved: str = "") -> Notice:
    return Notice("team", "{}", at_ms, frozenset(firing), frozenset(resolved))


@needs_alertmanager
def test_both_send_the_same_notices_but_for_the_difference_that_is_meant() -> None:
    plan = make_plan(48, alerts=60, seed=11)
    for minute_ms in (250, 800):
        theirs, lead_ms = ask_alertmanager(plan, minute_ms)
        agreed, differences = compare(ask_ours(plan, minute_ms, lead_ms), theirs, minute_ms)
        if {found.reason for found in differences} <= {UNSEEN, FOLLOWS}:
            break
        # A busy machine makes Alertmanager's timers slip past changes of the alerts: then it is given more time.
        assert most_late_ms(agreed) >= 0.3 * minute_ms, "\n".join(map(str, differences))
    else:
        pytest.skip("this machine is too busy for Alertmanager to keep its times")
    assert len(agreed) >= 30
    assert len(agreed) >= 9 * len(differences)


def test_notices_that_say_the_same_at_the_same_time_agree() -> None:
    agreed, differences = compare(
        [_notice(100, "a"), _notice(500, "", "a")], [_notice(110, "a"), _notice(490, "", "a")], 50
    )
    assert (len(agreed), differences) == (2, [])


def test_what_only_one_of_them_says_or_says_of_others_is_a_difference() -> None:
    _, differences = compare([_notice(100, "a")], [_notice(110, "ab"), _notice(500, "c")], 50)
    assert [found.reason for found in differences] == ["not known", "not known"]
    assert [found.theirs is not None for found in differences] == [True, True]


def test_what_fires_anew_after_an_end_that_nobody_saw_is_the_difference_that_is_meant() -> None:
    ours = [_notice(100, "a"), _notice(500, "a"), _notice(900, "a")]
    _, differences = compare(ours, [_notice(100, "a"), _notice(910, "b")], 50)
    assert [found.reason for found in differences] == [UNSEEN, FOLLOWS]
