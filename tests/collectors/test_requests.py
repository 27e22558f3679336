"""Requests and inferences, counted."""

from __future__ import annotations

import threading

import pytest

from collectors.catalogue import family_of
from collectors.requests import DURATION_BUCKETS, MAX_CLASSES, MAX_ROUTES, OUTCOMES, Meters, RequestCollector
from collectors.sample import make_labels


@pytest.fixture
def meters() -> Meters:
    return Meters()


def read(meters: Meters) -> dict[str, float]:
    found = {}
    for name, labels, value in RequestCollector(meters).collect():
        assert labels == tuple(sorted(labels))
        key = name + "".join(f" {label}={text}" for label, text in labels)
        assert key not in found
        found[key] = value
    return found


def finish(meters: Meters, outcome: str = "ok", result_class: str | None = None) -> None:
    meters.finished(
        outcome,
        model="m",
        version="1",
        total_seconds=0.3,
        queue_seconds=0.1,
        compute_seconds=0.2,
        result_class=result_class,
    )


def test_a_request_is_counted_in_every_bucket_above_its_time(meters: Meters) -> None:
    meters.http("GET", "/api/model", 200, 0.06)
    found = read(meters)
    name, labels = "http_server_request_duration_seconds", "method=GET route=/api/model status=200"
    assert found[f"{name}_count {labels}"] == 1
    assert found[f"{name}_sum {labels}"] == 0.06
    assert found[f"{name}_bucket le=0.05 {labels}"] == 0
    assert found[f"{name}_bucket le=0.075 {labels}"] == 1
    assert found[f"{name}_bucket le=1.0 {labels}"] == 1
    assert found[f"{name}_bucket le=+Inf {labels}"] == 1
    assert sum(key.startswith(f"{name}_bucket") for key in found) == len(DURATION_BUCKETS) + 1


def test_strangers_cannot_make_series(meters: Meters) -> None:
    meters.http("BREW", None, 404, 0.1)
    meters.http("GET", "", 9999, 0.1)
    for number in range(MAX_ROUTES + 50):
        meters.http("GET", f"/made/up/{number}", 200, 0.1)
    for number in range(MAX_CLASSES + 50):
        finish(meters, result_class=f"class {number}")
    found = read(meters)
    routes = [key for key in found if key.startswith("http_server_request_duration_seconds_count")]
    assert len(routes) == MAX_ROUTES + 3
    assert "http_server_request_duration_seconds_count method=(other) route=(unmatched) status=404" in found
    assert "http_server_request_duration_seconds_count method=GET route=(unmatched) status=(other)" in found
    assert found["http_server_request_duration_seconds_count method=GET route=(other) status=200"] == 50
    assert found["inference_results_total class=(other) model=m"] == 50


def test_all_outcomes_of_a_model_begin_at_zero(meters: Meters) -> None:
    meters.announce("m", "1")
    found = read(meters)
    for outcome in OUTCOMES:
        assert found[f"inference_requests_total model=m outcome={outcome} version=1"] == 0


def test_an_inference_is_counted_by_outcome_times_and_class(meters: Meters) -> None:
    finish(meters, result_class="passport")
    finish(meters, "error")
    found = read(meters)
    assert found["inference_requests_total model=m outcome=ok version=1"] == 1
    assert found["inference_requests_total model=m outcome=error version=1"] == 1
    assert found["inference_request_duration_seconds_count model=m version=1"] == 2
    assert found["inference_queue_duration_seconds_sum model=m version=1"] == pytest.approx(0.2)
    assert found["inference_compute_duration_seconds_sum model=m version=1"] == pytest.approx(0.4)
    assert found["inference_results_total class=passport model=m"] == 1


def test_a_time_that_does_not_apply_is_not_counted(meters: Meters) -> None:
    meters.finished(
        "rejected",
        model="m",
        version="1",
        total_seconds=0.0,
        queue_seconds=None,
        compute_seconds=None,
        result_class=None,
    )
    found = read(meters)
    assert found["inference_queue_duration_seconds_count model=m version=1"] == 0
    assert found["inference_request_duration_seconds_count model=m version=1"] == 1


def test_it_refuses_an_outcome_that_is_not_in_the_catalogue(meters: Meters) -> None:
    with pytest.raises(ValueError, match="unknown outcome 'meh'"):
        finish(meters, "meh")


def test_reloads_and_batches_are_counted(meters: Meters) -> None:
    meters.batch(3)
    meters.reloaded("operator", "ok")
    found = read(meters)
    assert found["inference_batch_size_bucket le=2.0"] == 0
    assert found["inference_batch_size_bucket le=4.0"] == 1
    assert found["model_reloads_total reason=operator result=ok"] == 1


def test_active_requests_follow_while_nothing_else_changes(meters: Meters) -> None:
    collector = RequestCollector(meters)
    values = []
    for change in (meters.http_active.inc, meters.http_active.inc, meters.http_active.dec):
        change()
        values += [value for name, _, value in collector.collect() if name == "http_server_active_requests"]
    assert values == [1, 2, 1]


def test_nothing_is_read_again_until_something_happens(meters: Meters) -> None:
    meters.http("GET", "/", 200, 0.1)
    collector = RequestCollector(meters)
    before, again = list(collector.collect()), list(collector.collect())
    assert before == again
    assert before[-1] is again[-1]
    meters.http("GET", "/", 200, 0.1)
    assert list(collector.collect()) != before


def test_every_name_is_in_the_catalogue_with_its_labels_and_no_created_series(meters: Meters) -> None:
    meters.http("GET", "/", 200, 0.1)
    finish(meters, result_class="x")
    meters.reloaded("operator", "ok")
    for name, labels, _ in RequestCollector(meters).collect():
        metric = family_of(name)
        assert metric is not None, name
        assert {label for label, _ in labels} - {"le"} == set(metric.labels), name


def test_counts_from_many_threads_are_all_there(meters: Meters) -> None:
    def work() -> None:
        for _ in range(200):
            meters.http("GET", "/", 200, 0.1)
            finish(meters)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(meters)
    assert found["http_server_request_duration_seconds_count method=GET route=/ status=200"] == 800
    assert found["inference_requests_total model=m outcome=ok version=1"] == 800
    assert meters.changes >= 1600


def test_two_sets_of_meters_know_nothing_of_each_other(meters: Meters) -> None:
    meters.http("GET", "/", 200, 0.1)
    assert make_labels() == ()
    assert not any(key.startswith("http_server_request") for key in read(Meters()))
