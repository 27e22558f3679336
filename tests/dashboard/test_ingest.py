"""Remote write and OTLP as calls: what is kept, what is refused and how, and that nothing hostile costs much."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import cramjam
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from werkzeug.test import TestResponse

from collectors.sample import STALE, Labels
from targets.scrape import inbox as inbox_module
from targets.scrape.otlp_name import bound_text, label_name, metric_name
from targets.scrape.remote_write import _write_request
from tests.dashboard.house import House, MakeHouse

NAME = (("__name__", "a"), ("instance", "i"), ("job", "j"))


def now() -> int:
    return time.time_ns() // 1_000_000


def packed(*series: tuple[Any, list[tuple[int, float]]]) -> bytes:
    request = _write_request()()
    for labels, samples in series:
        one = request.timeseries.add()
        for name, value in labels:
            one.labels.add(name=name, value=value)
        for time_ms, value in samples:
            one.samples.add(timestamp=time_ms, value=value)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def write(house: House, body: bytes, **headers: str) -> TestResponse:
    every = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        **house.token("operator"),
        **headers,
    }
    return house.visitor().post("/api/v1/write", data=body, headers=every)


def kept(house: House) -> dict[tuple[str, Labels, int], float]:
    ticks = house.services.targets.inbox.collect(now() + 60_000)
    return {
        (one.name, one.labels, tick.time_ms): one.value
        for tick in ticks
        for one in tick.samples
        if one.name != "ingest_samples_total"
    }


def test_what_is_written_is_kept(house: House) -> None:
    time_ms = now()
    answer = write(
        house, packed((NAME, [(time_ms - 1000, 1.0), (time_ms, 2.0)])), X_Prometheus_Remote_Write_Version="0.1.0"
    )
    assert (answer.status_code, answer.data) == (204, b"")
    assert kept(house) == {("a", NAME[1:], time_ms - 1000): 1.0, ("a", NAME[1:], time_ms): 2.0}


def test_the_stale_marker_comes_through_protobuf_as_it_is(house: House) -> None:
    time_ms = now()
    other = (("__name__", "b"), *NAME[1:])
    write(house, packed((NAME, [(time_ms - 1000, 1.0), (time_ms, STALE)]), (other, [(time_ms, 5.0)])))
    assert ("a", NAME[1:], time_ms) not in kept(house)


def test_what_is_out_of_order_is_told_and_the_rest_is_kept(house: House) -> None:
    time_ms = now()
    assert write(house, packed((NAME, [(time_ms, 1.0)]))).status_code == 204
    assert write(house, packed((NAME, [(time_ms, 1.0)]))).status_code == 204, "the same once more is no mistake"
    other = (("__name__", "b"), *NAME[1:])
    answer = write(house, packed((NAME, [(time_ms - 5, 1.0)]), (other, [(time_ms, 7.0)])))
    assert answer.status_code == 400, "which says that it is not to be sent again"
    assert "not newer" in answer.text
    assert "1 samples are kept" in answer.text
    assert ("b", NAME[1:], time_ms) in kept(house)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no snappy at all", 400),
        (bytes(cramjam.snappy.compress_raw(b"\xff\xff\xff no protobuf")), 400),
        (packed(((("job", "j"),), [(1, 1.0)])), 400),
        (packed(((*NAME, ("job", "k")), [(1, 1.0)])), 400),
        (packed(((*NAME, ("a-b", "k")), [(1, 1.0)])), 400),
        (packed((NAME, [(1, 1.0)])), 400),
        (packed((NAME, [(2**50, 1.0)])), 400),
    ],
    ids=["empty", "text", "garbage", "nameless", "twice", "label", "old", "future"],
)
def test_what_cannot_be_kept_is_refused_for_good(house: House, body: bytes, status: int) -> None:
    answer = write(house, body)
    assert answer.status_code == status
    assert answer.text
    assert kept(house) == {}


def test_a_bomb_is_found_out_by_its_header(make_house: MakeHouse) -> None:
    house = make_house(ingest={"max_bytes": 100_000})
    bomb = bytes(cramjam.snappy.compress_raw(b"\0" * 2_000_000))
    assert len(bomb) < 100_000 + 1
    assert write(house, bomb).status_code == 413
    packed_otlp = gzip.compress(b"\0" * 5_000_000)
    assert export(house, packed_otlp, **{"Content-Encoding": "gzip"}).status_code == 413


def test_a_full_inbox_asks_to_be_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "MOST_PENDING", 0)
    answer = write(house, packed((NAME, [(now(), 1.0)])))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"X-Prometheus-Remote-Write-Version": "2.0.0"},
        {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
    ],
)
def test_other_versions_are_refused_in_words(house: House, headers: dict[str, str]) -> None:
    assert write(house, packed((NAME, [(now(), 1.0)])), **headers).status_code == 415


def test_it_may_be_switched_off(make_house: MakeHouse) -> None:
    house = make_house(ingest={"enabled": False})
    assert write(house, packed((NAME, [(now(), 1.0)]))).status_code == 404


def test_a_viewer_may_not_send(house: House) -> None:
    assert write(house, b"", **house.token("viewer")).status_code == 403


# --- OTLP -----------------------------------------------------------------------------------------------------------


def export(house: House, body: bytes, kind: str = "application/x-protobuf", **headers: str) -> TestResponse:
    every = {"Content-Type": kind, **house.token("operator"), **headers}
    return house.visitor().post("/v1/metrics", data=body, headers=every)


def request(*metrics: dict[str, Any]) -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    return {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}]}


def number(time_ms: int, value: float, **more: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(time_ms * 1_000_000), "asDouble": value, **more}


def as_protobuf(document: dict[str, Any]) -> bytes:
    body: bytes = json_format.ParseDict(document, ExportMetricsServiceRequest()).SerializeToString()
    return body


def every_kind(time_ms: int) -> dict[str, Any]:
    histogram = {"timeUnixNano": str(time_ms * 1_000_000), "count": "3", "sum": 4.5, "bucketCounts": ["1", "2"]}
    quantiles = [{"quantile": 0.5, "value": 2.0}]
    return request(
        {"name": "a.gauge", "unit": "By", "gauge": {"dataPoints": [number(time_ms, 1.5)]}},
        {"name": "a.sum",
         "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [number(time_ms, 2)]}},
        {"name": "a.level", "sum": {"aggregationTemporality": 2, "dataPoints": [number(time_ms, 3)]}},
        {"name": "h", "unit": "s",
         "histogram": {"aggregationTemporality": 2, "dataPoints": [{**histogram, "explicitBounds": [0.5]}]}},
        {"name": "s", "summary": {"dataPoints": [{"timeUnixNano": str(time_ms * 1_000_000), "count": "2", "sum": 3.0,
                                                  "quantileValues": quantiles}]}},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
@pytest.mark.parametrize("packing", ["identity", "gzip"])
def test_every_kind_of_metric_becomes_what_prometheus_makes_of_it(house: House, kind: str, packing: str) -> None:
    time_ms = now()
    document = every_kind(time_ms)
    body = json.dumps(document).encode() if kind.endswith("json") else as_protobuf(document)
    body = gzip.compress(body) if packing == "gzip" else body
    answer = export(house, body, kind, **{"Content-Encoding": packing})
    assert (answer.status_code, answer.content_type) == (200, kind)
    assert answer.data in (b"", b"{}")
    own = {"job": "shop", "instance": "otlp"}
    found = {
        (name, frozenset(set(labels) - set(own.items()))): value for (name, labels, _), value in kept(house).items()
    }
    assert found == {
        ("a_gauge_bytes", frozenset()): 1.5,
        ("a_sum_total", frozenset()): 2,
        ("a_level", frozenset()): 3,
        ("h_seconds_bucket", frozenset({("le", "0.5")})): 1,
        ("h_seconds_bucket", frozenset({("le", "+Inf")})): 3,
        ("h_seconds_count", frozenset()): 3,
        ("h_seconds_sum", frozenset()): 4.5,
        ("s", frozenset({("quantile", "0.5")})): 2,
        ("s_count", frozenset()): 2,
        ("s_sum", frozenset()): 3,
    }


def test_what_otlp_cannot_bring_is_rejected_in_part_with_the_reason(house: House) -> None:
    time_ms = now()
    exponential = {"timeUnixNano": str(time_ms * 1_000_000), "count": "1"}
    document = request(
        {"name": "good", "gauge": {"dataPoints": [number(time_ms, 1)]}},
        {"name": "d", "sum": {"aggregationTemporality": 1, "dataPoints": [number(time_ms, 1), number(time_ms, 2)]}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [exponential]}},
    )
    answer = export(house, as_protobuf(document))
    assert answer.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(answer.data).partial_success
    assert partial.rejected_data_points == 3
    assert "delta" in partial.error_message
    assert "exponential" in partial.error_message
    assert [name for name, _, _ in kept(house)] == ["good"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"\xff\xff", "application/x-protobuf", 400),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"\xff", "application/json", 400),
    ],
)
def test_what_is_no_export_is_refused(house: House, body: bytes, kind: str, status: int) -> None:
    assert export(house, body, kind).status_code == status


@pytest.mark.parametrize(
    ("name", "unit", "kind", "wanted"),
    [
        ("http.server.request.duration", "s", {}, "http_server_request_duration_seconds"),
        ("system.cpu.time", "s", {"monotonic": True}, "system_cpu_time_seconds_total"),
        ("already_total", "", {"monotonic": True}, "already_total"),
        ("memory.bytes", "By", {}, "memory_bytes"),
        ("speed", "km/h", {}, "speed_km_per_hour"),
        ("usage", "1", {"gauge": True}, "usage_ratio"),
        ("orders", "{order}", {}, "orders"),
        ("5xx", "", {}, "_5xx"),
        ("a--b..c", "", {}, "a_b_c"),
        ("rate", "By/s", {}, "rate_bytes_per_second"),
    ],
)
def test_names_are_translated_as_prometheus_does(name: str, unit: str, kind: dict[str, bool], wanted: str) -> None:
    assert metric_name(name, unit, **kind) == wanted


def test_labels_and_bounds_are_written_as_prometheus_writes_them() -> None:
    assert [label_name(key) for key in ("http.route", "5th", "_a", "__b")] == ["http_route", "key_5th", "key_a", "__b"]
    assert [bound_text(bound) for bound in (5.0, 0.005, 1e-7, 1e22, float("inf"))] == [
        "5", "0.005", "0.0000001", "10000000000000000000000", "+Inf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x0a\x00" * 200_000, id="empty series"),
        pytest.param(b"\x0a\x80\x89\x7a" + b"\x12\x00" * 1_000_000, id="empty samples"),
        pytest.param((b"\x0a\x90\x4e" + b"\x0a\x00" * 5000) * 300, id="empty labels"),
    ],
)
def test_a_request_of_empty_parts_is_refused_before_it_fills_memory(make_house: MakeHouse, message: bytes) -> None:
    house = make_house()
    assert write(house, bytes(cramjam.snappy.compress_raw(message))).status_code in (400, 413)
    assert kept(house) == {}


def test_more_samples_than_one_request_may_hold_are_refused_as_a_whole(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, time_ms = make_house(), now()
    monkeypatch.setattr("targets.scrape.remote_write.MOST_SAMPLES", 3)
    answer = write(house, packed((NAME, [(time_ms + number, 1.0) for number in range(4)])))
    assert answer.status_code == 413
    assert kept(house) == {}


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05ab", b"\x0b", b"\xff" * 20, b"\x09\x00"])
def test_what_is_cut_short_or_no_protobuf_is_said_so(make_house: MakeHouse, body: bytes) -> None:
    assert write(make_house(), bytes(cramjam.snappy.compress_raw(body))).status_code == 400


def test_metadata_between_series_is_passed_over(make_house: MakeHouse) -> None:
    house, time_ms = make_house(), now()
    one = bytes(cramjam.snappy.decompress_raw(packed((NAME, [(time_ms, 1.0)]))))
    two = bytes(cramjam.snappy.decompress_raw(packed(((("__name__", "b"), *NAME[1:]), [(time_ms, 2.0)]))))
    message = one + b"\x1a\x02\x08\x01" + b"\x10\x07" + b"\x29" + bytes(8) + two
    assert write(house, bytes(cramjam.snappy.compress_raw(message))).status_code == 204
    assert len(kept(house)) == 2


def test_an_export_of_empty_parts_is_refused_before_each_is_looked_at(make_house: MakeHouse) -> None:
    answer = export(make_house(), b"\x0a\x00" * 300_000)
    assert answer.status_code == 413
