"""What is wrong with targets is told before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from config_target import TargetSettings
from targets.check import problems

HTTP = {"url": "http://localhost/"}


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"http": HTTP | {"json": {"path": "$.["}}}, "targets.one.http.json: the condition cannot be understood"),
        ({"process": {"command": "("}}, "targets.one.process.command: not an RE2 expression"),
        ({"scrape": HTTP | {"relabel": [{"regex": "("}]}}, "targets.one.scrape.0.relabel: relabelling by replace"),
        ({"scrape": HTTP, "remedies": [{"command": ["true"]}]}, "targets.one.remedies.0.after_fails: it has no probe"),
        ({"http": HTTP, "remedies": [{"command": ["true"], "pattern": "x"}]}, "targets.one.remedies.0.pattern: it has"),
        ({"log": {"path": "x.log", "patterns": [{"regex": "("}]}}, "targets.one.log.patterns.0"),
    ],
)
def test_a_target_that_cannot_be_watched_is_named_with_its_setting(definition: dict[str, Any], said: str) -> None:
    (found,) = problems([TargetSettings.model_validate({"name": "one"} | definition)])
    assert found.startswith(said)


def test_nothing_is_said_of_targets_that_are_well() -> None:
    well = {"name": "one", "http": HTTP | {"json": {"path": "$.a"}}, "remedies": [{"command": ["true"]}]}
    assert problems([TargetSettings.model_validate(well)]) == []
