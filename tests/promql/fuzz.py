"""Throws made-up and mutilated queries at the parser and the engine; run it for as long as you like.

    python -m tests.promql.fuzz [--seconds 60] [--seed 1] [--parse]
    python -m tests.promql.fuzz --atheris [--seconds 60] [CORPUS …]     # guided by coverage; pip install atheris

Every query must have an answer or an error of its own, with a place inside its text, and must have it soon. What holds
at one moment must hold at the same step of a range.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import numpy as np

from promql import Engine, Matrix, Query, QueryError, Scalar, String, Vector, parse
from tests.promql.generator import STEP_MS, Generator, source
from tests.promql.memory import MemorySource

STEPS = 5
START_MS = 4 * STEP_MS
#: Words of queries whose answer at a moment may differ from that at a step: by their meaning, or, where values become
#: labels, by a rounding.
_DIFFERENT = ("start", "end", "count_values")


class Finding(AssertionError):
    """A query with an answer that cannot be."""


def probe(text: str, samples: MemorySource) -> str:
    """Parse and evaluate ``text``; tells what came of it. Raises :class:`Finding`, or whatever should not be raised."""
    query = probe_parser(text)
    if query is None:
        return "rejected"
    engine = Engine(samples, max_samples=300_000, timeout_seconds=5)
    try:
        matrix = engine.range(query, START_MS, START_MS + (STEPS - 1) * STEP_MS, STEP_MS)
    except QueryError as error:
        _check_error(text, error)
        _instant(engine, query, START_MS)
        return "failed"
    _check_matrix(text, matrix)
    if not any(word in text.lower() for word in _DIFFERENT):
        _check_step(query, matrix, _instant(engine, query, START_MS), 0)
        _check_step(query, matrix, _instant(engine, query, START_MS + 2 * STEP_MS), 2)
    return "answered"


def probe_parser(text: str) -> Query | None:
    """Parse ``text``; None where it is refused as it should be."""
    try:
        query = parse(text)
    except QueryError as error:
        _check_error(text, error)
        return None
    if query.text != text or any(not matchers for matchers in query.selectors()):
        raise Finding(f"{text!r} became {query!r}")
    return query


def _check_error(text: str, error: QueryError) -> None:
    start, end = error.position or (0, 0)
    if not str(error) or len(str(error)) > 20_000 or not 0 <= start <= end <= len(text) or error.kind == "timeout":
        raise Finding(f"{text!r}: {error.kind} {error.position} {error}")


def _check_matrix(text: str, matrix: Matrix) -> None:
    shape = (len(matrix.labels), STEPS)
    fine = (
        matrix.values.shape == matrix.present.shape == shape
        and matrix.labels == sorted(set(matrix.labels))
        and matrix.present.any(axis=1).all()
        and np.isnan(matrix.values[~matrix.present]).all()
        and all(list(labels) == sorted(labels) and all(value for _, value in labels) for labels in matrix.labels)
        and max(len(matrix.warnings), len(matrix.infos)) <= 11
    )
    if not fine:
        raise Finding(f"{text!r} gives {matrix}")


def _instant(engine: Engine, query: Query, time_ms: int) -> Vector | None:
    try:
        result = engine.instant(query, time_ms)
    except QueryError as error:
        _check_error(query.text, error)
        return None
    if isinstance(result, Scalar):
        return Vector([()], np.array([result.value]))
    return result if isinstance(result, Vector) else Vector([], np.empty(0)) if isinstance(result, String) else None


def _check_step(query: Query, matrix: Matrix, vector: Vector | None, step: int) -> None:
    if vector is None:
        raise Finding(f"{query.text!r} has an answer over a range and none at a moment of it")
    rows = np.flatnonzero(matrix.present[:, step])
    wanted = {matrix.labels[row]: matrix.values[row, step] for row in rows}
    given = dict(zip(vector.labels, vector.values, strict=True))
    same = wanted.keys() == given.keys() and all(
        np.allclose(wanted[labels], given[labels], rtol=1e-9, atol=0, equal_nan=True) for labels in wanted
    )
    if not same:
        raise Finding(f"{query.text!r} at step {step}: {wanted} over a range, {given} at the moment")


def run(seconds: float, seed: int, parse_only: bool) -> int:
    """Probe made-up queries for ``seconds``; prints what came of them and gives the number of findings."""
    samples = source()
    outcomes: dict[str, int] = {}
    slowest = (0.0, "")
    findings = number = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        text = Generator(random.Random(f"{seed}/{number}")).query()
        number += 1
        started = time.perf_counter()
        try:
            outcome = ("rejected" if probe_parser(text) is None else "parsed") if parse_only else probe(text, samples)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            findings += 1
            outcome = "FOUND"
            print(f"{seed}/{number - 1}: {type(error).__name__}: {error}\n  {text!r}", file=sys.stderr)
        took = time.perf_counter() - started
        slowest = max(slowest, (took, text))
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"{number} queries: " + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())))
    print(f"slowest: {slowest[0] * 1000:.0f} ms: {slowest[1][:200]!r}")
    return findings


def run_guided(seconds: int, corpus: list[str]) -> None:
    """Let atheris look for inputs that reach new lines of the parser; never returns."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["promql"]):
        for name in [name for name in sys.modules if name.startswith("promql")]:
            del sys.modules[name]
        import promql

    def once(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")
        try:
            promql.parse(text)
        except promql.QueryError as error:
            _check_error(text, error)

    limits = [f"-max_total_time={seconds}", "-max_len=2000", "-timeout=2", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *corpus], once)
    atheris.Fuzz()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Throws made-up and mutilated queries at the query language.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parse", action="store_true", help="only the parser")
    parser.add_argument("--atheris", action="store_true", help="let coverage guide (needs atheris)")
    parser.add_argument("corpus", nargs="*")
    options = parser.parse_args()
    if options.atheris:
        run_guided(options.seconds, options.corpus)
    return int(run(options.seconds, options.seed, options.parse) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
