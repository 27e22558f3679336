"""Metrics under second names."""

from __future__ import annotations

import pytest

from collectors.alias import with_aliases
from collectors.requests import Meters, RequestCollector
from collectors.sample import Labels, Sample, Tick, make_labels
from config import AliasSettings

IMAGES = {
    "image_generation_total": AliasSettings(
        of="inference_requests_total",
        rename={"outcome": "status", "model": "", "version": ""},
        values={"status": {"ok": "success", "*": "failed"}},
    ),
    "image_generation_latency_seconds": AliasSettings(
        of="inference_request_duration_seconds", rename={"model": "", "version": ""}
    ),
}


def only(tick: Tick, prefix: str) -> dict[tuple[str, Labels], float]:
    found = [(sample.name, sample.labels, sample.value) for sample in tick.samples if sample.name.startswith(prefix)]
    assert len({(name, labels) for name, labels, _ in found}) == len(found)
    return {(name, labels): value for name, labels, value in found}


def tick_of(meters: Meters) -> Tick:
    return Tick("requests", 1000, tuple(RequestCollector(meters).collect()))


def finish(meters: Meters, outcome: str, seconds: float, version: str = "1") -> None:
    meters.finished(
        outcome,
        model="m",
        version=version,
        total_seconds=seconds,
        queue_seconds=None,
        compute_seconds=None,
        result_class=None,
    )


def test_outcomes_become_success_and_failed_and_are_summed() -> None:
    meters = Meters()
    for outcome in ("ok", "ok", "error", "timeout", "oom"):
        finish(meters, outcome, 0.1)
    finish(meters, "ok", 0.1, version="2")
    [tick] = with_aliases([tick_of(meters)], IMAGES)
    assert only(tick, "image_generation_total") == {
        ("image_generation_total", make_labels(status="success")): 3,
        ("image_generation_total", make_labels(status="failed")): 3,
    }


def test_a_histogram_is_copied_whole_and_summed_bucket_by_bucket() -> None:
    meters = Meters()
    finish(meters, "ok", 0.3, version="1")
    finish(meters, "ok", 40.0, version="2")
    [tick] = with_aliases([tick_of(meters)], IMAGES)
    copied = only(tick, "image_generation_latency_seconds")
    name = "image_generation_latency_seconds"
    assert copied[f"{name}_count", ()] == 2
    assert copied[f"{name}_sum", ()] == pytest.approx(40.3)
    assert [copied[f"{name}_bucket", make_labels(le=bound)] for bound in ("0.25", "0.5", "60.0", "+Inf")] == [
        0,
        1,
        2,
        2,
    ]
    assert len(copied) == 20


def test_labels_that_are_not_named_are_kept() -> None:
    aliases = {"watts": AliasSettings(of="gpu_power_watts", rename={"gpu": "card"})}
    tick = Tick("nvml", 5, (Sample("gpu_power_watts", make_labels(gpu=0, uuid="u"), 70.0),))
    [extended] = with_aliases([tick], aliases)
    assert extended.samples == (*tick.samples, Sample("watts", make_labels(card=0, uuid="u"), 70.0))


def test_a_value_without_a_translation_stays() -> None:
    aliases = {"state": AliasSettings(of="x", values={"kind": {"a": "b"}})}
    [tick] = with_aliases([Tick("s", 0, (Sample("x", make_labels(kind="c"), 1.0),))], aliases)
    assert tick.samples[-1] == Sample("state", make_labels(kind="c"), 1.0)


def test_applying_aliases_twice_changes_nothing() -> None:
    meters = Meters()
    finish(meters, "ok", 0.1)
    once = with_aliases([tick_of(meters)], IMAGES)
    assert with_aliases(once, IMAGES) == once


def test_a_tick_that_ends_its_source_stays_empty_and_other_ticks_stay_as_they_are() -> None:
    ticks = [Tick("requests", 1, ()), Tick("host", 1, (Sample("load1", (), 1.0),))]
    assert with_aliases(ticks, IMAGES) == ticks
    assert with_aliases(ticks, {}) == ticks
