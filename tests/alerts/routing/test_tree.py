"""An alert takes the routes that Alertmanager has it take."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from alerts.routing.tree import labels_text
from bench.notice_plan import make_plan, routing_text
from tests.alerts.amtool import needs_amtool
from tests.alerts.routing.desk import parse

TREE = """
route:
  receiver: root
  routes:
    - {receiver: a, matchers: ['team="web"', severity!="info"], continue: true}
    - {receiver: b, match_re: {team: "web|api", zone: ".+"}, routes: [{receiver: c, match: {severity: critical}}]}
    - {receiver: d, matchers: ['team!~"db|gpu"', 'zone=""']}
    - match: {team: ""}
      continue: true
      routes:
        - {receiver: a, matchers: ["severity=~critical|warning"], continue: true}
        - {receiver: b, match: {severity: warning}}
    - {matchers: ["severity=critical"], receiver: c}
receivers: [{name: root}, {name: a}, {name: b}, {name: c}, {name: d}]
"""
VALUES = {
    "team": ("web", "api", "db", "gpu", ""),
    "severity": ("critical", "warning", "info", ""),
    "zone": ("", "eu-1", "e"),
}


def _labels(chance: random.Random) -> dict[str, str]:
    return {name: value for name, values in VALUES.items() if (value := chance.choice(values))}


def _judge(file: Path, labels: dict[str, str]) -> list[str]:
    """The receivers that amtool names for a label set."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = ["amtool", "config", "routes", "test", f"--config.file={file}", *pairs]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")


@needs_amtool
@pytest.mark.parametrize("seed", range(25))
def test_the_receivers_are_those_that_amtool_names(seed: int, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(TREE)
    labels = _labels(random.Random(seed))
    assert [route.receiver for route in parse(TREE).root.find(labels)] == _judge(file, labels)


@needs_amtool
def test_so_are_those_of_the_comparison(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(routing_text(300, 9))
    root = parse(file.read_text()).root
    for labels in make_plan(60, 20).labels:
        assert [route.receiver for route in root.find(labels)] == _judge(file, dict(labels))


def test_a_group_has_the_labels_that_its_route_groups_by() -> None:
    route = "{receiver: a, group_by: [x, z], routes: [{match: {y: '1'}, group_by: ['...']}]}"
    root = parse(f"route: {route}\nreceivers: [{{name: a}}]\n").root
    assert root.group_labels({"x": "1", "q": "2"}) == {"x": "1"}
    (below,) = root.routes
    assert below.group_labels({"y": "1", "q": "2"}) == {"q": "2", "y": "1"}


def test_label_sets_are_written_as_go_quotes_them() -> None:
    assert labels_text({"b": 'say "x"\\', "a": "1\n2"}) == '{a="1\\n2", b="say \\"x\\"\\\\"}'
