"""The second rung: one reload, a verdict on it, and never a circle."""

from __future__ import annotations

import pytest

from model.remedy import PATIENCE_SECONDS, Healer
from tests.model.conftest import Clock

WHY = "breaker_open: 62% of 50 requests failed"


class Ward:
    """Says what it was asked to reload."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.willing = True
        self.healer = Healer(self.reload, 600.0, self.clock, lambda: int(self.clock.now * 1000))

    def reload(self, cause: str) -> bool:
        self.asked.append(cause)
        return self.willing

    def treated(self, *, failure: str | None = None) -> Healer:
        assert self.healer.treat("breaker_open", WHY)
        self.clock.now += 4
        self.healer.reloaded("breaker_open", failure)
        return self.healer


@pytest.fixture
def ward() -> Ward:
    return Ward()


def test_a_reload_that_helps_is_recorded_with_why_and_how_long(ward: Ward) -> None:
    ward.treated()
    ward.clock.now += 2
    done = ward.healer.conclude("breaker_open", helped=True, outcome="the breaker closed")
    assert done is not None
    assert (done.cause, done.why, done.action, done.helped) == ("breaker_open", WHY, "reload_model", True)
    assert (done.reload_seconds, done.seconds, done.outcome) == (4, 6, "the breaker closed")
    assert ward.healer.remedies() == [done]
    assert ward.healer.current is None


def test_a_reload_that_fails_is_one_that_did_not_help(ward: Ward) -> None:
    healer = ward.treated(failure="golden_failed: pair 1 of 1")
    (done,) = healer.remedies()
    assert (done.state, done.helped, done.outcome) == ("done", False, "golden_failed: pair 1 of 1")


def test_only_one_remedy_at_a_time_and_none_soon_after_the_last(ward: Ward) -> None:
    assert ward.healer.treat("breaker_open", WHY)
    assert not ward.healer.treat("leak", "leak: 600 MB")
    ward.healer.reloaded("breaker_open", None)
    ward.healer.conclude("breaker_open", helped=True, outcome="closed")
    ward.clock.now += 599
    assert not ward.healer.treat("leak", "leak: 600 MB")
    ward.clock.now += 1
    assert ward.healer.treat("leak", "leak: 600 MB")
    assert ward.asked == ["breaker_open", "leak"]


def test_what_did_not_help_is_not_tried_again_until_it_is_well_or_somebody_reloads(ward: Ward) -> None:
    healer = ward.treated()
    healer.conclude("breaker_open", helped=False, outcome="a probe failed")
    ward.clock.now += 100_000
    assert not healer.treat("breaker_open", WHY)
    healer.conclude("breaker_open", helped=True, outcome="it closed by itself")
    assert healer.treat("breaker_open", WHY)
    healer.reloaded("breaker_open", None)
    healer.conclude("breaker_open", helped=False, outcome="a probe failed")
    ward.clock.now += 600
    healer.reloaded("manual", None)
    assert healer.treat("breaker_open", WHY)


def test_a_reload_that_cannot_begin_is_no_remedy_and_may_come_later(ward: Ward) -> None:
    ward.willing = False
    assert not ward.healer.treat("drift", "drift")
    assert ward.healer.remedies() == []
    ward.willing = True
    assert ward.healer.treat("drift", "drift")


def test_a_sign_of_another_trouble_says_nothing_of_this_one(ward: Ward) -> None:
    healer = ward.treated()
    assert healer.conclude("leak", helped=True, outcome="freed") is None
    assert healer.current is not None
    assert healer.current.state == "watching"


def test_without_any_sign_it_is_left_as_not_known(ward: Ward) -> None:
    healer = ward.treated()
    ward.clock.now += PATIENCE_SECONDS + 1
    healer.look()
    assert [(one.helped, one.state) for one in healer.remedies()] == [(None, "done")]


def test_an_interval_of_nothing_means_never(ward: Ward) -> None:
    healer = Healer(ward.reload, 0.0, ward.clock, lambda: 0)
    assert not healer.treat("breaker_open", WHY)
    assert ward.asked == []


def test_a_remedy_whose_version_is_replaced_is_left_as_not_known(ward: Ward) -> None:
    healer = ward.treated()
    healer.reloaded("version", None)
    assert [(one.helped, one.outcome) for one in healer.remedies()] == [(None, "another version was put in its place")]


def test_a_version_is_taken_back_whatever_was_done_a_moment_ago(ward: Ward) -> None:
    asked: list[str] = []

    def roll_back(why: str) -> bool:
        asked.append(why)
        return len(asked) > 1

    healer = Healer(ward.reload, 600.0, ward.clock, lambda: 7, roll_back)
    assert healer.treat("breaker_open", WHY)
    assert not healer.roll_back("failures"), "a reload is under way"
    healer.reloaded("breaker_open", None)
    assert not healer.roll_back("failures"), "it could not begin"
    assert healer.current is None
    assert healer.roll_back("failures")
    assert asked == ["failures", "failures"]
    healer.reloaded("probation", None)
    done = healer.conclude("probation", helped=True, outcome="version 1 serves")
    assert done is not None
    assert (done.action, done.why, done.cause) == ("rollback", "failures", "probation")
    assert [(one.cause, one.helped) for one in healer.remedies()] == [("probation", True), ("breaker_open", None)]
