"""An alert storm, a service that fails half of the time, and a process that is killed at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.storm import Outcome, rage


def check(outcome: Outcome) -> None:
    assert outcome.lost == []
    assert outcome.twice == []
    assert outcome.unexplained == []
    assert outcome.is_good, outcome


@pytest.mark.parametrize("catch_up_seconds", [0.0, 300.0])
def test_whenever_it_is_killed_every_alert_is_told_and_none_twice(tmp_path: Path, catch_up_seconds: float) -> None:
    check(rage(tmp_path, kills=6, alerts=8, catch_up_seconds=catch_up_seconds))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_after_two_hundred_kills_every_alert_has_been_told_and_none_twice(tmp_path: Path) -> None:
    check(rage(tmp_path, kills=200, seed=2))
