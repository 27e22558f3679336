"""What Grafana's Prometheus data source asks for, request by request, and what its code needs of the answers.

Read from Grafana's source. Its back end: ``pkg/promlib/client/client.go`` (how requests are made),
``pkg/promlib/healthcheck.go`` and ``heuristics.go`` (*Save & test*), ``pkg/promlib/querydata/request.go`` (panels),
``pkg/promlib/converter/prom.go`` (how answers are read), ``pkg/promlib/resource/resource.go`` (version). Its front end,
under ``packages/grafana-prometheus/src``: ``datasource.ts`` (start, ad-hoc filters), ``resource_clients.ts``,
``language_provider.ts`` and ``constants.ts`` (names and limits), ``metric_find_query.ts`` (template variables),
``components/metrics-browser/useMetricsLabelsValues.ts`` (label browser), ``language_utils.ts`` (metadata),
``utf8_support.ts`` (escaped names). Alert lists: ``pkg/services/ngalert/api/lotex_prom.go``, and
``prometheus.ts`` and ``buildInfo.ts`` under ``public/app/features/alerting/unified/api``.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.contracts.conftest import T0
from tests.contracts.peer import Answer, Peer
from tests.running import RunningServer

#: ``DEFAULT_SERIES_LIMIT`` and ``MATCH_ALL_LABELS`` of ``constants.ts``.
LIMIT = "40000"
EVERYTHING = '{__name__!=""}'
#: A dashboard's time range as ``getPrometheusTime`` writes it.
RANGE = {"start": str(T0), "end": str(T0 + 60)}
#: What Grafana's proxy and ``datasource.ts`` send along.
HEADERS = {
    "User-Agent": "Grafana/12.0.0",
    "Accept-Encoding": "identity",
    "X-Dashboard-Uid": "abc",
    "X-Panel-Id": "7",
    "X-Grafana-Org-Id": "1",
    "X-Datasource-Uid": "P1",
    "X-Query-Group-Id": "9f",
    "FromAlert": "false",
}


@pytest.fixture(scope="session")
def grafana(wakeless: RunningServer) -> Peer:
    """A data source with ``Authorization: Bearer`` among its HTTP headers."""
    return Peer(wakeless.url, HEADERS | wakeless.token("viewer"))


def read(answer: Answer) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """Series as ``converter/prom.go`` reads them: the type first, times as numbers, values as texts."""
    assert answer.status == 200
    assert next(iter(answer.document)) == "status"
    assert answer.document["status"] == "success"
    data = answer.data
    assert list(data)[:2] == ["resultType", "result"]
    match data["resultType"]:
        case "scalar":
            return [({}, [point(data["result"])])]
        case "vector":
            return [(one["metric"], [point(one["value"])]) for one in data["result"]]
        case "matrix":
            return [(one["metric"], [point(pair) for pair in one["values"]]) for one in data["result"]]
    raise AssertionError(data["resultType"])


def point(pair: list[Any]) -> tuple[float, float]:
    time, value = pair
    assert re.fullmatch(r"[+-]Inf|NaN|-?[0-9.]+(e[+-][0-9]{2,})?", value)
    return float(time), float(value)


# --- Save & test ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "get"])
def test_save_and_test_computes_one_and_one_at_the_beginning_of_time(grafana: Peer, method: str) -> None:
    """``healthcheck.go``: an instant query ``1+1`` from second 1 to second 4; anything but 200 is a failure."""
    answer = getattr(grafana, method)("query", query="1+1", time="4")
    assert read(answer) == [({}, [(4.0, 2.0)])]


def test_save_and_test_looks_what_kind_of_server_it_is(grafana: Peer) -> None:
    """``heuristics.go``: without ``features`` it is a Prometheus, whose rules it cannot edit; all fields are texts."""
    found = grafana.get("status/buildinfo")
    assert found.document["status"] == "success"
    assert "features" not in found.data
    assert all(isinstance(value, str) for value in found.data.values())
    version = tuple(map(int, found.data["version"].split(".")))
    assert version >= (2, 24, 0)  # below, ``datasource.ts`` asks for whole series instead of names


def test_the_paths_that_it_tries_by_post_first_refuse_that(grafana: Peer) -> None:
    """``client.go``: after 405 or 400 it asks once more by GET; these paths miss its list for want of a slash."""
    for path in ("status/buildinfo", "rules", "alerts"):
        assert grafana.post(path).status == 405
        assert grafana.get(path).status == 200


def test_an_old_way_to_tell_the_kind_is_answered_too(grafana: Peer) -> None:
    """``buildInfo.ts``: the flags that only Thanos' heuristics look at, and a metric that only Prometheus has."""
    assert grafana.get("status/flags").document["status"] == "success"
    assert read(grafana.get("query", query="prometheus_build_info")) == []


# --- start: rules, exemplars, names -----------------------------------------------------------------------------------


