"""What is wrong with patterns is told with the setting's name, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from config_target import TargetSettings
from targets.logfile.check import problems


def target(pattern: dict[str, Any] | None = None, **log: Any) -> TargetSettings:
    patterns = [] if pattern is None else [pattern]
    return TargetSettings.model_validate({"name": "x", "log": {"path": "/x.log", "patterns": patterns, **log}})


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"regex": "a("}, "missing )"),
        ({"regex": "(?=a)b"}, "is not valid"),
        ({"regex": "((a{100}){100}){100}"}, "is not valid"),
        ({"regex": "\\pL{900}"}, "it is too large"),
        ({"regex": "x*"}, "matches every line"),
        ({"match": "  "}, "more than blanks"),
        ({"match": "a", "unless": "("}, "is not valid"),
        ({"regex": "a", "metric": {"name": "m", "value": "v"}}, "no such group"),
        ({"regex": "(?P<v>a)", "metric": {"name": "m", "labels": {"k": "w"}}}, "it has v"),
        ({"regex": "(?P<v>a)", "metric": {"name": "m", "labels": {"target": "v"}}}, "is taken"),
        ({"regex": "a", "metric": {"name": "log_up"}}, "one of our own"),
        ({"regex": "a", "metric": {"name": "m", "type": "gauge"}}, "metric.value is needed"),
        ({"regex": "(?P<v>a)", "metric": {"name": "m", "value": "v", "buckets": [1]}}, "for a histogram"),
    ],
)
def test_a_pattern_that_cannot_be_is_told(pattern: dict[str, Any], said: str) -> None:
    (problem,) = problems([target(pattern)])
    assert problem.startswith("targets.x.log.patterns.0: ")
    assert said in problem
    assert len(problem) < 400


def test_multiline_and_names_are_looked_at_too() -> None:
    assert "targets.x.log.multiline: " in problems([target(multiline="[")])[0]
    twice = TargetSettings.model_validate(
        {"name": "x", "log": {"path": "/x.log", "patterns": [{"match": "a"}, {"match": "a", "level": 3}]}}
    )
    assert "two are called 'a'" in problems([twice])[0]


def test_what_is_well_has_no_problems() -> None:
    good = {"regex": "took (?P<s>[\\d.]+) (\\w+)", "metric": {"name": "m", "value": "s", "labels": {"k": "2"}}}
    assert problems([target(good, profile="comfyui", multiline="^\\[")]) == []
    assert problems([target({"match": "Out of memory", "level": 3}, profile="comfyui")]) == []
