"""What no single request shows: a model that leaks or grows slow is reloaded once, and told whether that helped."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config import ModelSettings
from model.breaker import Breaker
from model.device import DeviceMemory
from model.examiner import Examination
from model.loader import Instance
from model.medic import Medic
from model.remedy import Healer
from tests.model.conftest import Clock

MB = 1_000_000


class Ward:
    """A model of which the test says how it is."""

    def __init__(self, **settings: float) -> None:
        self.clock = Clock()
        self.memory = 1000 * MB
        self.instance: Instance | None = made()
        self.examination: Examination | None = Examination(1, 0.01, True, None, None, golden=True)
        self.examined = 0
        self.reloads: list[str] = []
        self.healer = Healer(self._reload, 600.0, self.clock, lambda: int(self.clock.now * 1000))
        self.medic = Medic(
            ModelSettings.model_validate({"leak_bytes": 100 * MB} | settings),
            self,
            self.healer,
            self.clock,
            lambda: self.memory,
        )
        assert self.instance is not None
        self.medic.installed(self.instance)

    def examine(self) -> None:
        self.examined += 1

    def _reload(self, cause: str) -> bool:
        self.reloads.append(cause)
        return True

    def work(self, minutes: int, *, leak: int = 0, seconds: float = 0.01) -> None:
        """Let batches come, and the medic look every ten seconds."""
        for _ in range(minutes * 6):
            self.clock.now += 10
            self.memory += leak
            for _ in range(16):
                self.medic.batch_done(self.instance, 1, seconds)
            self.medic.look()

    def loaded(self) -> None:
        assert self.instance is not None
        self.medic.installed(self.instance)
        self.medic.reloaded(self.reloads[-1], None)


def made() -> Instance:
    """An instance, as far as the medic looks at it: its name, its version, and that it has a golden input."""
    found: Any = SimpleNamespace(name="m", version="1", golden=((1.0, bool),))
    return cast(Instance, found)


def test_a_leak_has_the_model_reloaded_and_what_came_back_is_told() -> None:
    ward = Ward()
    ward.work(30, leak=4 * MB)
    assert ward.reloads == ["leak"]
    (remedy,) = ward.healer.remedies()
    assert remedy.why.startswith("leak: 1")
    assert "MB more after" in remedy.why
    ward.loaded()
    ward.memory = 1000 * MB
    ward.work(4)
    (remedy,) = ward.healer.remedies()
    assert remedy.helped is True
    assert str(remedy.outcome).endswith("MB came back")


def test_a_leak_that_a_reload_does_not_free_is_told_as_such_and_not_reloaded_for_again() -> None:
    ward = Ward()
    ward.work(30, leak=4 * MB)
    ward.loaded()
    ward.work(600, leak=4 * MB)
    assert ward.reloads == ["leak"]
    (remedy,) = ward.healer.remedies()
    assert (remedy.helped, remedy.state) == (False, "done")


def test_memory_that_stays_where_it_is_alarms_nobody() -> None:
    ward = Ward()
    ward.work(120)
    assert ward.reloads == []


def test_a_model_that_grows_slow_is_reloaded_where_the_settings_say_so() -> None:
    patient, strict = Ward(), Ward(drift_reload_ratio=2.0)
    for ward in (patient, strict):
        ward.work(2, seconds=0.01)
        ward.work(5, seconds=0.05)
    assert (patient.reloads, strict.reloads) == ([], ["drift"])
    assert patient.medic.drift.ratio() == pytest.approx(5.0)
    strict.loaded()
    strict.work(2, seconds=0.01)
    (remedy,) = strict.healer.remedies()
    assert (remedy.helped, remedy.why) == (True, "drift: batches take 5.0 times as long as at best")


def test_a_slow_model_that_a_reload_does_not_make_fast_stays_as_it_is() -> None:
    ward = Ward(drift_reload_ratio=2.0)
    ward.work(2, seconds=0.01)
    ward.work(5, seconds=0.05)
    ward.loaded()
    ward.work(600, seconds=0.05)
    assert ward.reloads == ["drift"]
    assert [one.helped for one in ward.healer.remedies()] == [False]


def shut_for_memory(ward: Ward) -> Breaker:
    assert ward.instance is not None
    for _ in range(5):
        ward.medic.guard.begin(ward.instance)("oom")
    return ward.medic.guard.breaker(ward.instance)


@pytest.mark.parametrize("fits", [True, False])
def test_a_golden_input_says_whether_inputs_are_too_large_or_memory_is_gone(fits: bool) -> None:
    ward = Ward()
    breaker = shut_for_memory(ward)
    assert (breaker.state, ward.examined, ward.reloads) == ("open", 1, [])
    full = DeviceMemory(allocated=8, reserved=8, free=0, total=8)
    ward.medic.look()
    assert (breaker.state, ward.reloads) == ("open", []), "what was found before does not count"
    found = Examination(2, 0.01, True, None, full, golden=True)
    ward.examination = found if fits else replace(found, model_ok=False, reason="golden_failed: out_of_memory")
    ward.medic.look()
    assert breaker.state == ("closed" if fits else "open")
    assert ward.reloads == ([] if fits else ["breaker_open"])
