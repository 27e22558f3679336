"""Runs scripts in the format of Prometheus' promqltest: ``load``, ``clear``, ``eval instant|range`` with expectations.

The format: https://github.com/prometheus/prometheus/blob/main/promql/promqltest/README.md. Native histograms are not
supported and annotations (``expect info`` …) are not checked, since the engine gives none.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from collectors.sample import METRIC_NAME, STALE, Labels
from promql import Engine, Matrix, QueryError, Result, Scalar, String, Vector
from tests.promql.memory import MemorySource

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_DURATION = re.compile(r"(-?)((?:\d+(?:ms|[smhdwy]))+)")
_SERIES = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)?\s*(?:\{(?P<labels>(?:[^}\"]|\"(?:[^\"\\]|\\.)*\")*)\})?")
_LABEL = re.compile(r'\s*(?:(?P<name>[A-Za-z_]\w*|"(?:[^"\\]|\\.)*")\s*=\s*)?"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|$)')
_REPEAT = re.compile(r"(?P<first>[^x]+?)(?:(?P<sign>[+-])(?P<delta>[^x+-]+(?:e[+-]?\d+)?))?x(?P<times>\d+)")
_EVAL = re.compile(
    r"eval(?:_(?P<flavour>fail|ordered|warn|info))?\s+"
    r"(?:instant\s+at\s+(?P<at>\S+)|range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+))\s+(?P<query>.+)"
)
#: How far a value may be from the expected one, as a share of it: what Prometheus' own runner allows.
TOLERANCE = 1e-6


class ScriptError(AssertionError):
    """An expectation that does not hold; the message tells the line, the query and both results."""


class Expected(NamedTuple):
    """One line of an expected result."""

    labels: Labels
    values: list[float | None]


@dataclass
class Case:
    """One ``eval`` with what is expected of it."""

    line: int
    query: str
    at: int | None
    span: tuple[int, int, int] | None
    fails: bool = False
    ordered: bool = False
    messages: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    scalar: float | None = None
    string: str | None = None


def duration_ms(text: str) -> int:
    """``1h30m``, ``-5m`` or plain seconds as milliseconds."""
    if found := _DURATION.fullmatch(text):
        parts = re.findall(r"(\d+)(ms|[smhdwy])", found[2])
        total = sum(int(number) * _UNITS[unit] for number, unit in parts)
        return -total if found[1] else total
    return round(float(text) * 1000)


def parse_labels(text: str) -> tuple[Labels, str]:
    """A series' notation at the start of ``text``, and the rest."""
    found = _SERIES.match(text)
    assert found is not None
    pairs: list[tuple[str, str]] = [(METRIC_NAME, found["name"])] if found["name"] else []
    inside = (found["labels"] or "").strip()
    position = 0
    while position < len(inside):
        label = _LABEL.match(inside, position)
        if label is None:
            raise ScriptError(f"bad labels: {inside!r}")
        name = (label["name"] or METRIC_NAME).strip('"')
        pairs.append((name, label["value"].encode().decode("unicode_escape").encode("latin-1").decode()))
        position = label.end()
    return tuple(sorted(pairs)), text[found.end() :].strip()


def parse_values(text: str) -> list[float | None]:
    """``1 2+3x2 _ stale NaN`` as values; None where there is no sample."""
    values: list[float | None] = []
    for word in text.split():
        if word.startswith("_"):
            values += [None] * int(word[2:] or 1) if word.startswith("_x") else [None]
        elif word == "stale":
            values.append(STALE)
        elif found := _REPEAT.fullmatch(word):
            if found["first"] == "stale":
                values += [STALE] * (int(found["times"]) + 1)
                continue
            first, delta = float(found["first"]), float(found["delta"] or 0)
            delta = -delta if found["sign"] == "-" else delta
            values += [first + delta * step for step in range(int(found["times"]) + 1)]
        else:
            values.append(float(word))
    return values


