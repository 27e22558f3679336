"""The benchmark's queries have the same answers in Wakeless and in Prometheus: else its times would mean nothing."""

from __future__ import annotations

import http.client
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from bench.answer import compare
from bench.fleet import Fleet, last_midnights
from bench.peer import Prometheus
from bench.query import Program, ask, queries
from bench.wakeless import Wakeless

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's prometheus is not installed"),
]


def answers(program: Program, paths: list[str]) -> list[bytes]:
    """The bodies; all must be 200."""
    bodies = []
    with closing(http.client.HTTPConnection("127.0.0.1", program.port, timeout=120)) as connection:
        for path in paths:
            _, status, body = ask(connection, path)
            assert status == 200, body[:500]
            bodies.append(body)
    return bodies


def test_every_query_of_the_benchmark_has_the_answer_of_prometheus(tmp_path: Path) -> None:
    fleet = Fleet(last_midnights(2), 2, 30_000)
    asked = queries(fleet)
    paths = [query.path for query in asked]
    with Prometheus(tmp_path / "prometheus") as prometheus:
        fed = sum(prometheus.feed(fleet.stretches()))
        theirs = answers(prometheus, paths)
    wakeless = Wakeless(tmp_path / "wakeless")
    assert sum(wakeless.feed(fleet.stretches())) == fed == 200 * fleet.ticks
    with wakeless:
        ours = answers(wakeless, paths)
    for query, mine, other in zip(asked, ours, theirs, strict=True):
        found = compare(mine, other)
        assert found.points > 900, query.title
        assert found.same, f"{query.title}: {found}"
