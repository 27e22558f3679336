"""Beside the real programs: node_exporter is scraped, a real Prometheus is compared with and sends what it has, and so
does OpenTelemetry's own exporter."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from config_target import ScrapeTarget
from targets.fetch import fetch
from targets.scrape.job import ScrapeJob
from tests.running import RunningServer, eventually, free_port

NODE_EXPORTER = shutil.which("prometheus-node-exporter")
PROMETHEUS = shutil.which("prometheus")
needs_debian = pytest.mark.skipif(not NODE_EXPORTER or not PROMETHEUS, reason="needs Debian's prometheus packages")
JOB = "relabelled"
#: Each action once, over what node_exporter exposes.
RELABEL: list[dict[str, Any]] = [
    {"action": "keep", "source_labels": ["__name__"], "regex": "node_(cpu|memory|network|filesystem|disk|scrape).*"},
    {"action": "drop", "source_labels": ["__name__", "mode"], "regex": "node_cpu_seconds_total;(nice|iowait|steal)"},
    {"source_labels": ["cpu", "mode"], "separator": "/", "regex": "(.+)/(?P<m>u.*)", "target_label": "pair",
     "replacement": "${m}-$1-$9"},
    {"source_labels": ["__name__"], "regex": "node_memory_(.+)_bytes", "target_label": "__name__",
     "replacement": "mem_$1"},
    {"action": "hashmod", "source_labels": ["__name__", "device"], "modulus": 7, "target_label": "shard"},
    {"action": "labelmap", "regex": "(dev)ice", "replacement": "${1}_name"},
    {"action": "labeldrop", "regex": "fstype|device_error"},
    {"action": "uppercase", "source_labels": ["mode"], "target_label": "mode"},
    {"action": "lowercase", "source_labels": ["collector"], "target_label": "collector"},
    {"source_labels": ["shard"], "regex": "3", "target_label": "third", "replacement": "a$$b"},
]  # fmt: skip


def _get(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.loads(answer.read())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def running(url: str, log: Path, *command: str) -> Iterator[None]:
    """Run a program until the end of the block, from when its ``url`` answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _answers(url), what=url)
        yield
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host and port of a real node_exporter."""
    at = f"127.0.0.1:{free_port()}"
    log = tmp_path_factory.mktemp("node") / "log"
    with running(f"http://{at}/metrics", log, str(NODE_EXPORTER), f"--web.listen-address={at}"):
        yield at


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, node: str) -> Iterator[tuple[RunningServer, dict[str, str]]]:
    """A real Wakeless that scrapes node_exporter and itself, and a token of an operator."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "wakeless.yaml"
    server = RunningServer(folder / "data", MODEL__ENABLED="false", CONFIG=config)
    targets = [
        {"name": "box", "scrape": {"url": f"http://{node}/metrics", "interval": "1s", "profile": "node"}},
        {"name": "twin", "scrape": {"url": f"{server.url}/metrics", "interval": "1s"}},
    ]
    config.write_text(yaml.safe_dump({"targets": targets}))
    with server:
        yield server, server.token("operator")


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, node: str, server: tuple[RunningServer, dict[str, str]]
) -> Iterator[str]:
    """A real Prometheus that scrapes node_exporter twice, and sends one of the two to the real Wakeless."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    target = {"static_configs": [{"targets": [node]}]}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "pushed", **target},
            {"job_name": JOB, "metric_relabel_configs": RELABEL, **target},
        ],
        "remote_write": [
            {
                "url": f"{server[0].url}/api/v1/write",
                "authorization": {"credentials": server[1]["Authorization"].removeprefix("Bearer ")},
                "write_relabel_configs": [{"source_labels": ["job"], "regex": "pushed", "action": "keep"}],
                "queue_config": {"batch_send_deadline": "1s"},
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{port}"
    command = [
        str(PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(f"{url}/-/ready", folder / "log", *command):
        yield url


def query(url: str, text: str, **headers: str) -> dict[frozenset[tuple[str, str]], float]:
    """An instant query over the API of either."""
    answer = _get(f"{url}/api/v1/query?query={urllib.parse.quote(text)}", **headers)
    return {frozenset(one["metric"].items()): float(one["value"][1]) for one in answer["data"]["result"]}


@needs_debian
def test_node_exporter_is_scraped_as_prometheus_clients_parser_reads_it(node: str) -> None:
    job = ScrapeJob("box", 0, ScrapeTarget(url=f"http://{node}/metrics"), node, fetch)
    ticks = job.scrape(1_700_000_000_000)
    assert job.state.error is None
    with urllib.request.urlopen(f"http://{node}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    own = {"job": "box", "instance": node}
    wanted = {
        (one.name, tuple(sorted((name, value) for name, value in {**one.labels, **own}.items() if value)))
        for family in families
        for one in family.samples
    }
    found = {(sample.name, sample.labels) for sample in ticks[0].samples}
    assert len(found) > 300
    assert not {name for name, _ in found ^ wanted if not name.startswith(("go_", "promhttp_"))}


@needs_debian
def test_relabelling_comes_to_the_series_that_prometheus_comes_to(node: str, prometheus: str) -> None:
    settings = ScrapeTarget.model_validate({"url": f"http://{node}/metrics", "relabel": RELABEL})
    ticks = ScrapeJob(JOB, 0, settings, node, fetch).scrape(1_700_000_000_000)
    ours = {frozenset({("__name__", one.name), *one.labels}) for one in ticks[0].samples}
    reports = r"up|scrape_.+"
    match = urllib.parse.quote(f'{{job="{JOB}",__name__!~"{reports}"}}')

    def theirs() -> set[frozenset[tuple[str, str]]]:
        return {frozenset(one.items()) for one in _get(f"{prometheus}/api/v1/series?match[]={match}")["data"]}

    eventually(theirs, what="Prometheus' first scrape")
    assert ours == theirs()
    assert len(ours) > 50


@needs_debian
def test_what_prometheus_sends_is_answered_here_as_it_is_there(
    prometheus: str, server: tuple[RunningServer, dict[str, str]]
) -> None:
    wakeless, headers = server
    names = "up|node_memory_MemTotal_bytes|node_uname_info|node_boot_time_seconds|node_exporter_build_info"
    still = f'{{job="pushed",__name__=~"{names}"}}'
    wanted = eventually(lambda: query(prometheus, still), what="Prometheus' first scrape")
    assert len(wanted) == 5
    eventually(lambda: query(wakeless.url, still, **headers) == wanted, what="the same answer")
    count = 'count({job="pushed"})'
    there = query(prometheus, count)
    eventually(lambda: query(wakeless.url, count, **headers) == query(prometheus, count), what=f"{there} series")
    # The moments and values are the same, too: whatever both have of the last seconds.
    series = 'node_cpu_seconds_total{job="pushed",cpu="0",mode="idle"}[30s]'

    def points(url: str, **more: str) -> dict[float, str]:
        found = _get(f"{url}/api/v1/query?query={urllib.parse.quote(series)}", **more)["data"]["result"]
        return {float(time_s): value for one in found for time_s, value in one["values"]}

    eventually(lambda: len(points(wakeless.url, **headers)) >= 3, what="some samples")
    ours, theirs = points(wakeless.url, **headers), points(prometheus)
    both = ours.keys() & theirs.keys()
    assert len(both) >= len(ours) - 2
    assert all(float(ours[moment]) == float(theirs[moment]) for moment in both)
    results = query(wakeless.url, 'ingest_samples_total{kind="remote_write"}', **headers)
    kept = {dict(labels)["result"]: value for labels, value in results.items()}
    assert kept["accepted"] > 0
    assert sum(kept.values()) == kept["accepted"] + kept["duplicate"]


def test_opentelemetrys_own_exporter_is_understood(server: tuple[RunningServer, dict[str, str]]) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    wakeless, headers = server
    exporter = OTLPMetricExporter(endpoint=f"{wakeless.url}/v1/metrics", headers=headers)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    resource = Resource({"service.name": "shop", "service.instance.id": "pod-1", "cloud.region": "north"})
    provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    try:
        meter = provider.get_meter("test")
        meter.create_counter("orders.placed", unit="{order}").add(3, {"http.route": "/buy"})
        meter.create_up_down_counter("queue.length").add(2)
        meter.create_histogram("request.duration", unit="ms").record(30)
        meter.create_gauge("cpu.load", unit="1").set(0.5)
        assert provider.force_flush()
        wanted = {
            'orders_placed_total{http_route="/buy"}': 3,
            "queue_length": 2,
            'request_duration_milliseconds_bucket{le="25"}': 0,
            'request_duration_milliseconds_bucket{le="50"}': 1,
            'request_duration_milliseconds_bucket{le="+Inf"}': 1,
            "request_duration_milliseconds_sum": 30,
            "cpu_load_ratio": 0.5,
            'target_info{cloud_region="north"}': 1,
        }
        for text, value in wanted.items():
            found = eventually(lambda text=text: query(wakeless.url, text, **headers), what=text)  # type: ignore[misc]
            [(labels, got)] = found.items()
            assert got == value, text
            assert dict(labels)["job"] == "shop"
            assert dict(labels)["instance"] == "pod-1"
    finally:
        provider.shutdown()


@needs_debian
def test_a_server_that_is_scraped_by_itself_comes_to_the_same_verdicts(
    server: tuple[RunningServer, dict[str, str]],
) -> None:
    """Its own metrics come twice then, by the same names: no rule of ours may look at the second ones."""
    wakeless, headers = server
    eventually(lambda: query(wakeless.url, 'up{job="twin"} == 1', **headers), what="the scrape of itself")
    eventually(lambda: query(wakeless.url, 'collector_up{job="twin"}', **headers), what="its series")
    assert query(wakeless.url, 'process_start_time_seconds{job="twin"}', **headers)
    groups = _get(f"{wakeless.url}/api/v1/rules", **headers)["data"]["groups"]
    rules = [rule for group in groups if group["name"].startswith("wakeless") for rule in group["rules"]]
    assert len(rules) > 40
    about_others = ("ScrapeDown", "ScrapeLimit")
    for rule in rules:
        if rule["name"] in about_others:
            continue
        for labels in query(wakeless.url, rule["query"], **headers):
            assert dict(labels).get("instance") is None, rule["name"]
