"""Beside Prometheus itself, on the same history: the same answers to the letter.

Debian's is 2.42, whose windows are closed on the left and whose texts about bad queries are its own; so questions are
chosen whose answers do not hang on that.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.conftest import T0
from tests.contracts.peer import Answer, Peer


def sorted_series(answer: Answer) -> Any:
    """The data, a vector's series in an order of their own: neither promises one."""
    data = answer.data
    if isinstance(data, dict) and data.get("resultType") == "vector":
        return data | {"result": sorted(data["result"], key=lambda one: sorted(one["metric"].items()))}
    return data


QUERIES = [
    "a",
    'a{gpu="0"}',
    "b_total",
    "big",
    "odd",
    "{__name__=~'a|big'}",
    "sum by (gpu) (a)",
    "a offset 10s",
    "a / 0",
    "-a",
    "a > bool 2",
    "count_values('v', odd)",
    "topk(1, a)",
    "vector(1e-7)",
    "1e300",
    "1e-300",
    "0.1 + 0.2",
    "-0",
    "1/0",
    "-1/0",
    "0/0",
    "time()",
    "'text \"quoted\"'",
    "label_replace(a, 'x', '${1}é', 'gpu', '(.*)')",
    "absent(nothing)",
    "nothing",
]


@pytest.mark.parametrize("moment", [T0 + 30, f"{T0 + 31}.5", f"{T0 + 20}.123", "2023-11-14T22:13:41.75Z", T0 + 9000])
@pytest.mark.parametrize("query", QUERIES)
def test_instant_queries(ours: Peer, prometheus: Peer, query: str, moment: object) -> None:
    mine, theirs = (peer.get("query", query=query, time=moment) for peer in (ours, prometheus))
    assert (mine.status, theirs.status) == (200, 200)
    assert sorted_series(mine) == sorted_series(theirs)


@pytest.mark.parametrize(
    "window",
    [
        {"start": T0, "end": T0 + 58, "step": 1},
        {"start": f"{T0}.5", "end": T0 + 58, "step": "7s"},
        {"start": f"{T0}.1", "end": f"{T0 + 3}.3", "step": 0.4},
        {"start": "2023-11-14T22:13:20.001Z", "end": "2023-11-14T22:14:20Z", "step": "1m30s"},
        {"start": T0 - 100, "end": T0 - 50, "step": "250ms"},
    ],
)
@pytest.mark.parametrize("query", [one for one in QUERIES if "text" not in one])
def test_range_queries(ours: Peer, prometheus: Peer, query: str, window: dict[str, Any]) -> None:
    mine, theirs = (peer.post("query_range", query=query, **window) for peer in (ours, prometheus))
    assert (mine.status, theirs.status) == (200, 200)
    assert mine.data == theirs.data


def test_raw_samples(ours: Peer, prometheus: Peer) -> None:
    for query in ("a[59500ms]", "{__name__!=''}[20500ms]"):
        mine, theirs = (peer.get("query", query=query, time=f"{T0 + 60}.1") for peer in (ours, prometheus))
        by_labels = [
            sorted(one.data["result"], key=lambda row: sorted(row["metric"].items())) for one in (mine, theirs)
        ]
        assert by_labels[0] == by_labels[1]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("series", {"match": "a"}),
        ("series", {"match": ["b_total", 'odd{is!="nan"}']}),
        ("series", {"match": "nothing"}),
        ("series", {"match": "a", "start": T0 + 3600 * 24, "end": T0 + 3600 * 25}),
        ("labels", {"match": "{__name__=~'a|odd'}"}),
        ("labels", {"match": "nothing"}),
        ("labels", {"start": 5, "end": 1}),
        ("labels", {"match": "a", "start": "-9223309901257974", "end": "9223309901257974"}),
        ("label/gpu/values", {}),
        ("label/gpu/values", {"match": 'a{gpu="1"}'}),
        ("label/path/values", {"start": T0, "end": T0 + 1}),
        ("label/nothing/values", {}),
        ("query_exemplars", {"query": "a"}),
        ("metadata", {"metric": "nothing"}),
        ("rules", {"rule_name[]": "nothing"}),
        ("alertmanagers", {}),
    ],
)
def test_lists(ours: Peer, prometheus: Peer, path: str, parameters: dict[str, Any]) -> None:
    mine, theirs = ours.get(path, **parameters), prometheus.get(path, **parameters)
    assert mine == theirs


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {"query": "a", "time": "noon"}),
        ("query", {"query": "a", "time": 'sa"y'}),
        ("query", {"query": "a", "timeout": "soon"}),
        ("query_range", {"query": "a", "start": "x", "end": 1, "step": 1}),
        ("query_range", {"query": "a", "end": 1, "step": 1}),
        ("query_range", {"query": "a", "start": 1, "end": "x", "step": 1}),
        ("query_range", {"query": "a", "start": 2, "end": 1, "step": 1}),
        ("query_range", {"query": "a", "start": 1, "end": 2, "step": "x"}),
        ("query_range", {"query": "a", "start": 1, "end": 2, "step": 0}),
        ("query_range", {"query": "a", "start": 1, "end": 2, "step": "-1"}),
        ("query_range", {"query": "a", "start": 1, "end": 2}),
        ("query_range", {"query": "a", "start": 0, "end": 11001, "step": 1}),
        ("query_range", {"query": "a", "start": 1, "end": 2, "step": 1, "timeout": "1x"}),
        ("query_exemplars", {"query": "a", "start": 2, "end": 1}),
        ("query_exemplars", {"query": "a", "start": "x"}),
        ("series", {}),
        ("series", {"match": "{}"}),
        ("series", {"match": "a", "start": "x"}),
        ("series", {"match": "a", "end": "x"}),
        ("labels", {"match": "{}"}),
        ("labels", {"start": "x"}),
        ("label/gpu/values", {"end": "x"}),
        ("metadata", {"limit": "x"}),
        ("rules", {"type": "both"}),
    ],
)
def test_refusals(ours: Peer, prometheus: Peer, path: str, parameters: dict[str, Any]) -> None:
    mine, theirs = ours.get(path, **parameters), prometheus.get(path, **parameters)
    assert theirs.status == 400
    assert mine == theirs


@pytest.mark.parametrize(
    "query", ["", "a +", "sum(", "a{", "a[5m", "rate(a)", "nope(a)", "a @ x", "{}", "a or 1", "1 1"]
)
def test_bad_queries_are_refused_alike(ours: Peer, prometheus: Peer, query: str) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [("query", {}), ("query_range", {"start": T0, "end": T0 + 1, "step": 1})]
    for path, window in calls:
        mine, theirs = (peer.get(path, query=query, **window) for peer in (ours, prometheus))
        assert (mine.status, mine.document["errorType"]) == (theirs.status, theirs.document["errorType"])


def test_what_cannot_be_computed_is_refused_alike(ours: Peer, prometheus: Peer) -> None:
    for query in ("a * on() a", "label_replace(a, 'gpu', 'x', '', '')", "a + on(gpu) odd * on() group_left odd"):
        mine, theirs = (peer.get("query", query=query, time=T0 + 10) for peer in (ours, prometheus))
        assert (
            (mine.status, mine.document["errorType"])
            == (theirs.status, theirs.document["errorType"])
            == (422, "execution")
        )
