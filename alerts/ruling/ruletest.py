"""Runs the tests of rules that ``promtool test rules`` runs, through our own query language and state machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from alerts.evaluation import ALERT_NAME, Origin
from alerts.group import Group, Rule, RuleError
from alerts.patience import HIDDEN_PREFIX
from alerts.rule import load_rules
from alerts.ruling.memory import MemorySeries
from alerts.ruling.notation import NotationError, parse_labels, parse_values
from alerts.ruling.replay import Replay
from alerts.ruling.testfile import AlertCase, QueryCase, RuleTests, Scenario, read_tests
from alerts.state import Alert
from collectors.sample import Labels
from promql import Engine, QueryError, Scalar, Vector

#: Evaluations that one test may take: a year of minutes.
MAX_EVALUATIONS = 600_000
_Pair = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


class Report(NamedTuple):
    """What came of a test file: no failure is success."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...]


def run_tests(path: Path) -> Report:
    """Run one test file. Raises :class:`BadTests` where it cannot be run at all."""
    tests = read_tests(path)
    paths, lacking = tests.rule_paths(path.parent)
    warnings = tuple(f"no file matches {pattern}" for pattern in lacking)
    failures: list[str] = []
    for number, group in enumerate(tests.tests, 1):
        name = group.name or f"test {number}"
        failures += [f"{name}: {failure}" for failure in _run(tests, group, paths)]
    return Report(tuple(failures), warnings)


def _run(tests: RuleTests, group: Scenario, paths: Sequence[Path]) -> Iterator[str]:
    try:
        groups = _ordered([one for path in paths for one in load_rules(path)], tests.group_eval_order)
        memory = _memory(group)
    except (RuleError, NotationError) as error:
        yield from error.problems if isinstance(error, RuleError) else (str(error),)
        return
    unnamed = [case for case in group.alert_rule_test if not case.alertname]
    if unnamed:
        yield f"an item of alert_rule_test lacks alertname, at eval_time {_span(unnamed[0].eval_time)}"
        return
    promql = Engine(memory, default_step_ms=tests.evaluation_interval)
    replay = Replay(groups, promql, memory, Origin(group.external_labels, group.external_url))
    failed = False
    for failure in _alert_failures(group, replay, memory, tests.evaluation_interval):
        failed = failed or failure.startswith("rule ")
        yield failure
    if not failed:
        for case in group.promql_expr_test:
            yield from _query_failures(case, promql)


def _ordered(groups: list[Group], order: Sequence[str]) -> list[Group]:
    """Groups in the order that the test file asks for; those that it does not name come first."""
    place = {name: number for number, name in enumerate(order)}
    return sorted(groups, key=lambda group: place.get(group.name, -1))


def _memory(group: Scenario) -> MemorySeries:
    memory = MemorySeries()
    for given in group.input_series:
        labels = parse_labels(given.series)
        try:
            memory.add(labels, *parse_values(given.values, group.interval))
        except NotationError as error:
            raise NotationError(f"input_series {given.series}: {error}") from error
    return memory


def _alert_failures(group: Scenario, replay: Replay, memory: MemorySeries, interval_ms: int) -> Iterator[str]:
    """Evaluate from 0 to the last moment that a test asks about; an alert is looked at in the evaluation before."""
    cases = sorted(group.alert_rule_test, key=lambda case: case.eval_time)
    moments = [case.eval_time for case in cases] + [case.eval_time for case in group.promql_expr_test]
    last_ms = max(moments, default=0)
    if last_ms // interval_ms > MAX_EVALUATIONS:
        yield f"rule evaluations: {last_ms // interval_ms} are more than {MAX_EVALUATIONS}; choose a longer interval"
        return
    for now_ms in range(0, last_ms + 1, interval_ms):
        memory.now_ms = now_ms
        replay.step(now_ms)
        failures = replay.failures()
        for failure in failures:
            yield f"rule {failure.rule}, time {_span(now_ms)}: {failure.error}"
        if failures:
            return
        while cases and cases[0].eval_time < now_ms + interval_ms:
            yield from _compare_alerts(cases.pop(0), replay)


def _compare_alerts(case: AlertCase, replay: Replay) -> Iterator[str]:
    got = sorted(_alert_pair(rule, alert) for rule, alert in replay.alerts(case.alertname))
    expected = sorted(
        (_sorted({**one.exp_labels, ALERT_NAME: case.alertname}), _sorted(one.exp_annotations))
        for one in case.exp_alerts
    )
    if got != expected:
        yield (
            f"alertname {case.alertname}, time {_span(case.eval_time)}:"
            + _difference([_alert_text(one) for one in expected], [_alert_text(one) for one in got])
        )


def _alert_pair(rule: Rule, alert: Alert) -> _Pair:
    # What is meant for Wakeless alone is an annotation like any other to promtool.
    hidden = {name: text.text for name, text in rule.annotations.items() if name.startswith(HIDDEN_PREFIX)}
    return _sorted(alert.labels), _sorted({**alert.annotations, **hidden})


def _query_failures(case: QueryCase, promql: Engine) -> Iterator[str]:
    place = f"expr {case.expr!r}, time {_span(case.eval_time)}"
    try:
        result = promql.instant(case.expr, case.eval_time)
        if not isinstance(result, Vector | Scalar):
            raise QueryError("the result is neither a vector nor a scalar")
        expected = sorted((parse_labels(sample.labels), sample.value) for sample in case.exp_samples)
    except (QueryError, NotationError) as error:
        yield f"{place}: {error}"
        return
    if isinstance(result, Scalar):
        got: list[tuple[Labels, float]] = [((), result.value)]
    else:
        got = sorted(zip(result.labels, result.values.tolist(), strict=True))
    if got != expected:
        yield f"{place}:" + _difference([_sample_text(one) for one in expected], [_sample_text(one) for one in got])


# --- words -------------------------------------------------------------------------------------------------------


def _difference(expected: list[str], got: list[str]) -> str:
    """What is missing and what is too much; what both have is not repeated."""
    lines = [f"\n      - expected: {text}" for text in expected if text not in got]
    lines += [f"\n      + got:      {text}" for text in got if text not in expected]
    if not lines:
        lines = [f"\n      {len(expected)} expected, {len(got)} got: {'; '.join(got) or 'none'}"]
    return "".join(lines)


def _alert_text(pair: _Pair) -> str:
    return f"{_braces(pair[0])} {_braces(pair[1])}"


def _sample_text(sample: tuple[Labels, float]) -> str:
    return f"{_braces(sample[0])} {sample[1]!r}"


def _braces(pairs: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in pairs) + "}"


def _sorted(pairs: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


def _span(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (rest, "ms"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
