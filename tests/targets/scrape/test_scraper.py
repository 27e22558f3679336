"""Endpoints are scraped into ticks, each at its interval; what fails is told and ends its series."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from collectors.sample import Matcher, Tick, make_labels, stale_mask
from config_target import ScrapeTarget, TargetSettings
from storage.engine import open_database
from storage.series import SeriesStore
from targets.fetch import fetch
from targets.scrape.job import ScrapeJob, instances
from targets.scrape.scraper import Scraper
from targets.target import Target
from tests.running import eventually
from tests.targets.scrape.endpoint import Endpoint, endpoint, text

NOW = 1_700_000_000_000


@pytest.fixture
def served() -> Iterator[Endpoint]:
    with endpoint() as found:
        yield found


def job_of(served: Endpoint, **more: Any) -> ScrapeJob:
    settings = ScrapeTarget.model_validate({"url": served.url, **more})
    return ScrapeJob("app", 0, settings, served.instance, fetch)


def values(ticks: list[Tick], source: str = "scrape:app/0") -> dict[str, float]:
    [tick] = [tick for tick in ticks if tick.source == source]
    return {sample.name: sample.value for sample in tick.samples}


def report(ticks: list[Tick]) -> dict[str, float]:
    return values(ticks, "scrape-report:app/0")


def test_a_scrape_brings_series_labelled_by_job_and_instance_and_tells_how_it_went(served: Endpoint) -> None:
    body = b'a 1\nb{job="theirs"} 2\n'
    served.answer = text(body)
    job = job_of(served, labels={"room": "north"})
    ticks = job.scrape(NOW)
    own = {"job": "app", "instance": served.instance, "room": "north"}
    assert [tick.time_ms for tick in ticks] == [NOW, NOW]
    assert set(ticks[0].samples) == {
        ("a", make_labels(**own), 1.0),
        ("b", make_labels(**own, exported_job="theirs"), 2.0),
    }
    told = report(ticks)
    assert told.pop("scrape_duration_seconds") > 0
    assert told == {
        "up": 1.0,
        "scrape_samples_scraped": 2.0,
        "scrape_samples_post_metric_relabeling": 2.0,
        "scrape_response_size_bytes": float(len(body)),
        "scrape_sample_limit": 5000.0,
        "scrape_body_size_limit_bytes": 10.0 * 1024 * 1024,
    }
    assert all(dict(sample.labels) == own for sample in ticks[1].samples)
    assert (job.state.up, job.state.series, job.state.bytes, job.state.at_ms) == (True, 2, len(body), NOW)
    assert "openmetrics-text" in served.headers["accept"]


def test_credentials_and_headers_of_the_settings_are_sent(served: Endpoint) -> None:
    job_of(served, bearer_token="t0ken", headers={"X-Scope": "a"}).scrape(NOW)
    assert (served.headers["authorization"], served.headers["x-scope"]) == ("Bearer t0ken", "a")
    job_of(served, username="u", password="p").scrape(NOW)
    assert served.headers["authorization"] == "Basic dTpw"


def test_a_failed_scrape_ends_all_series_but_its_report(served: Endpoint, tmp_path: Path) -> None:
    database = open_database(tmp_path / "wakeless.db")
    store = SeriesStore(database)
    store.load()
    job = job_of(served)
    served.answer = text(b"a 1\nb 2\n")
    store.append(job.scrape(NOW))
    served.answer = text(b"a 1\n")
    store.append(job.scrape(NOW + 15_000))
    served.answer = text(b"a 1\nb \xff\n")
    store.append(job.scrape(NOW + 30_000))

    def ends(name: str) -> list[bool]:
        [series] = store.select([Matcher("__name__", "=", name)], NOW, NOW + 60_000)
        return list(stale_mask(series.values))

    assert ends("a") == [False, False, True]
    assert ends("b") == [False, True]
    assert ends("up") == [False, False, False]
    [failure] = store.select([Matcher("__name__", "=", "scrape_failure_info")], NOW, NOW + 60_000)
    assert dict(failure.labels)["reason"] == "line …: it is not UTF-8"
    assert job.state.error == "line 2: it is not UTF-8"
    store.close()
    database.dispose()


def test_the_limit_on_series_counts_what_relabelling_keeps_and_fails_the_scrape(served: Endpoint) -> None:
    served.answer = text(b"".join(b"m%d 1\n" % number for number in range(12)))
    ticks = job_of(served, max_series=10).scrape(NOW)
    assert values(ticks) == {}
    assert report(ticks)["up"] == 0
    assert report(ticks)["scrape_samples_post_metric_relabeling"] == 12
    kept = {"action": "keep", "source_labels": ["__name__"], "regex": "m[0-9]"}
    ticks = job_of(served, max_series=10, relabel=[kept]).scrape(NOW)
    assert len(values(ticks)) == 10
    assert (report(ticks)["scrape_samples_scraped"], report(ticks)["scrape_samples_post_metric_relabeling"]) == (12, 10)


def test_of_far_too_many_series_no_more_are_read_and_none_is_remembered(served: Endpoint) -> None:
    job = job_of(served, max_series=10)
    for count in (5000, 100):
        served.answer = text(b"".join(b"m%d 1\n" % number for number in range(count)))
        reports = report(job.scrape(NOW))
        assert reports["up"] == 0
        assert 10 < reports["scrape_samples_post_metric_relabeling"] <= 121
        assert job.state.error is not None
        assert "more than max_series (10)" in job.state.error
        assert job._reader.remembered == 0
    served.answer = text(b"m1 1\n")
    assert report(job.scrape(NOW + 1000))["up"] == 1


def test_two_texts_for_one_series_fail_the_scrape(served: Endpoint) -> None:
    served.answer = text(b'm{a="1",b="2"} 1\nm{b="2",a="1"} 2\n')
    job = job_of(served)
    job.scrape(NOW)
    assert job.state.error is not None
    assert "there twice" in job.state.error


def test_timestamps_of_the_target_are_ignored_unless_they_are_to_be_honoured(served: Endpoint) -> None:
    served.answer = text(b"a 1 %d\nb 2\nc 3 %d\n" % (NOW - 5000, NOW - 9000))
    assert values(job_of(served).scrape(NOW)) == {"a": 1.0, "b": 2.0, "c": 3.0}
    job = job_of(served, honor_timestamps=True)
    ticks = job.scrape(NOW)
    assert values(ticks) == {"b": 2.0}
    assert {(tick.time_ms, tick.samples[0].name) for tick in ticks if "timed" in tick.source} == {
        (NOW - 5000, "a"),
        (NOW - 9000, "c"),
    }
    assert not [tick for tick in job.scrape(NOW + 15_000) if "timed" in tick.source], "the same samples once more"
    assert {tick.source for tick in job.end(NOW + 16_000)} >= {"scrape:app/0", "scrape-report:app/0"}
    assert len(job.end(NOW + 16_000)) == 4


def _forever(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"a" * 65_536)


def _never(handler: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(2.0)


def _circle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "/metrics")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _metadata(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://169.254.169.254/latest/meta-data/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_forever, "larger than max_bytes"),
        (_never, "no answer within"),
        (_circle, "circle"),
        (_metadata, "169.254"),
        (text(b"a 1\n", status=503), "status 503"),
        (text(b"<html>hello</html>", "text/html"), "line 1"),
        (text(b"\x1f\x8b\x08\x00", "text/plain"), "UTF-8"),
    ],
    ids=["endless", "silent", "circle", "metadata", "503", "html", "binary"],
)
def test_a_hostile_answer_is_bounded_and_told(served: Endpoint, answer: Any, reason: str) -> None:
    served.answer = answer
    job = job_of(served, timeout="500ms", max_bytes=100_000)
    ticks = job.scrape(NOW)
    assert report(ticks)["up"] == 0
    assert values(ticks) == {}
    assert job.state.error is not None
    assert reason in job.state.error
    assert job.state.bytes <= 100_001


def test_endpoints_of_one_target_are_told_apart() -> None:
    def of(*urls: str) -> list[str]:
        return instances([ScrapeTarget(url=url) for url in urls])

    assert of("http://h/metrics", "https://h/metrics", "http://u:p@h:81/m", "http://[::1]/m") == [
        "h:80",
        "h:443",
        "h:81",
        "[::1]:80",
    ]
    assert of("http://h:1/a", "http://h:1/b", "http://h:2/a") == ["h:1/a", "h:1/b", "h:2"]


def target(served: Endpoint, **more: Any) -> Target:
    return Target(TargetSettings.model_validate({"name": "app", "scrape": {"url": served.url, "interval": 1, **more}}))


def test_the_scraper_scrapes_at_the_interval_and_ends_what_is_taken_off(served: Endpoint) -> None:
    served.answer = text(b"a 1\n")
    clock = iter(range(NOW, NOW + 1_000_000, 1000))
    scraper = Scraper(lambda: next(clock))
    scraper.replace([target(served)])
    scraper.start()
    try:
        ticks = eventually(lambda: scraper.collect(NOW))
        assert values(ticks) == {"a": 1.0}
        [state] = scraper.states()
        assert (state.target, state.url_index, state.up, state.series) == ("app", 0, True, 1)
        scraper.replace([target(served)])
        assert not [tick for tick in scraper.collect(NOW) if not tick.samples], "the same target goes on"
        scraper.replace([])
        ends = [tick for tick in scraper.collect(NOW) if not tick.samples]
        assert {tick.source for tick in ends} == {"scrape:app/0", "scrape-report:app/0"}
        assert scraper.states() == []
    finally:
        scraper.stop()


def test_a_relabelling_that_makes_no_sense_costs_its_endpoint_only(served: Endpoint) -> None:
    scraper = Scraper(lambda: NOW)
    scraper.replace([target(served, relabel=[{"action": "keep", "regex": "("}])])
    [state] = scraper.states()
    assert state.up is False
    assert state.error is not None
    assert "regex" in state.error
    scraper.replace([target(served)])
    assert [state.up for state in scraper.states()] == [None]
