"""Rule files are read as Prometheus reads them; what is wrong is said in one line with file, group and rule."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.duration import parse_duration
from alerts.rule import Group, Recording, Rule, RuleError, load_rules, load_stock, parse_rules
from tests.alerts.promtool import needs_promtool

EXAMPLE = Path(__file__).parents[2] / "examples" / "s1" / "alert_rules.yml"

GOOD = """
groups:
  - name: first
    interval: 1m30s
    limit: 5
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {site: oslo}
      - alert: Down
        expr: |
          up
          == 0
        for: 5m
        keep_firing_for: 1h
        labels: {severity: critical, number: 1.50}
        annotations: {summary: "{{ $labels.job }} is down"}
  - name: second
"""


def read(text: str) -> list[Group]:
    groups, problems = parse_rules(text, "f.yml")
    assert problems == []
    return groups


def complaints(text: str) -> list[str]:
    return parse_rules(text, "f.yml")[1]


def test_it_reads_groups_alerting_rules_and_recording_rules() -> None:
    first, second = read(GOOD)
    assert (first.name, first.file, first.interval_seconds, first.limit) == ("first", "f.yml", 90.0, 5)
    recording, alerting = first.rules
    assert isinstance(recording, Recording)
    assert (recording.name, recording.expr, recording.labels) == (
        "job:up:sum",
        "sum by (job) (up)",
        {"site": "oslo"},
    )
    assert isinstance(alerting, Rule)
    assert (alerting.name, alerting.for_seconds, alerting.keep_firing_seconds) == ("Down", 300.0, 3600.0)
    assert {name: template.text for name, template in alerting.labels.items()} == {
        "severity": "critical",
        "number": "1.50",  # as written, not as a number
    }
    assert alerting.annotations["summary"].text == "{{ $labels.job }} is down"
    assert (second.name, second.interval_seconds, second.rules) == ("second", None, ())


def test_the_labels_of_a_group_go_to_its_rules_which_may_override_them() -> None:
    text = """
groups:
  - name: g
    labels: {team: ml, level: "1"}
    rules: [{alert: A, expr: a > 0, labels: {level: "3"}}, {record: b, expr: a}]