def test_it_learns_the_recording_rules(grafana: Peer) -> None:
    """``datasource.ts``, ``extractRuleMappingFromGroups``: type, name and query of every rule of every group."""
    groups = grafana.get("rules").data["groups"]
    assert groups
    for group in groups:
        for rule in group["rules"]:
            assert rule["type"] in ("alerting", "recording")
            assert rule["name"]
            assert rule["query"]


def test_it_asks_whether_there_are_exemplars_with_times_in_milliseconds(grafana: Peer) -> None:
    """``datasource.ts``, ``areExemplarsAvailable``; ``client.go`` posts an empty form, all is in the address."""
    answer = grafana.post("query_exemplars?query=test&start=1700000000000&end=1700001800000")
    assert answer.document == {"status": "success", "data": []}


def test_names_for_completion(grafana: Peer) -> None:
    """``resource_clients.ts``: all metrics, all labels, with the range and a limit."""
    metrics = grafana.get("label/__name__/values", **RANGE, limit=LIMIT).data
    assert metrics == ["a", "b_total", "big", "odd"]
    for labels in (grafana.post("labels", **RANGE, limit=LIMIT), grafana.get("labels", **RANGE, limit=LIMIT)):
        assert labels.data == ["__name__", "gpu", "is", "path"]
    assert "warnings" not in labels.document


def test_meanings_for_completion(grafana: Peer) -> None:
    """``language_provider.ts``, ``fixSummariesMetadata``: of each metric the first entry, with its type and help."""
    found = grafana.get("metadata", limit=LIMIT).data
    assert isinstance(found, dict)
    for entries in found.values():
        assert entries[0]["type"] in ("gauge", "counter", "histogram")
        assert entries[0]["help"]


# --- label browser and query builder ----------------------------------------------------------------------------------


def test_the_label_browser_narrows_down(grafana: Peer) -> None:
    """``useMetricsLabelsValues.ts``: metrics and labels by selector, values label by label, and a final check."""
    chosen = '{gpu=~"0|1"}'
    assert grafana.get("label/__name__/values", **RANGE, match=chosen, limit=LIMIT).data == ["a"]
    assert grafana.post("labels", **RANGE, match='{__name__=~"a|odd"}', limit=LIMIT).data == ["__name__", "gpu", "is"]
    assert grafana.get("label/gpu/values", **RANGE, match='{__name__="a"}', limit=LIMIT).data == ["0", "1"]
    assert grafana.get("label/gpu/values", **RANGE, match='a{gpu="1"}', limit=LIMIT).data == ["1"]
    assert grafana.post("labels", **RANGE, match='a{gpu="1"}', limit=LIMIT).data == ["__name__", "gpu"]


def test_a_limit_is_kept(grafana: Peer) -> None:
    """``resource_clients.ts``: the user's limit; 0 is none."""
    assert grafana.get("label/gpu/values", **RANGE, limit="1").data == ["0"]
    assert len(grafana.post("series", **RANGE, match=EVERYTHING, limit="2").data) == 2
    assert len(grafana.post("series", **RANGE, match=EVERYTHING, limit="0").data) == 6


def test_names_beyond_letters_are_escaped(grafana: Peer) -> None:
    """``utf8_support.ts``, ``escapeForUtf8Support``: in addresses; in selectors they are quoted."""
    assert grafana.get("label/U__no_2e_where/values", **RANGE, limit=LIMIT).data == []
    assert grafana.post("labels", **RANGE, match='{"no.where", "a.b"="c"}', limit=LIMIT).data == []


def test_whole_series_for_old_servers(grafana: Peer) -> None:
    """``resource_clients.ts``, ``SeriesApiClient``: label sets as flat objects of texts."""
    found = grafana.post("series", **RANGE, match=EVERYTHING, limit=LIMIT).data
    assert {one["__name__"] for one in found} == {"a", "b_total", "big", "odd"}
    assert all(isinstance(value, str) for one in found for value in one.values())
    only = grafana.post("series", **RANGE, match='{__name__="a",gpu!=""}', limit=LIMIT).data
    assert only == [{"__name__": "a", "gpu": "0"}, {"__name__": "a", "gpu": "1"}]


# --- template variables -----------------------------------------------------------------------------------------------


def test_template_variables(grafana: Peer) -> None:
    """``metric_find_query.ts``: label_names(), label_values(), metrics(), query_result() and a bare selector."""
    assert "gpu" in grafana.post("labels", **RANGE).data
    assert grafana.get("label/gpu/values", **RANGE, match="a").data == ["0", "1"]
    assert "b_total" in grafana.get("label/__name__/values", **RANGE).data
    found = grafana.post("query", query="topk(1, a)", time=str(T0 + 30))
    ((labels, ((time, value),)),) = read(found)
    assert (labels["gpu"], time, value) == ("0", T0 + 30, 1e18)
    scalar = grafana.post("query", query="scalar(sum(b_total))", time=str(T0 + 30))
    assert scalar.data["result"][1] == "210"
    assert len(grafana.post("series", **RANGE, match='{__name__="a"}').data) == 2


