"""The room's own scripts in Prometheus' test format, one file per kind of thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promql.promqltest import ScriptError, run_script

CASES = sorted((Path(__file__).parent / "cases").glob("*.test"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_it_answers_as_documented(case: Path) -> None:
    assert run_script(case.read_text()) > 5


@pytest.mark.parametrize(
    "expectation",
    ["  a 2", "  b 1", "  expect fail", "  a 1\n  b 1", "", "  {} 1"],
    ids=["value", "labels", "failure", "more", "nothing", "name"],
)
def test_the_runner_notices_a_wrong_answer(expectation: str) -> None:
    with pytest.raises(ScriptError):
        run_script(f"load 1m\n  a 1\n\neval instant at 0 a\n{expectation}\n")


def test_the_runner_notices_a_wrong_order() -> None:
    data = 'load 1m\n  a{n="1"} 1\n  a{n="2"} 2\n\n'
    with pytest.raises(ScriptError, match="order"):
        run_script(data + 'eval instant at 0 sort(a)\n  expect ordered\n  a{n="2"} 2\n  a{n="1"} 1\n')
