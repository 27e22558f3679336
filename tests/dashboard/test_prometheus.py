"""The Prometheus HTTP API, as Grafana, promtool and scripts use it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from collectors.sample import Sample, Tick, make_labels
from promql import Engine
from tests.dashboard.house import House, MakeHouse, open_house

T0 = 1_700_000_000
PROMTOOL = shutil.which("promtool")

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
        samples = tuple(Sample("a", make_labels(gpu=gpu), second + gpu / 4) for gpu in (0, 1))
        house.services.store.append([Tick("t", (T0 + second) * 1000, samples)])


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
        ("query", {"query": "a", "time": "noon"}, 400, "bad_data", 'cannot parse "noon" to a valid timestamp'),
        ("query", {"query": "a", "timeout": "x"}, 400, "bad_data", 'cannot parse "x" to a valid duration'),
        ("query", {"query": "a", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit"'),
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
        ("labels", {"start": 5, "end": 1}, 400, "bad_data", "end timestamp must not"),
        ("label/0bad/values", {}, 400, "bad_data", 'invalid label name: "0bad"'),
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
    assert call(filled, "labels")["data"] == ["__name__", "gpu"]
    assert call(filled, "labels", match_list="nothing")["data"] == []
    assert call(filled, "label/gpu/values")["data"] == ["0", "1"]
    assert call(filled, "label/gpu/values", match_list='a{gpu!="0"}')["data"] == ["1"]
    assert call(filled, "label/__name__/values")["data"] == ["a"]


def test_it_explains_metrics(filled: House) -> None:
    found = call(filled, "metadata", metric="gpu_power_watts")["data"]
    assert found == {"gpu_power_watts": [{"type": "gauge", "unit": "watts", "help": "Power drawn by the board."}]}
    assert len(call(filled, "metadata", limit=3)["data"]) == 3
    assert call(filled, "metadata", metric="nothing")["data"] == {}


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


def test_it_says_what_it_is(filled: House) -> None:
    assert call(filled, "status/buildinfo")["data"]["application"] == "Wakeless"


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        """Keep the test's output clean."""


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_can_query_us(filled: House) -> None:
    # As an anonymous viewer: Debian's promtool has no option for a token yet.
    server = make_server("127.0.0.1", 0, filled.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def ask(*arguments: str) -> str:
        command = [PROMTOOL or "", "query", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert ask("instant", f"--time={T0 + 4}", url, 'a{gpu="1"}') == f'a{{gpu="1"}} => 4.25 @[{T0 + 4}]'
        found = ask("range", f"--start={T0}", f"--end={T0 + 2}", "--step=1s", url, "sum(a)")
        assert found == f"{{}} =>\n0.25 @[{T0}]\n2.25 @[{T0 + 1}]\n4.25 @[{T0 + 2}]"
        assert ask("series", "--match=a", f"--start={T0}", f"--end={T0 + 9}", url).count("__name__") == 2
        assert ask("labels", f"--start={T0}", f"--end={T0 + 9}", url, "gpu") == "0\n1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