# --- panels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("step", ["15", "0.5", "2"])
def test_a_panel_draws_a_range(grafana: Peer, method: str, step: str) -> None:
    """``client.go``, ``QueryRange``: times and step as seconds with decimals, and a time limit where one is set."""
    window = {"start": f"{T0 + 2}.125", "end": str(T0 + 32), "step": step, "timeout": "60s"}
    found = read(getattr(grafana, method)("query_range", query='sum by (gpu) (a{gpu!~"x.*"})', **window))
    assert [labels for labels, _ in found] == [{"gpu": "0"}, {"gpu": "1"}]
    for _, points in found:
        times = [time for time, _ in points]
        assert times[0] == T0 + 2.125
        assert times == sorted(times)
        assert len(times) == int(29.875 / float(step)) + 1


def test_a_panel_shows_what_is_not_finite(grafana: Peer) -> None:
    """``converter/prom.go``: ``NaN``, ``+Inf`` and ``-Inf`` are values."""
    found = read(grafana.post("query_range", query="a / 0", start=str(T0 + 2), end=str(T0 + 2), step="1"))
    assert [points[0][1] for _, points in found] == [float("inf"), float("inf")]
    ((_, ((_, value),)),) = read(grafana.post("query", query='odd{is="nan"}', time=str(T0 + 2)))
    assert value != value


def test_a_table_shows_one_moment(grafana: Peer) -> None:
    """``client.go``, ``QueryInstant``: the end of the range, with milliseconds."""
    found = read(grafana.post("query", query="b_total", time=f"{T0 + 31}.5"))
    assert found == [({"__name__": "b_total", "path": 'say "hi"\\ <&>'}, [(T0 + 31.5, 210.0)])]


def test_exemplars_of_a_panel_are_an_empty_list(grafana: Peer) -> None:
    """``client.go``, ``QueryExemplars``: a form with the panel's query and range."""
    query = "histogram_quantile(0.9, sum by (le) (rate(x_bucket[1m])))"
    assert grafana.post("query_exemplars", query=query, **RANGE).data == []


def test_remarks_reach_the_panel(grafana: Peer) -> None:
    """``converter/prom.go``: ``warnings`` and ``infos`` beside the data, lists of texts."""
    warned = grafana.post("query", query="quantile(7, a)", time=str(T0))
    assert all(isinstance(text, str) for text in warned.document["warnings"])
    informed = grafana.post("query_range", query="rate(a[30s])", **RANGE, step="15")
    assert all(isinstance(text, str) for text in informed.document["infos"])


def test_an_error_reaches_the_panel(grafana: Peer) -> None:
    """``converter/prom.go``: ``errorType: error`` is what the panel shows."""
    for answer, status, kind in (
        (grafana.post("query_range", query="sum(", **RANGE, step="15"), 400, "bad_data"),
        (grafana.post("query", query="a * on() a", time=str(T0)), 422, "execution"),
    ):
        assert (answer.status, answer.document["status"], answer.document["errorType"]) == (status, "error", kind)
        assert answer.document["error"]


# --- alert lists ------------------------------------------------------------------------------------------------------


def test_the_alert_list_reads_rules(grafana: Peer) -> None:
    """``lotex_prom.go``, ``RuleResponse``, and ``prometheus.ts``, which sorts groups by file."""
    for group in grafana.get("rules").data["groups"]:
        assert {"name", "file", "rules", "interval", "lastEvaluation", "evaluationTime"} <= set(group)
        datetime.fromisoformat(group["lastEvaluation"])
        for rule in group["rules"]:
            assert {"name", "query", "health", "type", "lastEvaluation", "evaluationTime"} <= set(rule)
            assert rule["health"] in ("ok", "err", "unknown")
            if rule["type"] == "alerting":
                assert rule["state"] in ("firing", "pending", "inactive")
                assert float(rule["duration"]) >= 0
                assert isinstance(rule["labels"], dict)
                assert isinstance(rule["annotations"], dict)
                assert isinstance(rule["alerts"], list)


def test_the_alert_list_reads_alerts(grafana: Peer) -> None:
    """``lotex_prom.go``, ``AlertResponse``."""
    for alert in grafana.get("alerts").data["alerts"]:
        assert {"labels", "annotations", "state", "activeAt", "value"} <= set(alert)
        assert alert["labels"]["alertname"]
        datetime.fromisoformat(alert["activeAt"])
        float(alert["value"])


def test_a_token_that_is_wrong_is_told_as_such(wakeless: RunningServer) -> None:
    """``request.go`` shows the status of *Save & test*'s query when it is not 200."""
    status, body = wakeless.get("/api/v1/query?query=1%2B1&time=4", Authorization="Bearer wl_nonsense")
    assert status == 401
    assert json.loads(body)["detail"]
