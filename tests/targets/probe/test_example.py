"""What the documentation shows is what the settings take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rule import parse_rules
from config_target import TargetSettings

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("targets.md", "targets.zh-CN.md")
_PROBES = ("http", "tcp", "dns", "ping", "process", "systemd", "docker", "push")


def _examples(page: str) -> list[Any]:
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.S)
    lines = re.findall(rf"`((?:{'|'.join(_PROBES)}): \{{[^`]*\}})`", text)
    return [yaml.safe_load(block) for block in (*blocks, *lines)]


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_target_is_one(page: str) -> None:
    seen: set[str] = set()
    for example in _examples(page):
        if "groups" in example:
            continue
        definitions = example.get("targets") or [{"name": "example", **example}]
        for definition in definitions:
            settings = TargetSettings.model_validate(definition)
            seen |= {probe for probe in _PROBES if getattr(settings, probe) is not None}
    assert seen == set(_PROBES)


@pytest.mark.parametrize("page", PAGES)
def test_the_rule_is_one(page: str) -> None:
    (rules,) = [example for example in _examples(page) if "groups" in example]
    groups, _ = parse_rules(yaml.safe_dump(rules), "own.yml")
    assert [rule.name for group in groups for rule in group.rules] == ["ShopDown"]
