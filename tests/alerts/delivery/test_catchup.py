"""Many notices told in one."""

from __future__ import annotations

from datetime import UTC
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery.catchup import MAX_FACTS, Digest
from alerts.delivery.message import Action, Message
from tests.alerts.delivery.box import fact, message
from tests.alerts.world import START_MS


def digest(*messages: Message, late: bool = True, language: Literal["en", "zh"] = "en") -> Message:
    taken = Digest()
    for one in messages:
        taken.add(one)
    return taken.message("box", START_MS, START_MS + 600_000, late=late, language=language, zone=UTC)


def test_it_tells_of_each_alert_what_was_last_said() -> None:
    told = digest(
        message(fact(1, rule="Over"), fact(2, rule="Still")),
        message(fact(1, rule="Over", firing=False)),
        message(fact(3, rule="New")),
    )
    assert [one.rule for one in told.firing] == ["Still", "New"]
    assert [one.rule for one in told.resolved] == ["Over"]
    assert (told.kind, told.stands_for, told.time_ms) == ("summary", 3, START_MS + 600_000)


def test_urgent_alerts_that_still_fire_come_first() -> None:
    told = digest(
        message(fact(1, rule="Note", level=1)),
        message(fact(2, rule="Gone", level=3)),
        message(fact(2, rule="Gone", level=3, firing=False)),
        message(fact(3, rule="Look", level=2)),
        message(fact(4, rule="Wake", level=3)),
    )
    assert [one.rule for one in told.alerts] == ["Wake", "Look", "Note", "Gone"]
    assert told.level == 3


def test_an_alert_that_fired_anew_does_not_fire_twice_also_when_summaries_are_merged() -> None:
    again = fact(1, fingerprint="same"), fact(5, fingerprint="same")
    told = digest(message(again[0]), message(again[1]))
    assert [one.id for one in told.firing] == [5]
    first_over = digest(message(fact(1, fingerprint="same", firing=False)), message(again[1]))
    merged = digest(first_over, message(fact(9)))
    assert [one.id for one in merged.firing] == [5, 9]
    assert [one.id for one in merged.resolved] == [1]
    assert merged.stands_for == 3


def test_it_says_how_many_it_stands_for_and_since_when_in_the_readers_language() -> None:
    assert digest(message(fact(1)), message(fact(2))).note == (
        "2 notices could not be sent since 2023-11-14 22:13:20 +0000; this one stands for all of them."
    )
    assert digest(message(fact(1)), late=False, language="zh").note == "1 条通知超出此渠道的发送频率，合并为此条。"


def test_of_very_many_it_names_the_most_urgent_and_says_how_many_more_there_are() -> None:
    told = digest(*(message(fact(number, rule=f"R{number}", level=1)) for number in range(1, MAX_FACTS + 8)))
    assert len(told.alerts) == MAX_FACTS
    assert told.note.endswith("7 more alerts are firing.")


def test_what_its_notices_have_in_common_stays_with_it() -> None:
    told = digest(
        message(fact(1), labels={"team": "a", "job": "x"}, receiver="ops"),
        message(fact(2), labels={"team": "a", "job": "y"}, receiver="ops"),
    )
    assert (told.labels, told.receiver) == ({"team": "a"}, "ops")
    assert digest(message(fact(1), receiver="a"), message(fact(2), receiver="b")).receiver == "box"


def test_what_was_done_is_not_forgotten() -> None:
    done = Action("reload_model", "done", START_MS, helped=True)
    told = digest(message(fact(1, actions=(done,))), message(fact(1, firing=False)))
    assert told.alerts[0].actions == (done,)


@given(st.lists(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4), min_size=1, max_size=20))
def test_merging_step_by_step_says_the_same_as_merging_at_once(told: list[list[tuple[int, bool]]]) -> None:
    notices = [message(*(fact(number, firing=firing) for number, firing in dict(one).items())) for one in told]
    at_once = digest(*notices)
    by_steps = digest(notices[0])
    for one in notices[1:]:
        by_steps = digest(by_steps, one)
    assert {(one.id, one.firing) for one in by_steps.alerts} == {(one.id, one.firing) for one in at_once.alerts}
    assert by_steps.stands_for == at_once.stands_for
