"""All worked examples alike: each can be found, started as its README says, and judged by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from tests.alerts.promtool import needs_promtool
from tests.examples import stage
from tests.running import ROOT

NAMES = sorted(file.parent.name for file in stage.EXAMPLES.glob("*/wakeless.yaml"))
#: Those that are about a model; s1 is a rule file of somebody else.
WORKED = [name for name in NAMES if (stage.EXAMPLES / name / "README.md").exists()]


def test_there_are_four() -> None:
    assert WORKED == ["generate", "restore", "similarity", "text"]


@pytest.mark.parametrize("name", WORKED)
def test_its_readme_starts_it_and_the_page_on_serving_lists_it(name: str) -> None:
    text = (stage.EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert f"$ python app.py --config examples/{name}/wakeless.yaml" in text
    assert "## 中文说明" in text
    assert f"(../examples/{name}/README.md)" in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


@needs_promtool
@pytest.mark.parametrize("name", NAMES)
def test_promtool_takes_its_rules(name: str) -> None:
    files = stage.settings_of(name).alerts.rules
    checked = subprocess.run(
        [shutil.which("promtool") or "promtool", "check", "rules", *map(str, files)], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", WORKED)
def test_every_rule_of_its_own_speaks_both_languages_and_says_what_to_do(name: str) -> None:
    document = yaml.safe_load((stage.EXAMPLES / name / "rules.yml").read_text(encoding="utf-8"))
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        told = {"summary", "description", "action", "summary_zh", "description_zh", "action_zh"}
        assert told <= rule["annotations"].keys(), rule["alert"]
