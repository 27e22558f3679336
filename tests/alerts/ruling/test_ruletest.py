"""Rule tests run here and in promtool with the same verdict."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from alerts.ruling.ruletest import run_tests as run
from alerts.ruling.testfile import BadTests
from command import main
from tests.alerts.promtool import needs_promtool

FOLDER = Path(__file__).with_name("unittests")
EXAMPLE = Path(__file__).parents[3] / "examples" / "rules" / "stock_test.yml"
RULES = (FOLDER / "rules.yml").read_text()

HEAD = "rule_files: [rules.yml]\n"
UP = (
    "tests: [{interval: 1m, input_series: [{series: up, values: %s}],"
    " promql_expr_test: [{expr: %s, eval_time: %s, exp_samples: [%s]}]}]"
)


def values(notation: str, eval_time: str, *expected: str) -> str:
    samples = ", ".join(f"{{labels: up, value: {value}}}" for value in expected)
    return UP % (f"'{notation}'", "up", eval_time, samples)


def alerts(eval_time: str, *expected: str, more: str = "") -> str:
    series = "{series: 'up{job=\"a\",instance=\"b\"}', values: '1 0x10'}"
    case = f"{{eval_time: {eval_time}, alertname: InstanceDown, exp_alerts: [{', '.join(expected)}]}}"
    return f"{HEAD}{more}tests: [{{interval: 1m, input_series: [{series}], alert_rule_test: [{case}]}}]"


DOWN = (
    "{exp_labels: {job: a, instance: b, severity: page}, exp_annotations: {where: ' ', summary: 'b of a is down (0)'}}"
)

#: Whole test files; ours and promtool's verdicts must be the same, whatever they are.
CASES = {
    "empty": "",
    "null": "~",
    "no tests": "tests:",
    "a list": "[]",
    "unknown field": "colour: red",
    "unknown field of a test": "tests: [{interval: 1m, colour: red}]",
    "unknown field of a case": "tests: [{promql_expr_test: [{expr: '1', colour: red}]}]",
    "bad interval": "evaluation_interval: 5",
    "bad eval_time": values("1", "5x", "1"),
    "group order twice": "group_eval_order: [a, a]",
    "bad rules": "rule_files: [bad.yml]\ntests: [{interval: 1m}]",
    "no such rules": "rule_files: [none.yml]\ntests: [{interval: 1m}]",
    "no alertname": HEAD + "tests: [{alert_rule_test: [{eval_time: 1m}]}]",
    "no such alert": HEAD + "tests: [{alert_rule_test: [{eval_time: 1m, alertname: None}]}]",
    "pending": alerts("5m"),
    "pending, expected to fire": alerts("5m", DOWN),
    "firing": alerts("6m", DOWN),
    "firing, not expected": alerts("6m"),
    "firing, twice expected": alerts("6m", DOWN, DOWN),
    "other label": alerts("6m", DOWN.replace("page", "none")),
    "other annotation": alerts("6m", DOWN.replace("(0)", "(1)")),
    "lacking annotation": alerts("6m", DOWN.replace("where: ' ', ", "")),
    "null annotation": alerts("6m", DOWN.replace("' '", "~")),
    "between evaluations": alerts("6m59s", DOWN),
    "coarse evaluation": alerts("6m", DOWN, more="evaluation_interval: 4m\n"),
    "fine evaluation": alerts("6m", DOWN, more="evaluation_interval: 7s\n"),
    "alertname of its own": alerts("6m", DOWN.replace("{job", "{alertname: X, job")),
    "value": values("1", "0", "1"),
    "wrong value": values("1", "0", "2"),
    "no value": values("_", "0"),
    "repeated": values("3x2", "2m", "3"),
    "ended": values("3x2", "8m"),
    "still seen": values("3x2", "6m", "3"),
    "rising": values("1+2x3", "3m", "7"),
    "falling": values("1-2x3", "3m", "-5"),
    "negative": values("-1-1x3", "3m", "-4"),
    "zero times": values("5x0 6", "1m", "6"),
    "blanks": values("1 _x2 2", "3m", "2"),
    "blank times zero": values("1 _x0 2", "1m", "2"),
    "stale": values("1 stale", "1m"),
    "not yet stale": values("1 stale", "59s", "1"),
    "not a number": values("NaN", "0", ".nan"),
    "infinite": values("Inf", "0", ".inf"),
    "negative infinity": values("-inf", "0", "-.inf"),
    "exponent": values("1e3", "0", "1000"),
    "fractions": values("0.1+0.1x5", "5m", "0.6"),
    "fractions as they are added": values("0.1+0.1x5", "5m", "0.6" if sum([0.1] * 6) == 0.6 else repr(sum([0.1] * 6))),
    "no values": values("", "0"),
    "odd value": values("1,2", "0", "1"),
    "hexadecimal": values("0x10", "10m", "0"),
    "spaces in a slope": values("1 + 2x3", "0", "1"),
    "slope without times": values("1+2", "0", "1"),
    "times without a number": values("1x", "0", "1"),
    "word": values("fresh", "0", "1"),
    "series twice": "tests: [{interval: 1m, input_series: [{series: up, values: '1'}, {series: 'up{}', values: '2'}]}]",
    "odd series": "tests: [{interval: 1m, input_series: [{series: 'up{a=1}', values: '1'}]}]",
    "odd name": "tests: [{interval: 1m, input_series: [{series: 'a-b', values: '1'}]}]",
    "trailing comma": UP % ("'1'", "up", "0", "{labels: 'up{}', value: 1}"),
    "scalar": UP % ("'1'", "1 + 1", "0", "{labels: '{}', value: 2}"),
    "scalar without labels": UP % ("'1'", "time()", "90s", "{value: 90}"),
    "text": UP % ("'1'", "'\"x\"'", "0", ""),
    "bad query": UP % ("'1'", "'up =='", "0", ""),
    "range": UP % ("'1'", "'up[5m]'", "0", ""),
    "bad expected labels": UP % ("'1'", "up", "0", "{labels: 'up{', value: 1}"),
    "expected label": UP % ("'1'", 'label_replace(up, "a", "b", "", "")', "0", "{labels: 'up{a=\"b\"}', value: 1}"),
    "value as text": UP % ("'1'", "up", "0", "{labels: up, value: one}"),
    "order does not matter": UP
    % (
        "'1'",
        '\'label_replace(up, "a", "b", "", "") or up\'',
        "0",
        "{labels: up, value: 1}, {labels: 'up{a=\"b\"}', value: 1}",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "bad.yml").write_text("groups: [{name: g, rules: [{alert: A}]}]")
    return tmp_path


def passes(path: Path) -> bool:
    try:
        return not run(path).failures
    except BadTests:
        return False


def compare(folder: Path, texts: Iterable[str]) -> set[bool]:
    """The verdicts that occur; it fails where promtool's, asked once about all files, are others."""
    files = {}
    for number, text in enumerate(texts):
        file = folder / f"test{number}.yml"
        file.write_text(text)
        files[str(file)] = passes(file)
    theirs = subprocess.run(["promtool", "test", "rules", *files], capture_output=True, text=True, check=False)
    said = re.split(r"^Unit Testing:  (\S+)$", theirs.stdout, flags=re.MULTILINE)[1:]
    good = {name for name, words in zip(said[::2], said[1::2], strict=True) if "SUCCESS" in words}
    assert set(said[::2]) == set(files)
    differ = [Path(name).read_text() for name, ours in files.items() if ours != (name in good)]
    assert not differ, "\n\n".join(differ)
    return set(files.values())