class Script:
    """Runs one script; ``run`` raises :class:`ScriptError` at the first expectation that does not hold."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._at = 0
        self._source = MemorySource()

    def run(self) -> int:
        """Run everything; gives the number of evaluations."""
        count = 0
        while self._at < len(self._lines):
            line = _strip(self._lines[self._at])
            self._at += 1
            if not line:
                continue
            if line == "clear":
                self._source = MemorySource()
            elif line.startswith("load"):
                self._load(duration_ms(line.split()[1]))
            elif line.startswith("eval"):
                self._check(self._case(line))
                count += 1
            else:
                raise ScriptError(f"line {self._at}: unknown command {line!r}")
        return count

    def _block(self) -> list[str]:
        """The lines that belong to the command before them: up to an empty line or the next command."""
        lines = []
        while self._at < len(self._lines):
            raw = self._lines[self._at]
            line = _strip(raw)
            if not raw.strip() or re.match(r"(load|clear|eval)\b|(load|eval)_", line):
                break
            self._at += 1
            if line:
                lines.append(line)
        return lines

    def _load(self, step_ms: int) -> None:
        for line in self._block():
            labels, rest = parse_labels(line)
            values = parse_values(rest)
            points = [(i * step_ms, value) for i, value in enumerate(values) if value is not None]
            self._source.add(labels, points)

    def _case(self, line: str) -> Case:
        number = self._at
        found = _EVAL.fullmatch(line)
        if found is None:
            raise ScriptError(f"line {number}: cannot read {line!r}")
        span = None
        if found["at"] is None:
            span = (duration_ms(found["start"]), duration_ms(found["end"]), duration_ms(found["step"]))
        case = Case(number, found["query"], None if found["at"] is None else duration_ms(found["at"]), span)
        case.fails = found["flavour"] == "fail"
        case.ordered = found["flavour"] == "ordered"
        for extra in self._block():
            self._expect(case, extra)
        return case

    def _expect(self, case: Case, line: str) -> None:
        if found := re.fullmatch(r"expect\s+(\w+)(?:\s+(msg|regex):\s*(.*))?(?:\s+\"(.*)\")?", line):
            if found[1] == "fail":
                case.fails = True
            elif found[1] == "ordered":
                case.ordered = True
            elif found[1] == "string":
                case.string = found[4]
            if found[1] == "fail" and found[3]:
                (case.messages if found[2] == "msg" else case.patterns).append(found[3].strip('"'))
        elif found := re.fullmatch(r"expected_fail_(message|regexp)\s+(.*)", line):
            (case.messages if found[1] == "message" else case.patterns).append(found[2])
        elif re.fullmatch(r"[-+.\w]+", line):
            case.scalar = float(line)
        else:
            labels, rest = parse_labels(line)
            case.expected.append(Expected(labels, parse_values(rest)))

    def _check(self, case: Case) -> None:
        engine = Engine(self._source)
        try:
            if case.span is None:
                assert case.at is not None
                result: Result = engine.instant(case.query, case.at)
            else:
                result = engine.range(case.query, *case.span)
        except QueryError as error:
            self._check_failure(case, error)
            return
        if case.fails:
            raise ScriptError(f"line {case.line}: {case.query}\nshould fail, but gave {result}")
        problem = _difference(case, result)
        if problem:
            raise ScriptError(f"line {case.line}: {case.query}\n{problem}\ngot {result}")
        if case.at is not None and isinstance(result, Vector) and not case.ordered:
            self._check_as_range(case, engine)

    def _check_failure(self, case: Case, error: QueryError) -> None:
        if not case.fails:
            raise ScriptError(f"line {case.line}: {case.query}\nfailed: {error}") from error
        wrong = [text for text in case.messages if text not in str(error)]
        wrong += [text for text in case.patterns if not re.search(text, str(error))]
        if wrong:
            raise ScriptError(f"line {case.line}: {case.query}\nfailed with {error}, not with {wrong}")

    def _check_as_range(self, case: Case, engine: Engine) -> None:
        """What holds at one moment must hold as the middle step of a range query, as in Prometheus' runner."""
        assert case.at is not None
        if "start()" in case.query or "end()" in case.query or re.match(r"(sort|topk|bottomk)", case.query):
            return
        try:
            matrix = engine.range(case.query, case.at - 60_000, case.at + 60_000, 60_000)
        except QueryError:
            return  # another step of the range may fail where this one does not
        rows = np.flatnonzero(matrix.present[:, 1])
        result = Vector([matrix.labels[row] for row in rows], matrix.values[rows, 1])
        problem = _difference(case, result)
        if problem:
            raise ScriptError(f"line {case.line}: {case.query}\nas a step of a range: {problem}\ngot {result}")


def _strip(line: str) -> str:
    """A line without the comment it may be."""
    line = line.strip()
    return "" if line.startswith("#") else line


def _difference(case: Case, result: Result) -> str:
    match result:
        case Scalar(value):
            wanted = case.scalar if case.scalar is not None else math.nan
            return "" if case.scalar is not None and _close(wanted, value) else f"expected the scalar {case.scalar}"
        case String(text):
            return "" if text == case.string else f"expected the string {case.string!r}"
        case Vector(labels, values):
            rows: dict[Labels, list[float | None]] = {one: [value] for one, value in zip(labels, values, strict=True)}
        case Matrix():
            rows = {
                one: [float(v) if there else None for v, there in zip(values, present, strict=True)]
                for one, values, present in zip(result.labels, result.values, result.present, strict=True)
            }
        case _:
            return "a range vector cannot be compared"
    return _difference_of_rows(case, rows, result)


def _difference_of_rows(case: Case, rows: dict[Labels, list[float | None]], result: Result) -> str:
    if len(rows) != len(result.labels):  # type: ignore[union-attr]
        return "two series with the same labels"
    wanted = {one.labels: one.values for one in case.expected}
    if case.ordered and list(wanted) != list(rows):
        return f"expected the order {list(wanted)}"
    if set(wanted) != set(rows):
        return f"expected the series {sorted(wanted)}"
    for labels, values in wanted.items():
        padded = values + [None] * (len(rows[labels]) - len(values))
        if len(padded) != len(rows[labels]) or not all(map(_close, padded, rows[labels])):
            return f"expected {values} for {labels}"
    return ""


def _close(wanted: float | None, value: float | None) -> bool:
    if wanted is None or value is None:
        return wanted is value
    if math.isnan(wanted) or math.isnan(value):
        return math.isnan(wanted) and math.isnan(value)
    return (
        wanted == value
        or abs(wanted - value) <= TOLERANCE * (abs(wanted) + abs(value)) / 2
        or (abs(wanted - value) < 1e-300)
    )


def run_script(text: str) -> int:
    """Run a script; gives the number of evaluations or raises :class:`ScriptError`."""
    return Script(text).run()
