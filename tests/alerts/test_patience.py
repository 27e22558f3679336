"""Wakeless' own annotations are read with the file, and refused with their name."""

from __future__ import annotations

import json

import pytest

from alerts.patience import Patience
from alerts.rule import Rule, parse_rules


def read(annotations: dict[str, str]) -> tuple[Patience | None, list[str]]:
    rule = {"alert": "Hot", "expr": "t > 85", "annotations": annotations}
    groups, problems = parse_rules(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}), "f.yml")
    found = groups[0].rules[0] if groups and groups[0].rules else None
    return (found.patience if isinstance(found, Rule) else None), problems


def test_without_annotations_a_rule_is_as_in_prometheus() -> None:
    assert read({"summary": "hot"}) == (Patience(None, 1, "resolve"), [])


def test_all_three_are_read() -> None:
    patience, problems = read({"wakeless_hold": "t > 80", "wakeless_in_a_row": "3", "wakeless_no_data": "keep"})
    assert not problems
    assert patience is not None
    assert patience.hold is not None
    assert (patience.hold.text, patience.in_a_row, patience.no_data) == ("t > 80", 3, "keep")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("wakeless_hold", "t >", "expression"),
        ("wakeless_hold", "", "expression"),
        ("wakeless_hold", "t > {{ $value }}", "expression"),
        ("wakeless_in_a_row", "0", "whole number from 1 to 1000"),
        ("wakeless_in_a_row", "-1", "whole number"),
        ("wakeless_in_a_row", "three", "whole number"),
        ("wakeless_in_a_row", "\u0663", "whole number"),
        ("wakeless_in_a_row", "9" * 400, "whole number"),
        ("wakeless_no_data", "Keep", "one of resolve, keep, alert"),
        ("wakeless_no_date", "keep", "not known"),
    ],
)
def test_a_bad_value_is_an_error_of_the_file(name: str, value: str, says: str) -> None:
    patience, problems = read({name: value})
    assert patience is None
    (problem,) = problems
    assert says in problem
    assert name in problem