@needs_promtool
def test_verdicts_are_those_of_promtool(folder: Path) -> None:
    assert compare(folder, CASES.values()) == {True, False}


@needs_promtool
@pytest.mark.parametrize(
    ("path", "good"), [(FOLDER / "passing.yml", True), (FOLDER / "failing.yml", False), (EXAMPLE, True)]
)
def test_written_files_have_the_verdict_that_promtool_gives(path: Path, good: bool) -> None:
    theirs = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, check=False)
    assert passes(path) == good == (theirs.returncode == 0), run(path).failures


def test_a_failure_shows_what_was_expected_and_what_came() -> None:
    failures = run(FOLDER / "failing.yml").failures
    assert len(failures) == 2
    assert "alertname InstanceDown, time 4m:" in failures[0]
    assert '- expected: {alertname="InstanceDown", instance="a:1", job="api", severity="page"}' in failures[0]
    assert '+ got:      {__name__="up", instance="a:1", job="api"} 0.0' in failures[1]


def test_a_rule_that_cannot_be_evaluated_ends_its_test(folder: Path) -> None:
    (folder / "rules.yml").write_text("groups: [{name: g, rules: [{record: x, expr: 'a + on () group_left a'}]}]")
    file = folder / "tests.yml"
    series = ", ".join(f"{{series: 'a{{i=\"{number}\"}}', values: '1'}}" for number in range(2))
    file.write_text(
        HEAD + f"tests: [{{interval: 1m, input_series: [{series}], promql_expr_test: [{{expr: a, eval_time: 1m}}]}}]"
    )
    (failure,) = run(file).failures
    assert failure.startswith("test 1: rule x, time 0s: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tests: [{start_timestamp: 5}]", "start_timestamp: is not supported: tests always begin at 0"),
        ("fuzzy_compare: true", "fuzzy_compare: is not supported"),
        ("tests: [{promql_expr_test: [{expr: a, exp_samples: [{histogram: x}]}]}]", "native histograms"),
        ("colour: red", "colour: this field is not known"),
        ("a: b: c", "not valid YAML"),
        ("tests: []\ntests: []", "twice"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "tests.yml"
    file.write_text(text)
    with pytest.raises(BadTests) as refused:
        run(file)
    assert words in str(refused.value)


def test_native_histograms_are_named(tmp_path: Path) -> None:
    file = tmp_path / "tests.yml"
    file.write_text("tests: [{interval: 1m, input_series: [{series: a, values: '{{schema:1 sum:3}}'}]}]")
    assert "native histograms" in run(file).failures[0]


def test_a_series_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tests.yml"
    file.write_text("tests: [{interval: 1m, input_series: [{series: a, values: '1x999999999999'}]}]")
    assert "samples" in run(file).failures[0]


def test_the_command_says_what_failed_and_ends_with_a_status(folder: Path) -> None:
    def call(*paths: Path) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["test-rules", *map(str, paths)])
        return result.exit_code, result.output

    assert call(FOLDER / "passing.yml") == (
        0,
        f"{FOLDER / 'passing.yml'}\n  warning: no file matches nothing*.yml\n  passed\n",
    )
    status, output = call(FOLDER / "passing.yml", FOLDER / "failing.yml")
    assert status == 1
    assert "  2 failed\n" in output
    status, output = call(folder / "none.yml", FOLDER / "failing.yml")
    assert status == 2
    assert "cannot be read: No such file" in output


