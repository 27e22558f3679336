"""Runs scripts in the format of Prometheus' promqltest: ``load``, ``clear``, ``eval instant|range`` with expectations.

The format: https://github.com/prometheus/prometheus/blob/main/promql/promqltest/README.md. What needs native histograms
is skipped and counted. As a program, ``python -m tests.promql.promqltest FILE …``, it tells how much of each passes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from collectors.sample import METRIC_NAME, Labels
from promql import Engine, QueryError, Result, Vector, parse
from promql.literal import unquote
from tests.promql.expectation import Case, Expected, Message, difference
from tests.promql.memory import MemorySource, matches
from tests.promql.notation import duration_ms, parse_labels, parse_values

_EVAL = re.compile(
    r"eval(?:_(?P<flavour>fail|ordered|warn|info))?\s+"
    r"(?:instant\s+at\s+(?P<at>\S+)|range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+))\s+(?P<query>.+)"
)
_EXPECT = re.compile(
    r"expect\s+(?P<what>fail|warn|no_warn|info|no_info|ordered)(?:\s+(?P<how>msg|regex):\s*(?P<text>.*))?"
)
_EXPECT_RANGE = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)")
_PLACE = re.compile(r" \(\d+:\d+\)$")


class ScriptError(AssertionError):
    """An expectation that does not hold; the message tells the line, the query and both results."""


@dataclass
class Summary:
    """What came of a script: evaluations that held, those skipped for native histograms, and complaints."""

    passed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


class Script:
    """Runs one script. Native histograms are not loaded, and what would meet one is skipped."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._at = 0
        self._source = MemorySource()
        self._native: list[Labels] = []

    def run(self) -> Summary:
        """Run everything, collecting complaints."""
        summary = Summary()
        while self._at < len(self._lines):
            line = _strip(self._lines[self._at])
            self._at += 1
            if not line:
                continue
            if line == "clear":
                self._source, self._native = MemorySource(), []
            elif line.startswith("load"):
                self._load(line)
            elif line.startswith("eval"):
                self._evaluate(self._case(line), summary)
            else:
                raise ScriptError(f"line {self._at}: unknown command {line!r}")
        return summary

    def _evaluate(self, case: Case, summary: Summary) -> None:
        if case.is_native or self._meets_native(case.query):
            summary.skipped += 1
            return
        try:
            check(case, self._source)
            summary.passed += 1
        except ScriptError as error:
            summary.failures.append(str(error))

    def _meets_native(self, query: str) -> bool:
        try:
            selectors = parse(query).selectors()
        except QueryError as error:
            return "native histograms" in str(error)
        return any(matches(matchers, labels) for matchers in selectors for labels in self._native)

    def _block(self) -> list[str]:
        """The lines that belong to the command before them: up to an empty line or the next command."""
        lines = []
        while self._at < len(self._lines):
            raw = self._lines[self._at]
            if not raw.strip() or re.match(r"\s*(load|clear|eval)(_\w+)?(\s|$)", raw):
                break
            self._at += 1
            if line := _strip(raw):
                lines.append(line)
        return lines

    def _load(self, command: str) -> None:
        step_ms = duration_ms(command.split()[1])
        for line in self._block():
            labels, rest = parse_labels(line)
            if "{{" in rest:
                self._native.append(labels)
                continue
            values = parse_values(rest)
            self._source.add(labels, [(i * step_ms, value) for i, value in enumerate(values) if value is not None])
            if command.startswith("load_with_nhcb"):
                self._native.append(_as_native(labels))

    def _case(self, line: str) -> Case:
        found = _EVAL.fullmatch(line)
        if found is None:
            raise ScriptError(f"line {self._at}: cannot read {line!r}")
        span = None
        if found["at"] is None:
            span = (duration_ms(found["start"]), duration_ms(found["end"]), duration_ms(found["step"]))
        case = Case(self._at, found["query"], None if found["at"] is None else duration_ms(found["at"]), span)
        if found["flavour"]:
            case.flags.add(found["flavour"])
        for extra in self._block():
            _expect(case, extra)
        return case


def _as_native(labels: Labels) -> Labels:
    """The native histogram that a series of classic buckets would be part of."""
    pairs = {name: value for name, value in labels if name != "le"}
    pairs[METRIC_NAME] = re.sub("_(bucket|count|sum)$", "", pairs.get(METRIC_NAME, ""))
    return tuple(sorted(pairs.items()))


