"""Relabelling, step by step as Prometheus documents it. The comparison with a real one is in test_prometheus.py."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.sample import make_labels
from config_target import Relabel
from targets.scrape.exposition import ExpositionError
from targets.scrape.labelling import Labelling
from targets.scrape.relabel import RelabelError, Relabelling

LABELS = {"__name__": "m", "a": "foo", "b": "bar", "c": "baz"}


def applied(*steps: dict[str, Any]) -> dict[str, str] | None:
    return Relabelling([Relabel.model_validate(step) for step in steps]).apply(LABELS)


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ({"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-$1"}, {"d": "choo-oo"}),
        ({"source_labels": ["a"], "regex": "(?P<x>.+)", "target_label": "d", "replacement": "$x"}, {"d": "foo"}),
        ({"source_labels": ["a"], "target_label": "d", "replacement": "$$1 $9 ${nobody}"}, {"d": "$1  "}),
        ({"source_labels": ["a"], "target_label": "d", "replacement": "$1x"}, {}),
        ({"source_labels": ["a"], "regex": "nothing", "target_label": "b"}, {}),
        ({"source_labels": ["nobody"], "target_label": "b"}, {"b": None}),
        ({"source_labels": ["a"], "regex": "(o)", "target_label": "d"}, {}),
        ({"source_labels": ["a"], "regex": "(f).*", "target_label": "${1}x"}, {"fx": "f"}),
        ({"source_labels": ["a"], "regex": "(f).*", "target_label": "0${1}"}, {}),
        ({"source_labels": ["a", "b"], "separator": "-", "target_label": "d"}, {"d": "foo-bar"}),
        ({"action": "lowercase", "source_labels": ["A", "a"], "separator": "X", "target_label": "d"}, {"d": "xfoo"}),
        ({"action": "uppercase", "source_labels": ["a"], "target_label": "a"}, {"a": "FOO"}),
        ({"action": "labelmap", "regex": "(a|b)", "replacement": "x_$1"}, {"x_a": "foo", "x_b": "bar"}),
        ({"action": "labeldrop", "regex": "(a|b)"}, {"a": None, "b": None}),
        ({"action": "labelkeep", "regex": "__name__|c"}, {"a": None, "b": None}),
        ({"action": "hashmod", "source_labels": ["c"], "modulus": 1000, "target_label": "d"}, {"d": "976"}),
    ],
)  # fmt: skip
def test_a_step_changes_the_labels(step: dict[str, Any], wanted: dict[str, str | None]) -> None:
    after = {**LABELS, **wanted}
    assert applied(step) == {name: value for name, value in after.items() if value is not None}


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ({"action": "keep", "source_labels": ["a"], "regex": "fo+"}, True),
        ({"action": "keep", "source_labels": ["a"], "regex": "fo"}, False),
        ({"action": "drop", "source_labels": ["a", "b"], "regex": "foo;bar"}, False),
        ({"action": "drop", "source_labels": ["a"], "regex": "o"}, True),
        ({"action": "keepequal", "source_labels": ["a"], "target_label": "a"}, True),
        ({"action": "keepequal", "source_labels": ["a"], "target_label": "b"}, False),
        ({"action": "dropequal", "source_labels": ["a"], "target_label": "a"}, False),
        ({"action": "dropequal", "source_labels": ["a"], "target_label": "b"}, True),
    ],
)
def test_a_step_keeps_a_series_or_drops_it(step: dict[str, Any], kept: bool) -> None:
    assert applied(step) == (LABELS if kept else None)


@pytest.mark.parametrize(
    "step",
    [
        {"source_labels": ["a"]},
        {"action": "hashmod", "source_labels": ["a"], "target_label": "b"},
        {"action": "keep", "regex": "("},
        {"action": "keep", "regex": "(?=x)"},
    ],
)
def test_a_step_that_makes_no_sense_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(RelabelError):
        applied(step)


OWN = {"job": "app", "instance": "h:1"}


def exposed(name: str, **labels: str) -> Any:
    return tuple(sorted({"__name__": name, **labels}.items()))


def test_exposed_labels_make_room_for_those_of_the_target_unless_they_are_honoured() -> None:
    labels = exposed("m", job="theirs", exported_job="older", x="1")
    kept = Labelling(OWN).of(labels)
    assert kept is not None
    assert kept.labels == make_labels(
        job="app", instance="h:1", exported_job="older", exported_exported_job="theirs", x="1"
    )
    honoured = Labelling(OWN, honor=True).of(labels)
    assert honoured is not None
    assert honoured.labels == make_labels(job="theirs", instance="h:1", exported_job="older", x="1")


def test_nothing_is_left_without_an_instance_since_that_is_how_our_own_series_are_told() -> None:
    step = Relabel(action="labeldrop", regex="instance|job")
    kept = Labelling(OWN, [step]).of(exposed("process_start_time_seconds"))
    assert kept is not None
    assert kept.labels == make_labels(instance="h:1")


def test_what_is_written_about_the_scrape_is_not_taken_from_the_target() -> None:
    assert Labelling(OWN, honor=True).of(exposed("up")) is None
    assert Labelling(OWN).of(exposed("up", job="theirs")) is not None


def test_a_series_that_relabelling_leaves_without_a_name_fails_the_scrape() -> None:
    with pytest.raises(ExpositionError, match="name"):
        Labelling(OWN, [Relabel(action="labeldrop", regex="__name__")]).of(exposed("m"))