"""
    alerting, recording = read(text)[0].rules
    assert {name: str(template.text) for name, template in alerting.labels.items()} == {"team": "ml", "level": "3"}  # type: ignore[union-attr]
    assert recording.labels == {"team": "ml", "level": "1"}


@pytest.mark.parametrize("text", ["", "groups:", "groups: []", "# nothing"])
def test_an_empty_file_has_no_rules(text: str) -> None:
    assert read(text) == []


def a_rule(fields: str) -> str:
    return f"groups: [{{name: g, rules: [{{{fields}}}]}}]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: [{name: g}, {name: g}]", ['group "g"', "the same name"]),
        ("groups: [{rules: []}]", ["group 1", "needs a name"]),
        ("rules: []", ["'rules' is not known", "groups"]),
        ("groups: [{name: g, foo: 1}]", ["'foo' is not known", "interval"]),
        ("- a", ["the file must hold"]),
        ("groups: {a: b}", ["'groups' must be a list"]),
        ("groups: [{name: g, interval: often}]", ['group "g"', "'interval'", "'often'"]),
        ("groups: [{name: g, limit: many}]", ["'limit'", "'many'"]),
        ("a: b: c", ["not valid YAML"]),
        ("groups: []\ngroups: []", ["'groups' is given twice"]),
        ("groups: &a [*a]", ["a group must hold names"]),
        ("groups: [&g {name: g, <<: {<<: *g}}]", ["nested too deeply"]),
        ("groups: [{name: g, interval: 300y}]", ["longer than 292 years"]),
        (a_rule("alert: A, expr: a, colour: red"), ['group "g", rule 1', "'colour' is not known"]),
        (a_rule("expr: a"), ["one of 'record' or 'alert'"]),
        (a_rule("alert: A, record: b, expr: a"), ["only one of"]),
        (a_rule("alert: A"), ['rule 1, "A"', "'expr' must be set"]),
        (a_rule("alert: A, expr: 'a =='"), ['rule 1, "A"', "expression"]),
        (a_rule("alert: A, expr: a, for: 90"), ["'for'", "'90'"]),
        (a_rule("alert: A, expr: a, keep_firing_for: 1x"), ["'keep_firing_for'", "'1x'"]),
        (a_rule("record: 'a-b', expr: a"), ["'a-b' is not a metric name"]),
        (a_rule("record: b, expr: a, for: 5m"), ["no 'for'"]),
        (a_rule("record: b, expr: a, annotations: {a: b}"), ["no 'annotations'"]),
        (a_rule("alert: A, expr: a, labels: {9a: b}"), ["'9a'", "'labels'"]),
        (a_rule("alert: A, expr: a, labels: {__name__: b}"), ["'__name__'"]),
        (a_rule("alert: A, expr: a, annotations: {a-b: c}"), ["'a-b'", "'annotations'"]),
        (a_rule("alert: A, expr: a, labels: {a: [b]}"), ["'a' must be text"]),
        (a_rule("alert: A, expr: a, labels: [b]"), ["'labels'"]),
        (a_rule("alert: [A], expr: a"), ["one of 'record' or 'alert'"]),
        (a_rule("alert: A, expr: a, annotations: {summary: '{{ sparkle }}'}"), ["annotation 'summary'", "sparkle"]),
        (a_rule("alert: A, expr: a, labels: {x: '{{ $y }}'}"), ["label 'x'", "$y"]),
    ],
)
def test_it_says_what_is_wrong_and_where_in_one_line(text: str, words: list[str]) -> None:
    first = complaints(text)[0]
    assert first.startswith("f.yml: ")
    assert "\n" not in first
    for word in words:
        assert word in first


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 50_000, "a: " + "[" * 41])
def test_what_is_nested_without_end_is_refused_and_does_not_end_the_process(text: str) -> None:
    (complaint,) = complaints(text)
    assert "nested too deeply" in complaint or "not valid YAML" in complaint


def test_a_small_file_whose_aliases_make_it_huge_is_refused_soon() -> None:
    rules = "&r [" + ", ".join(["{alert: A, expr: up}"] * 1000) + "]"
    groups = ", ".join(["{name: g, rules: *r}"] * 1000)
    (complaint,) = complaints(f"groups: [{{name: first, rules: {rules}}}, {groups}]")[-1:]
    assert "aliases" in complaint


def test_it_tells_everything_that_is_wrong_not_only_the_first() -> None:
    text = a_rule("alert: A, expr: 'a ==', for: x, labels: {9a: b}")
    assert len(complaints(text)) == 3


def test_load_rules_refuses_a_bad_file_whole(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups: [{name: g, rules: [{alert: A, expr: a}, {alert: B}, {alert: C}]}]")
    with pytest.raises(RuleError, match=r'rule 2, "B": .*\(and 1 more\)$'):
        load_rules(file)


def test_load_rules_says_when_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"missing\.yml: cannot be read: No such file"):
        load_rules(tmp_path / "missing.yml")
    (tmp_path / "latin.yml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(RuleError, match="not UTF-8"):
        load_rules(tmp_path / "latin.yml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0s", 0), ("30s", 30), ("1m30s", 90), ("1h", 3600), ("1d", 86400), ("2w", 1209600), ("500ms", 0.5)],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 m", "1s1m", "-5m", "1.5h", "5mm", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_the_first_scenes_file_loads_unchanged() -> None:
    (group,) = load_rules(EXAMPLE)
    assert [rule.name for rule in group.rules] == ["ServiceDown", "GPUMemoryHigh", "HighFailureRate", "HighLatency"]


def test_a_rule_of_the_same_name_replaces_the_stock_one() -> None:
    own = read(a_rule("alert: HighLatencyP99, expr: a > 10"))
    names = {rule.name for group in load_stock(own) for rule in group.rules}
    assert "HighLatencyP99" not in names
    assert names | {"HighLatencyP99"} == {rule.name for group in load_stock() for rule in group.rules}


_SCALARS = st.sampled_from(["a", "up == 0", "5m", "", "{{ $value }}", "1", "{{", "*", "&x"]) | st.text(max_size=8)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["groups", "name", "rules", "alert", "record", "expr", "for", "labels", "limit", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(_TREES | st.dictionaries(st.just("groups"), st.lists(st.dictionaries(st.just("rules"), st.lists(_TREES)))))
def test_it_never_crashes_whatever_the_tree(tree: object) -> None:
    for problem in complaints(yaml.safe_dump(tree)):
        assert "\n" not in problem


@given(st.text())
def test_it_never_crashes_whatever_the_text(text: str) -> None:
    complaints(text)


@needs_promtool
@pytest.mark.parametrize(
    ("text", "good"),
    [
        (GOOD, True),
        ("groups: [{name: g}, {name: g}]", False),
        ("groups: [{name: g, foo: 1}]", False),
        (a_rule("alert: A, expr: a, for: 90"), False),
        (a_rule("alert: A, expr: a, for: 0"), True),
        (a_rule("record: b, expr: a, for: 5m"), False),
        (a_rule("alert: A, expr: a, labels: {__name__: b}"), False),
        (a_rule("alert: A, expr: a, labels: {a: true, b: 1.0}"), True),
        (a_rule("alert: 5, expr: 1"), True),
        (a_rule("alert: A, expr: a, annotations: {summary: '{{ sparkle }}'}"), False),
        (a_rule("alert: A, expr: a, annotations: {summary: '{{ $value | printf `%.2f` }}'}"), True),
        (a_rule("expr: a"), False),
        ("", True),
    ],
)
def test_promtool_gives_the_same_verdict(tmp_path: Path, text: str, good: bool) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(text)
    promtool = shutil.which("promtool")
    assert promtool
    verdict = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert (verdict.returncode == 0) == good, verdict.stderr
    assert (complaints(text) == []) == good