def _expect(case: Case, line: str) -> None:
    if found := _EXPECT.fullmatch(line):
        case.flags.add(found["what"])
        if found["how"]:
            message = Message(found["text"].strip('"'), found["how"] == "regex")
            case.messages.setdefault(found["what"], []).append(message)
    elif found := _EXPECT_RANGE.fullmatch(line):
        case.window = (duration_ms(found[1]), duration_ms(found[2]), duration_ms(found[3]))
    elif found := re.fullmatch(r"expect string(?: (.*))?", line):
        text = found[1] or ""
        case.string = unquote(text) if text[:1] in ("'", '"', "`") else text
    elif found := re.fullmatch(r"expected_fail_(message|regexp)\s+(.*)", line):
        case.messages.setdefault("fail", []).append(Message(found[2], found[1] == "regexp"))
    elif re.fullmatch(r"[-+.\w]+", line):
        case.scalar = float(line)
    elif "{{" in line:
        case.is_native = True
    else:
        labels, rest = parse_labels(line)
        case.expected.append(Expected(labels, parse_values(rest)))


def check(case: Case, source: MemorySource) -> None:
    """Evaluate a case; raises :class:`ScriptError` where it is not as expected."""
    engine = Engine(source)
    try:
        if case.span is None:
            assert case.at is not None
            result: Result = engine.instant(case.query, case.at)
        else:
            result = engine.range(case.query, *case.span)
    except QueryError as error:
        _check_failure(case, error)
        return
    if "fail" in case.flags:
        raise _complaint(case, f"should fail, but gave {result}")
    _check_notes(case, result)
    if problem := difference(case, result):
        raise _complaint(case, f"{problem}\ngot {result}")
    if case.at is not None and isinstance(result, Vector) and "ordered" not in case.flags:
        _check_as_range(case, engine)


def _complaint(case: Case, problem: str) -> ScriptError:
    return ScriptError(f"line {case.line}: {case.query}\n{problem}")


def _check_failure(case: Case, error: QueryError) -> None:
    if "fail" not in case.flags:
        raise _complaint(case, f"failed: {error}") from error
    wrong = [message.text for message in case.messages.get("fail", []) if not message.fits(str(error))]
    if wrong:
        raise _complaint(case, f"failed with {error}, not with {wrong}")


def _check_notes(case: Case, result: Result) -> None:
    for kind, notes in (("warn", result.warnings), ("info", result.infos)):
        given = [_PLACE.sub("", note) for note in notes]
        if f"no_{kind}" in case.flags and given:
            raise _complaint(case, f"should give no {kind}, but gave {given}")
        if kind in case.flags and not given:
            raise _complaint(case, f"should give a {kind}, but gave none")
        wanted = case.messages.get(kind, [])
        missing = [message.text for message in wanted if not any(map(message.fits, given))]
        extra = [note for note in given if wanted and not any(message.fits(note) for message in wanted)]
        if missing or extra:
            raise _complaint(case, f"{kind}: missing {missing}, not expected {extra}")


def _check_as_range(case: Case, engine: Engine) -> None:
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
    if problem := difference(case, result):
        raise _complaint(case, f"as a step of a range: {problem}\ngot {result}")


def _strip(line: str) -> str:
    """A line without the comment it may be."""
    line = line.strip()
    return "" if line.startswith("#") else line


def run_script(text: str) -> int:
    """Run a script; gives the number of evaluations or raises :class:`ScriptError` with every complaint."""
    summary = Script(text).run()
    if summary.failures:
        raise ScriptError("\n\n".join(summary.failures))
    return summary.passed


def main(arguments: list[str] | None = None, write: Callable[[str], object] = print) -> int:
    """Run files and tell how much of each passes; gives 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Runs test files in the format of Prometheus' promqltest.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show what failed")
    options = parser.parse_args(arguments)
    failed = 0
    for file in options.files:
        summary = Script(file.read_text()).run()
        failed += len(summary.failures)
        total = summary.passed + len(summary.failures)
        write(f"{file.name}: {summary.passed} of {total} pass, {summary.skipped} skipped (native histograms)")
        for failure in () if options.quiet else summary.failures:
            write(f"  {failure}".replace("\n", "\n    "))
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
