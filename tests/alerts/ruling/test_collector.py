"""A file of rules or routing with a mistake shows as a metric."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine as Database

from alerts.routing.source import RoutingSource
from alerts.ruling.collector import RuleCollector
from alerts.ruling.rulebook import Rulebook
from alerts.ruling.source import RuleSource


def test_it_tells_which_files_are_refused_by_name_alone(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text("groups: []")
    source = RuleSource([file], Rulebook(database))
    source.load(0)
    collector = RuleCollector(source)

    def figures() -> dict[str, float]:
        return {dict(sample.labels)["file"]: sample.value for sample in collector.collect()}

    assert figures() == {"stock.yml": 0.0, "own.yml": 0.0, "page": 0.0}
    file.write_text("groups: [{}]")
    source.reload(1)
    assert figures() == {"stock.yml": 0.0, "own.yml": 1.0, "page": 0.0}


def test_a_routing_file_with_a_mistake_is_told_of_as_well(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "routing.yml"
    file.write_text("route: {receiver: page}\nreceivers: [{name: page}]\n")
    routing = RoutingSource(file, lambda: ())
    routing.load()
    collector = RuleCollector(RuleSource([], Rulebook(database), stock=False), routing)
    file.write_text("route: {receiver: nobody}\nreceivers: [{name: page}]\n")
    refused = []
    for _ in range(2):
        refused.append({dict(sample.labels)["file"]: sample.value for sample in collector.collect()}["routing.yml"])
        routing.reload()
    assert refused == [0.0, 1.0]
