"""``GET /metrics`` and what is measured about HTTP."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from flask import Response

from collectors.requests import RequestCollector
from dashboard.access import public
from tests.dashboard.house import House, MakeHouse

PROMTOOL = shutil.which("promtool")


def samples(house: House, name: str) -> dict[tuple[str, ...], float]:
    """Samples of the HTTP meters by (method, route, status)."""
    found = {}
    for sample in RequestCollector(house.services.meters).collect():
        if sample.name == name:
            labels = dict(sample.labels)
            found[tuple(labels[key] for key in ("method", "route", "status") if key in labels)] = sample.value
    return found


def test_it_shows_what_the_last_tick_found(house: House) -> None:
    assert house.visitor().get("/metrics").data == b"", "nothing has been collected yet"
    house.services.collection.collect(1_700_000_000_000)
    answer = house.visitor().get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE memory_total_bytes gauge" in answer.text
    assert "\ncollector_up{" in answer.text


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_about(make_house: MakeHouse) -> None:
    house = make_house(collectors={"simulated_gpus": 1, "deadline_seconds": 20})
    house.visitor().get("/health")
    house.visitor().post("/predict", data=b"x")
    house.services.collection.collect(1_700_000_000_000)
    text = house.visitor().get("/metrics").data
    assert b"gpu_power_watts" in text
    checked = subprocess.run([PROMTOOL or "", "check", "metrics"], input=text, capture_output=True, check=False)
    assert checked.stdout + checked.stderr == b""
    assert checked.returncode == 0


def test_it_collects_nothing_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_: int) -> None:
        raise AssertionError("a scrape must not collect")

    monkeypatch.setattr(house.services.collection, "collect", hang)
    assert house.visitor().get("/metrics").status_code == 200


def test_requests_are_measured_by_the_pattern_of_their_route(house: House) -> None:
    client = house.visitor()
    for number in range(3):
        client.delete(f"/api/alerts/{number}/ack", headers=house.token("operator"))
    client.get("/nothing/1")
    client.get("/nothing/2")
    client.get("/static/css/base.css")
    client.get("/favicon.ico")
    assert samples(house, "http_server_request_duration_seconds_count") == {
        ("DELETE", "/api/alerts/<int:alert_id>/ack", "404"): 3,
        ("GET", "(unmatched)", "404"): 2,
        ("GET", "static", "200"): 2,
    }


def test_a_method_of_somebodys_own_is_no_new_series(house: House) -> None:
    for method in ("BREW", "X" * 1000):
        house.visitor().open("/", method=method)
    found = samples(house, "http_server_request_duration_seconds_count")
    assert found == {("(other)", "/", "405"): 2} or found == {("(other)", "(unmatched)", "405"): 2}


def test_a_stream_counts_until_its_end(house: House) -> None:
    seen: list[float] = []

    @public
    def view() -> Response:
        def pieces() -> Iterator[bytes]:
            seen.append(samples(house, "http_server_active_requests")[()])
            assert samples(house, "http_server_request_duration_seconds_count") == {}
            yield b"x"

        return Response(pieces())

    house.app.add_url_rule("/stream", "stream", view)
    house.visitor().get("/stream")
    assert seen == [1]
    assert samples(house, "http_server_active_requests")[()] == 0
    assert samples(house, "http_server_request_duration_seconds_count") == {("GET", "/stream", "200"): 1}


def test_a_request_that_fails_is_measured_and_not_active_any_more(house: House) -> None:
    @public
    def broken() -> str:
        raise RuntimeError("bug")

    house.app.add_url_rule("/broken", "broken", broken)
    house.visitor().get("/broken")
    assert samples(house, "http_server_request_duration_seconds_count") == {("GET", "/broken", "500"): 1}
    assert samples(house, "http_server_active_requests")[()] == 0


def test_an_open_page_is_neither_a_request_in_flight_nor_an_hour_of_latency(house: House) -> None:
    house.visitor().get("/health", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert samples(house, "http_server_request_duration_seconds_count") == {}
