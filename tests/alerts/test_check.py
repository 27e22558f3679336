"""``check-rules`` tells errors, and warns of what is nearly always a slip; it keeps quiet about what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.check import Problem, check_rules
from alerts.rule import STOCK_FILE
from collectors.catalogue import METRICS


def check(tmp_path: Path, rules: str, known: tuple[str, ...] = ()) -> list[Problem]:
    file = tmp_path / "rules.yml"
    file.write_text(f"groups: [{{name: g, rules: [{rules}]}}]")
    return check_rules(file, known)


def alert(expr: str, more: str = "for: 5m, annotations: {summary: s}") -> str:
    return f"{{alert: A, expr: '{expr}', {more}}}"


def test_a_bad_file_gives_its_errors(tmp_path: Path) -> None:
    problems = check(tmp_path, "{alert: A}, {expr: up}")
    assert [problem.level for problem in problems] == ["error", "error"]
    assert str(problems[0]).startswith("error: ")
    assert 'group "g", rule 1, "A"' in str(problems[0])


@pytest.mark.parametrize(
    "expr",
    [
        'rate(a{status="failed"}[5m]) / rate(a[5m]) > 0.1',
        'a{status="failed"} / a > 0.1',
        'a{status=~"5.."} / ignoring (code) a > 0.1',
        'sum by (status) (a{status="failed"}) / sum by (status) (a) > 0.1',
        '100 * (a{status="failed"} / on (status) a) > 10',
    ],
)
def test_a_thing_divided_by_itself_is_doubted(tmp_path: Path, expr: str) -> None:
    (problem,) = check(tmp_path, alert(expr))
    assert "by itself" in problem.message
    assert problem.level == "warning"


@pytest.mark.parametrize(
    "expr",
    [
        'sum(rate(a{status="failed"}[5m])) / sum(rate(a[5m])) > 0.1',
        'sum by (job) (a{status="failed"}) / sum by (job) (a) > 0.1',
        'sum without (status) (a{status="failed"}) / sum without (status) (a) > 0.1',
        'a{status="failed"} / ignoring (status) group_left sum without (status) (a) > 0.1',
        'a{status="failed"} / on (job) b > 0.1',
        'a{job="x"} / b > 0.1',
        'a{status="failed"} / a{status="ok"} > 0.1',
        "a / 1024 > 1",
        "gpu_memory_used_bytes / gpu_memory_total_bytes > 0.9",
    ],
)
def test_a_sound_division_is_not(tmp_path: Path, expr: str) -> None:
    assert check(tmp_path, alert(expr)) == []


def test_a_metric_that_nothing_writes_is_named(tmp_path: Path) -> None:
    rules = "{record: 'job:x', expr: up}, " + alert("job:x > 1 and lat_bucket > 1 and upp > 1 and ALERTS > 0")
    messages = [problem.message for problem in check(tmp_path, rules, ("up", "lat"))]
    assert messages == ["nothing here writes the metric upp"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (alert("a > 1", "for: 1m"), "summary"),
        (alert("rate(a[5m]) > 1", "annotations: {summary: s}"), "no 'for'"),
        (alert("histogram_quantile(0.9, a_bucket) > 1", "annotations: {summary: s}"), "no 'for'"),
        (alert("sum(a)"), "compares nothing"),
        (alert("a > bool 1"), "compares nothing"),
        (alert("a > 1", "annotations: {summary: '{{ .Foo }}'}"), "annotation 'summary': template: '.Foo' is not known"),
        (alert("a > 1", "labels: {x: '{{ humanize }}'}, annotations: {summary: s}"), "label 'x': template: function"),
    ],
)
def test_it_doubts(tmp_path: Path, rule: str, words: str) -> None:
    (problem,) = check(tmp_path, rule)
    assert words in problem.message


@pytest.mark.parametrize("expr", ["absent(up)", "a > 1 or b", "increase(a[5m]) > 0", "a unless b == 1"])
def test_it_does_not_doubt(tmp_path: Path, expr: str) -> None:
    assert check(tmp_path, alert(expr)) == []


def test_two_rules_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    (problem,) = check(tmp_path, alert("a > 1") + ", " + alert("a > 2"))
    assert "told apart" in problem.message


def test_the_stock_rules_have_no_problem_and_use_metrics_of_the_catalogue_only() -> None:
    assert check_rules(STOCK_FILE, METRICS) == []
