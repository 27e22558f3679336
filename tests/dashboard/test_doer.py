"""What an alert can have done: the model loaded anew, the last good version put back, a new process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alerts.outage.action import ACTIONS, ActionRefused
from dashboard.doer import Doers
from dashboard.i18n import say_reason
from model.release import NoSwitch
from model.remedy import Remedy
from model.status import ModelStatus
from model.switch import Overview, Switch
from tests.dashboard.house import House


class Host:
    """A model whose loads end when the clock has been looked at often enough."""

    def __init__(self, status: ModelStatus) -> None:
        self.now = status
        self.later = status
        self.can_load = True
        self.known: list[Remedy] = []
        self.overview = Overview("2", "1", (), None, None)
        self.asked: list[tuple[str, bool]] = []
        self.switch_ends: dict[str, Any] = {"state": "done"}
        self.no_switch: NoSwitch | None = None

    def reload(self, reason: str) -> bool:
        self.asked.append((reason, False))
        if self.can_load:
            self.now = replace(self.now, state="reloading")
        return self.can_load

    def status(self) -> ModelStatus:
        return self.now

    def remedies(self) -> list[Remedy]:
        return self.known

    def versions(self) -> Overview:
        return self.overview

    def switch(self, version: str, *, force: bool = False) -> Switch:
        if self.no_switch:
            raise self.no_switch
        self.asked.append((version, force))
        return Switch(version, "2", force, 1)

    def switched(self, wait_seconds: float) -> Switch | None:
        return Switch("1", "2", True, 1, **self.switch_ends)


class Clock:
    """Seconds pass only while somebody sleeps; after three of them the load has ended."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.seconds >= 3:
            self.host.now = self.host.later


@pytest.fixture
def host(house: House) -> Host:
    return Host(replace(house.services.model.status(), state="ready", reason=None))


def doers_of(host: Host, load_seconds: float = 60.0) -> Doers:
    clock = Clock(host)
    return Doers(host, lambda actor, why: None, load_seconds, clock, clock.sleep)


def outcome(work: Any) -> str:
    """What came of it, in both languages: whatever it is, somebody reads it."""
    try:
        found = work("the alert Leak asked for it")
    except ActionRefused as refusal:
        found = f"{refusal}"
    assert say_reason(found, "zh") != found
    return str(found)


def test_a_reload_is_over_when_the_model_serves_again(host: Host) -> None:
    assert outcome(doers_of(host).reload_model) == "the model was loaded anew in 3.0 s"
    assert host.asked == [("alert", False)]


def test_a_reload_that_fails_says_of_what(host: Host) -> None:
    host.later = replace(host.now, reason="reload_failed: no weights")
    with pytest.raises(ActionRefused, match="reload_failed: no weights"):
        doers_of(host).reload_model("why")
    host.later = replace(host.now, state="failed", reason="load_failed: no weights")
    assert outcome(doers_of(host).reload_model) == "the model did not load: load_failed: no weights"
    host.can_load = False
    assert outcome(doers_of(host).reload_model).startswith("the model could not be loaded anew")
    host.can_load = True
    assert "when the wait was over" in outcome(doers_of(host, load_seconds=1).reload_model)


def test_a_rollback_puts_the_last_good_version_back(host: Host) -> None:
    assert outcome(doers_of(host).rollback) == "version 1 serves instead of 2"
    assert host.asked == [("1", True)]
    host.switch_ends = {"state": "failed", "reason": "load_failed: no weights"}
    assert outcome(doers_of(host).rollback).startswith("version 1 was not put into service")
    host.switch_ends = {"state": "loading"}
    assert "when the wait was over" in outcome(doers_of(host).rollback)
    host.no_switch = NoSwitch("The model is being loaded already.")
    with pytest.raises(ActionRefused, match="being loaded already"):
        doers_of(host).rollback("why")
    host.overview = Overview("2", None, (), None, None)
    assert outcome(doers_of(host).rollback) == "no other version has proved itself here"


def test_a_restart_is_told_by_the_next_process(host: Host, house: House) -> None:
    asked: list[tuple[str, str]] = []
    doers = Doers(host, lambda actor, why: asked.append((actor, why)), 1.0)
    doers.restart_process("the alert Leak asked for it")
    assert asked == [("wakeless", "the alert Leak asked for it")]
    alone = Doers(host, house.services.restart_process, 1.0)
    assert "no supervisor" in outcome(alone.restart_process)
    assert {*doers.by_name(), "none"} == set(ACTIONS)


def test_nothing_is_begun_while_the_model_is_on_its_way_or_treats_itself(host: Host) -> None:
    doers = doers_of(host)
    assert doers.busy() is None
    remedy = Remedy(1, "leak", "leak: 900 MB more", 1, state="watching")
    host.known = [remedy]
    assert doers.busy() == "the model's own remedy is under way"
    host.known = [replace(remedy, state="done")]
    assert doers.busy() is None
    host.now = replace(host.now, state="reloading")
    assert doers.busy() == "the model is reloading"