def a_random_test(chance: random.Random) -> str:
    """A test of random series that expects what is sometimes right.

    No sample is exactly five minutes old when it is looked at: Prometheus 2 still sees that one, 3 does not.
    """
    items = ["1", "0", "2", "_", "_x2", "0x3", "1x2", "1+1x3", "3-1x3", "stale"]
    series = [
        f"{{series: 'up{{job=\"{job}\",instance=\"{number}\"}}', values: '_ {' '.join(chance.choices(items, k=6))}'}}"
        for job in "ab"
        for number in range(2)
    ]
    names = chance.sample(["a", "b", "c"], 2)
    alerts = []
    for _ in range(2):
        expected = f"{{exp_labels: {{job: {names[0]}}}, exp_annotations: {{count: '{chance.randint(1, 4)}'}}}}"
        name, wanted = chance.choice(["InstanceDown", "AllDown"]), chance.choice(["", expected])
        alerts.append(f"{{eval_time: {chance.randint(0, 20)}m, alertname: {name}, exp_alerts: [{wanted}]}}")
    queries = [
        f"{{expr: '{chance.choice(['count(up)', 'sum(up)', 'count(ALERTS)', 'max(job:up:sum)'])}', eval_time: "
        f"{chance.randint(0, 20)}m, exp_samples: [{{labels: '{{}}', value: {chance.randint(0, 4)}}}]}}"
        for _ in range(chance.randint(0, 1))
    ]
    interval = chance.choice(["30s", "1m", "2m"])
    return (
        HEAD
        + f"evaluation_interval: {interval}\ngroup_eval_order: [recordings, alerts]\n"
        + f"tests: [{{interval: 61s, input_series: [{', '.join(series)}], alert_rule_test: [{', '.join(alerts)}],"
        + f" promql_expr_test: [{', '.join(queries)}]}}]"
    )


@needs_promtool
def test_verdicts_are_those_of_promtool_for_random_tests(folder: Path) -> None:
    chance = random.Random(7)
    assert compare(folder, [a_random_test(chance) for _ in range(40)]) == {True, False}


def test_the_check_command_knows_what_the_stock_rules_record(tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    expr = "model:inference_requests:rate5m:baseline > 9"
    file.write_text(f"groups: [{{name: g, rules: [{{alert: A, expr: '{expr}', annotations: {{summary: s}}}}]}}]")
    assert CliRunner().invoke(main, ["check-rules", str(file)]).output == f"{file}: no mistakes, 0 warnings\n"
