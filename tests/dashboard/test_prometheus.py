"""The Prometheus HTTP API, as Grafana, promtool and scripts use it."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from gunicorn.http.errors import InvalidChunkSize

from collectors.sample import Sample, Tick, make_labels
from dashboard.sending import SEND_SECONDS
from promql import Engine
from storage.error import StorageError
from tests.dashboard.house import House, MakeHouse, open_house

T0 = 1_700_000_000

RULES = """
groups:
  - name: test
    interval: 10s
    rules:
      - record: job:a:sum
        expr: sum(a)
        labels: {team: x}
      - alert: Big
        expr: a > 1
        keep_firing_for: 1m
        labels: {severity: warning}
        annotations: {summary: "{{ $value }} is big"}
      - alert: Never
        expr: a > 100
        for: 5m
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Ten seconds of two series, for tests that only ask."""
    with open_house(tmp_path_factory.mktemp("filled"), auth={"anonymous": "viewer"}) as house:
        fill(house)
        yield house


def test_a_query_that_takes_too_long_is_a_503_that_says_so(make_house: MakeHouse) -> None:
    house = make_house(auth={"anonymous": "viewer"})
    fill(house)
    house.services.query = Engine(house.services.store, timeout_seconds=-1.0)
    for call in (f"query?query=a&time={T0}", f"query_range?query=a&start={T0}&end={T0 + 5}&step=1"):
        answer = house.visitor().get(f"/api/v1/{call}")
        assert answer.status_code == 503
        assert answer.get_json() == {"status": "error", "errorType": "timeout", "error": "the query took too long"}


@pytest.fixture
def ruled(make_house: MakeHouse, tmp_path: Path) -> House:
    """The same series, and rules over them."""
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES)
    house = make_house(alerts={"rules": [rules], "stock_rules": False})
    fill(house)
    return house


def fill(house: House) -> None:
    for second in range(10):
        samples = [Sample("a", make_labels(gpu=gpu), second + gpu / 4) for gpu in (0, 1)]
        samples += [Sample("gpu_power_watts", (("a.b", "\N{BUG}"),), 300.0)]
        samples += [Sample("inference_queue_duration_seconds_count", (), float(second))]
        house.services.store.append([Tick("t", (T0 + second) * 1000, tuple(samples))])


def call(house: House, path: str, status: int = 200, method: str = "GET", **query: Any) -> dict[str, Any]:
    """Call the API; returns the envelope."""
    client, headers = house.visitor(), house.token("viewer")
    # A keyword cannot hold brackets.
    pairs = {name.replace("_list", "[]"): value for name, value in query.items()}
    if method == "POST":
        answer = client.post(f"/api/v1/{path}", data=pairs, headers=headers)
    else:
        answer = client.get(f"/api/v1/{path}?{urlencode(pairs, doseq=True)}", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    document: dict[str, Any] = answer.get_json()
    assert document["status"] == ("success" if status == 200 else "error")
    return document


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_instant_query_gives_a_vector(filled: House, method: str) -> None:
    found = call(filled, "query", method=method, query='a{gpu="1"}', time=T0 + 4)
    assert found["data"] == {
        "resultType": "vector",
        "result": [{"metric": {"__name__": "a", "gpu": "1"}, "value": [T0 + 4, "4.25"]}],
    }


def test_scalars_strings_and_ranges_have_their_own_forms(filled: House) -> None:
    at = f"{T0 + 2}.5"
    assert call(filled, "query", query="1/3", time=at)["data"] == {
        "resultType": "scalar",
        "result": [T0 + 2.5, "0.3333333333333333"],
    }
    assert call(filled, "query", query='"hi"', time=at)["data"] == {"resultType": "string", "result": [T0 + 2.5, "hi"]}
    found = call(filled, "query", query='a{gpu="0"}[2s]', time=at)["data"]
    assert found["resultType"] == "matrix"
    assert found["result"][0]["values"] == [[T0 + 1, "1"], [T0 + 2, "2"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_range_query_gives_a_matrix(filled: House, method: str) -> None:
    found = call(filled, "query_range", method=method, query="sum(a)", start=T0, end=T0 + 4, step="2s")
    assert found["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[T0, "0.25"], [T0 + 2, "4.25"], [T0 + 4, "8.25"]]}],
    }


def test_times_may_be_rfc_3339(filled: House) -> None:
    found = call(filled, "query", query="count(a)", time="2023-11-14T22:13:25Z")
    assert found["data"]["result"][0]["value"] == [T0 + 5, "2"]


def test_a_limit_cuts_and_says_so(filled: House) -> None:
    found = call(filled, "query", query="a", time=T0, limit=1)
    assert len(found["data"]["result"]) == 1
    assert found["warnings"] == ["results truncated due to limit"]
    assert "warnings" not in call(filled, "query", query="a", time=T0, limit=2)
    assert "warnings" not in call(filled, "query", query="a", time=T0, limit=0)
    assert call(filled, "labels", limit=1)["data"] == ["__name__"]


@pytest.mark.parametrize(
    ("path", "query", "status", "kind", "text"),
    [
        ("query", {"query": "a +"}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {}, 400, "bad_data", 'invalid parameter "query"'),
        (
            "query",
            {"query": "a", "time": "noon"},
            400,
            "bad_data",
            """invalid parameter "time": Invalid time value for 'time': cannot parse "noon" to a valid timestamp""",
        ),
        ("query", {"query": "a", "timeout": "x"}, 400, "bad_data", 'cannot parse "x" to a valid duration'),
        ("query", {"query": "a", "timeout": "-1s"}, 400, "bad_data", 'cannot parse "-1s" to a valid duration'),
        ("query", {"query": "a", "timeout": "-1"}, 503, "timeout", "took too long"),
        ("query", {"query": "a", "lookback_delta": "x"}, 400, "bad_data", "error parsing lookback delta duration"),
        ("query", {"query": "a", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit": limit must be non-neg'),
        ("query", {"query": "a", "limit": "1.5"}, 400, "bad_data", 'strconv.Atoi: parsing "1.5": invalid syntax'),
        ("query", {"query": "a + on() a", "time": T0}, 422, "execution", ""),
        ("query_range", {"query": "a", "end": T0, "step": 1}, 400, "bad_data", 'invalid parameter "start"'),
        (
            "query_range",
            {"query": "a", "start": T0, "end": T0 - 1, "step": 1},
            400,
            "bad_data",
            "end timestamp must not",
        ),
        ("query_range", {"query": "a", "start": T0, "end": T0, "step": 0}, 400, "bad_data", "zero or negative"),
        ("query_range", {"query": "a", "start": T0, "end": T0, "step": -5}, 400, "bad_data", "zero or negative"),
        ("query_range", {"query": "a", "start": 0, "end": T0, "step": 1}, 400, "bad_data", "11,000 points"),
        ("query_range", {"query": "a[5m]", "start": T0, "end": T0, "step": 1}, 400, "bad_data", ""),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match_list": "rate(a[1m])"}, 400, "bad_data", 'invalid parameter "match[]"'),
        ("series", {"match_list": "{}"}, 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        ("series", {"match_list": "{"}, 400, "bad_data", "parse error"),
        ("labels", {"match_list": "a["}, 400, "bad_data", "parse error"),
        ("query_exemplars", {"query": "a", "start": 5, "end": 1}, 400, "bad_data", "end timestamp must not be before"),
        ("query_exemplars", {"query": "a +"}, 400, "bad_data", "parse error"),
        ("metadata", {"limit": "x"}, 400, "bad_data", "limit must be a number"),
        ("status/tsdb", {"limit": "0"}, 400, "bad_data", "limit must be a positive number"),
        ("rules", {"exclude_alerts": "maybe"}, 400, "bad_data", 'invalid parameter "exclude_alerts"'),
        ("rules", {"group_limit": "0"}, 400, "bad_data", 'invalid parameter "group_limit"'),
        ("rules", {"group_next_token": "x"}, 400, "bad_data", "group_limit needs to be set"),
        ("rules", {"group_limit": 1, "group_next_token": "x"}, 400, "bad_data", 'invalid parameter "group_next_token"'),
        ("rules", {"type": "both"}, 400, "bad_data", 'invalid parameter "type"'),
    ],
)
def test_errors_are_told_as_prometheus_tells_them(
    filled: House, path: str, query: dict[str, Any], status: int, kind: str, text: str
) -> None:
    found = call(filled, path, status, **query)
    assert found["errorType"] == kind
    assert text in found["error"]


def test_it_lists_series_labels_and_values(filled: House) -> None:
    both = [{"__name__": "a", "gpu": "0"}, {"__name__": "a", "gpu": "1"}]
    assert call(filled, "series", match_list="a")["data"] == both
    assert call(filled, "series", method="POST", match_list='a{gpu="1"}')["data"] == both[1:]
    assert call(filled, "series", match_list=['a{gpu="1"}', 'a{gpu="0"}'])["data"] == both
    assert call(filled, "series", match_list="a", start=T0 - 100, end=T0 - 50)["data"] == []
    assert call(filled, "labels")["data"] == ["__name__", "a.b", "gpu"]
    assert call(filled, "labels", match_list="nothing")["data"] == []
    assert call(filled, "labels", start=5, end=1)["data"] == []
    assert call(filled, "label/gpu/values")["data"] == ["0", "1"]
    assert call(filled, "label/gpu/values", match_list='a{gpu!="0"}')["data"] == ["1"]
    assert call(filled, "label/0nothing/values")["data"] == []
    names = ["a", "gpu_power_watts", "inference_queue_duration_seconds_count"]
    assert call(filled, "label/__name__/values")["data"] == names


@pytest.mark.parametrize("edges", [("-9223309901257974", "9223309901257975"), ("-292273086-05-16T16:47:06Z", T0 + 5)])
def test_all_of_time_may_be_asked_for(filled: House, edges: tuple[str, str]) -> None:
    start, end = edges
    assert len(call(filled, "series", match_list="a", start=start, end=end)["data"]) == 2
    assert call(filled, "labels", start=start, end=end)["data"] == ["__name__", "a.b", "gpu"]
    assert call(filled, "query", query="a", time=start)["data"]["result"] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("U__a_2e_b", ["\N{BUG}"]),
        ("U__gpu", ["0", "1"]),
        ("U______name____", ["a", "gpu_power_watts", "inference_queue_duration_seconds_count"]),
        ("U__a_2e", []),
        ("U__a_D800_", []),
        ("U__a_zz_b", []),
        ("a.b", ["\N{BUG}"]),
    ],
)
def test_a_labels_name_may_be_escaped(filled: House, name: str, values: list[str]) -> None:
    assert call(filled, f"label/{name}/values")["data"] == values


def test_it_explains_the_metrics_that_there_are(filled: House) -> None:
    power = {"gpu_power_watts": [{"type": "gauge", "unit": "watts", "help": "Power drawn by the board."}]}
    assert call(filled, "metadata", metric="gpu_power_watts")["data"] == power
    queue = call(filled, "metadata", metric="inference_queue_duration_seconds")["data"]
    assert queue["inference_queue_duration_seconds"][0]["type"] == "histogram"
    assert call(filled, "metadata")["data"] == power | queue
    assert len(call(filled, "metadata", limit=1)["data"]) == 1
    assert call(filled, "metadata", limit=0)["data"] == {}
    assert call(filled, "metadata", limit=-1, limit_per_metric=1)["data"] == power | queue
    assert call(filled, "metadata", metric="gpu_temperature_celsius")["data"] == {}


def test_a_form_comes_before_the_address(filled: House) -> None:
    client, headers = filled.visitor(), filled.token("viewer")
    found = client.post(f"/api/v1/query?query=1&time={T0}", data={"query": "2"}, headers=headers).get_json()
    assert found["data"]["result"] == [T0, "2"]


def test_the_caller_may_look_back_less_far_and_wait_less_long(filled: House) -> None:
    at = T0 + 30
    assert len(call(filled, "query", query="a", time=at)["data"]["result"]) == 2
    assert call(filled, "query", query="a", time=at, lookback_delta="5s")["data"]["result"] == []
    assert len(call(filled, "query", query="a", time=at, lookback_delta="0", timeout="1m")["data"]["result"]) == 2
    ranged: dict[str, Any] = {"query": "a", "start": T0, "end": at, "step": 1, "lookback_delta": "500ms"}
    assert len(call(filled, "query_range", **ranged)["data"]["result"][0]["values"]) == 10
    assert call(filled, "query_range", 503, **ranged, timeout="0")["errorType"] == "timeout"


def test_what_a_query_remarks_stands_beside_its_result(filled: House) -> None:
    found = call(filled, "query", query="quantile(7, a)", time=T0)
    assert "quantile value should be between 0 and 1" in found["warnings"][0]
    cut = call(filled, "query", query="quantile by (gpu) (7, a)", time=T0, limit=1)
    assert len(cut["warnings"]) == 2
    assert cut["warnings"][1] == "results truncated due to limit"
    assert call(filled, "query", query="rate(a[5s])", time=T0 + 5)["infos"]
    assert "infos" not in call(filled, "query", query="a", time=T0 + 5)


def test_it_says_how_long_it_took_if_asked(filled: House) -> None:
    assert "stats" not in call(filled, "query", query="a")["data"]
    assert call(filled, "query", query="a", stats="all")["data"]["stats"]["timings"]["evalTotalTime"] > 0


def test_there_are_no_exemplars(filled: House) -> None:
    assert call(filled, "query_exemplars", method="POST", query="a", start=T0, end=T0 + 9)["data"] == []


def test_a_large_answer_is_compressed_for_who_sits_elsewhere_and_takes_it(filled: House) -> None:
    query = f"/api/v1/query_range?query=a&start={T0}&end={T0 + 200}&step=1"
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    plain = filled.visitor().get(query, environ_overrides=elsewhere)
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    taken = filled.visitor().get(query, environ_overrides=elsewhere, headers={"Accept-Encoding": "deflate, gzip"})
    assert taken.headers["Content-Encoding"] == "gzip"
    assert int(taken.headers["Content-Length"]) == len(taken.data) < len(plain.data) / 3
    assert json.loads(gzip.decompress(taken.data)) == plain.get_json()
    small = filled.visitor().get(
        "/api/v1/query?query=1", environ_overrides=elsewhere, headers={"Accept-Encoding": "gzip"}
    )
    unwanted = filled.visitor().get(query, environ_overrides=elsewhere, headers={"Accept-Encoding": "gzip;q=0"})
    here = filled.visitor().get(query, headers={"Accept-Encoding": "gzip"})
    for answer in (small, unwanted, here):
        assert "Content-Encoding" not in answer.headers
    proxied = {"Accept-Encoding": "gzip", "X-Forwarded-For": "192.0.2.7"}
    assert filled.visitor().get(query, headers=proxied).headers["Content-Encoding"] == "gzip"


def test_pages_of_other_sites_may_not_read_it(filled: House) -> None:
    answer = filled.visitor().get("/api/v1/query?query=1", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_history_that_cannot_be_read_is_said_in_this_apis_form(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()

    def broken(*_: object) -> None:
        raise StorageError("/secret/path is locked", permanent=False)

    monkeypatch.setattr(house.services.store, "labels", broken)
    found = call(house, "labels", 503)
    assert found["errorType"] == "unavailable"
    assert "secret" not in found["error"]
    answer = house.visitor().get("/api/v1/labels", headers=house.token("viewer"))
    assert answer.headers["Retry-After"] == "5"


def test_it_lists_rules_with_their_state(ruled: House) -> None:
    (group,) = call(ruled, "rules")["data"]["groups"]
    assert (group["name"], group["interval"]) == ("test", 10)
    assert group["lastEvaluation"] == "0001-01-01T00:00:00Z"
    assert [rule["health"] for rule in group["rules"]] == ["unknown"] * 3
    ruled.services.alerts.evaluate((T0 + 9) * 1000)
    record, big, never = call(ruled, "rules")["data"]["groups"][0]["rules"]
    assert (record["type"], record["name"], record["query"], record["labels"]) == (
        "recording",
        "job:a:sum",
        "sum(a)",
        {"team": "x"},
    )
    assert (big["type"], big["state"], big["health"], big["keepFiringFor"]) == ("alerting", "firing", "ok", 60)
    assert (never["state"], never["duration"], never["alerts"]) == ("inactive", 300, [])
    assert big["annotations"] == {"summary": "{{ $value }} is big"}
    assert {alert["value"] for alert in big["alerts"]} == {"9e+00", "9.25e+00"}


def test_rules_can_be_chosen(ruled: House) -> None:
    def names(**query: Any) -> list[str]:
        groups = call(ruled, "rules", **query)["data"]["groups"]
        return [rule["name"] for group in groups for rule in group["rules"]]

    assert names(type="alert") == ["Big", "Never"]
    assert names(type="record") == ["job:a:sum"]
    assert names(rule_name_list="Never") == ["Never"]
    assert names(rule_group_list="other") == []
    assert names(match_list='{severity=~"warn.*"}') == ["Big"]
    assert names(match_list=['{severity="warning"}', '{team="x"}']) == ["job:a:sum", "Big"]
    ruled.services.alerts.evaluate((T0 + 9) * 1000)
    groups = call(ruled, "rules", exclude_alerts="true", rule_name_list="Big")["data"]["groups"]
    assert groups[0]["rules"][0]["alerts"] == []


def test_it_lists_alerts_and_an_acknowledged_one_is_firing(ruled: House) -> None:
    ruled.services.alerts.evaluate((T0 + 9) * 1000)
    id = ruled.services.alerts.current()[0].id
    ruled.services.alerts.acknowledge(id, "ada", "seen", (T0 + 9) * 1000)
    found = call(ruled, "alerts")["data"]["alerts"]
    assert {one["state"] for one in found} == {"firing"}
    assert found[0]["labels"]["alertname"] == "Big"
    assert found[0]["activeAt"] == "2023-11-14T22:13:29.000Z"


def test_groups_of_rules_come_page_by_page(make_house: MakeHouse, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    groups = [{"name": name, "rules": [{"alert": f"Rule {name}", "expr": "a > 1"}]} for name in "ABC"]
    rules.write_text(json.dumps({"groups": groups}))
    house = make_house(alerts={"rules": [rules], "stock_rules": False})
    seen: list[list[str]] = []
    token = ""
    while True:
        page = call(house, "rules", group_limit=2, group_next_token=token)["data"]
        seen.append([group["name"] for group in page["groups"]])
        if not (token := page.get("groupNextToken", "")):
            break
    assert seen == [["A", "B"], ["C"]]


def test_it_says_what_it_is(filled: House) -> None:
    found = call(filled, "status/buildinfo")["data"]
    assert found["application"] == "Wakeless"
    assert found["version"] == "3.0.0"
    assert "features" not in found


def test_it_tells_of_itself_without_naming_a_folder(filled: House) -> None:
    runtime = call(filled, "status/runtimeinfo")["data"]
    assert (runtime["storageRetention"], runtime["CWD"]) == ("30d", "")
    assert runtime["goroutineCount"] >= 1
    assert call(filled, "status/flags")["data"]["storage.tsdb.retention.time"] == "30d"
    assert (
        call(filled, "status/config")["data"]["yaml"] == "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n"
    )
    for path in ("runtimeinfo", "flags", "config", "tsdb"):
        assert str(filled.data_dir) not in json.dumps(call(filled, f"status/{path}"))
    assert call(filled, "targets")["data"]["activeTargets"] == []
    assert call(filled, "alertmanagers")["data"]["activeAlertmanagers"] == []


def test_it_counts_its_series(filled: House) -> None:
    found = call(filled, "status/tsdb", limit=2)["data"]
    assert found["headStats"]["numSeries"] == 4
    assert found["headStats"]["numLabelPairs"] == 6
    assert found["headStats"]["minTime"] == T0 * 1000
    assert found["seriesCountByMetricName"][0] == {"name": "a", "value": 2}
    assert found["labelValueCountByLabelName"] == [{"name": "__name__", "value": 3}, {"name": "gpu", "value": 2}]
    assert found["seriesCountByLabelValuePair"][0] == {"name": "__name__=a", "value": 2}
    assert [one["name"] for one in found["memoryInBytesByLabelName"]] == ["__name__", "a.b"]


def test_an_empty_history_has_nothing_to_tell(make_house: MakeHouse) -> None:
    house = make_house()
    found = call(house, "status/tsdb")["data"]
    assert (found["headStats"]["numSeries"], found["seriesCountByMetricName"]) == (0, [])
    assert call(house, "metadata")["data"] == {}
    assert call(house, "label/__name__/values")["data"] == []
    assert call(house, "query", query="up")["data"]["result"] == []


def test_a_query_beyond_those_that_are_computed_at_once_is_told_to_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr("dashboard.prometheus._TURNS", turns)
    monkeypatch.setattr("dashboard.prometheus.TURN_SECONDS", 0.01)
    turns.acquire()
    answer = house.visitor().get("/api/v1/query?query=1", headers=house.token("viewer"))
    assert answer.status_code == 503
    assert answer.get_json()["errorType"] == "unavailable"
    turns.release()
    assert house.visitor().get("/api/v1/query?query=1", headers=house.token("viewer")).status_code == 200


def test_large_answers_that_nobody_reads_keep_no_more_than_others_of_their_kind(
    filled: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr("dashboard.sending._PLACES", places)
    monkeypatch.setattr("dashboard.sending.TURN_SECONDS", 0.01)
    large = f"/api/v1/query_range?query=vector(1) or a&start={T0}&end={T0 + 10_000}&step=1"
    unread = filled.visitor().get(large, headers=filled.token("viewer"), buffered=False)
    assert unread.status_code == 200
    assert call(filled, "query", 503, query="vector(1)[20001s:1s]")["errorType"] == "unavailable"
    assert call(filled, "query", query="a")["data"]
    unread.close()
    assert call(filled, "query", query="vector(1)[20001s:1s]")["data"]


def test_a_connection_that_takes_nothing_is_left_after_a_while(filled: House) -> None:
    near, far = socket.socketpair()
    with near, far:
        for path in ("/api/v1/query?query=1", "/api/export.csv"):
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))
            filled.visitor().get(path, headers=filled.token("viewer"), environ_overrides={"gunicorn.socket": near})
            seconds, _ = struct.unpack("ll", near.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))
            assert seconds == SEND_SECONDS


def test_what_is_outside_of_the_language_is_refused_by_name(house: House) -> None:
    answer = house.visitor().get("/api/v1/query?query=limitk(2, up)", headers=house.token("viewer"))
    assert answer.status_code == 422
    assert "limitk" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "text", [b"query=5%ff", b"query='%ff'", b"query=1&timeout=%c3", b"query=%ed%a0%80", b"query=\xff"]
)
def test_parameters_that_are_no_text_are_refused_and_not_read_as_others(filled: House, text: bytes) -> None:
    headers = filled.token("viewer") | {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [filled.visitor().post("/api/v1/query", data=text, headers=headers)]
    if text.isascii():  # no other address reaches us
        answers.append(filled.visitor().get(f"/api/v1/query?{text.decode()}", headers=headers))
    for answer in answers:
        assert answer.status_code == 400
        assert answer.get_json()["error"] == "the parameters are not valid UTF-8"


def test_what_would_take_long_to_read_is_not_read(filled: House) -> None:
    assert "131072 are allowed" in call(filled, "query", 400, "POST", query="(" * 200_000)["error"]
    assert "64 are allowed" in call(filled, "series", 400, "POST", match_list=["a"] * 65)["error"]
    assert call(filled, "series", 200, "POST", match_list=["a"] * 64)["data"]


def test_a_form_in_chunks_that_are_none_is_the_callers_mistake(filled: House) -> None:
    class Broken(BytesIO):
        def readinto(self, buffer: object) -> int:
            raise InvalidChunkSize(b"ZZ")

        def read(self, size: int | None = -1) -> bytes:
            raise InvalidChunkSize(b"ZZ")

    answer = filled.visitor().post(
        "/api/v1/query",
        input_stream=Broken(),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 400
    assert answer.headers["Connection"] == "close"


def test_a_range_may_have_eleven_thousand_steps_and_a_last_moment(filled: House) -> None:
    found = call(filled, "query_range", query="vector(1)", start=T0, end=T0 + 11_000, step=1)
    assert len(found["data"]["result"][0]["values"]) == 11_001
