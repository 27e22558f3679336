"""The benchmarks' data set is the same each time, and looks like what devices tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.fleet import DAY_MS, Fleet, Stretch, full_labels, kept_fleet, ticks
from collectors.sample import Values

START_MS = 1_767_225_600_000
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def days() -> list[list[Stretch]]:
    return list(Fleet(START_MS, 2, MINUTE_MS).stretches())


def rows(days: list[list[Stretch]], name: str) -> list[Values]:
    """Each series of that name over all days."""
    found: dict[object, list[Values]] = {}
    for day in days:
        for stretch in day:
            for key, values in zip(stretch.keys, stretch.values, strict=True):
                if key[0] == name:
                    found.setdefault(key, []).append(values)
    return [np.concatenate(parts) for parts in found.values()]


def test_there_are_200_series_that_differ_even_without_their_names(days: list[list[Stretch]]) -> None:
    labels = [key[1] for stretch in days[0] for key in stretch.keys]
    assert len(labels) == len(set(labels)) == 200


def test_the_same_seed_gives_the_same_samples_and_another_seed_does_not(days: list[list[Stretch]]) -> None:
    again = next(Fleet(START_MS, 1, MINUTE_MS).stretches())
    other = next(Fleet(START_MS, 1, MINUTE_MS, seed=2).stretches())
    for first, second in zip(days[0], again, strict=True):
        np.testing.assert_array_equal(first.times, second.times)
        np.testing.assert_array_equal(first.values, second.values)
    assert not np.array_equal(days[0][0].values, other[0].values)


def test_moments_lie_within_12_ms_of_the_grid_on_both_sides(days: list[list[Stretch]]) -> None:
    for number, day in enumerate(days):
        for stretch in day:
            late = stretch.times - (START_MS + number * DAY_MS + np.arange(1440) * MINUTE_MS)
            assert (late.min(), late.max()) == (-12, 12)


@pytest.mark.parametrize(
    "name",
    [
        *("cpu_seconds_total", "gpu_energy_joules_total", "network_receive_bytes_total", "disk_io_time_seconds_total"),
        *("http_server_request_duration_seconds_bucket", "http_server_request_duration_seconds_sum"),
    ],
)
def test_counters_never_fall_not_even_at_midnight(days: list[list[Stretch]], name: str) -> None:
    found = rows(days, name)
    assert found
    assert all((np.diff(values) >= 0).all() for values in found)


def test_a_core_is_busy_and_idle_for_exactly_the_time_that_passes(days: list[list[Stretch]]) -> None:
    jiffies = np.round(np.array(rows(days, "cpu_seconds_total")).reshape(10, 5, -1) * 100)
    passed = np.diff(jiffies.sum(axis=1), axis=1)
    assert passed.min() >= 6000 - 4  # a minute, less what two moments may be early and late
    assert passed.max() <= 6000 + 4


def test_buckets_of_a_histogram_hold_those_of_the_smaller_ones(days: list[list[Stretch]]) -> None:
    buckets = np.array(rows(days, "http_server_request_duration_seconds_bucket")).reshape(2, 12, -1)
    counts = np.array(rows(days, "http_server_request_duration_seconds_count"))
    assert (np.diff(buckets, axis=1) >= 0).all()
    np.testing.assert_array_equal(buckets[:, -1], counts)


def test_devices_tell_whole_percents_degrees_and_milliwatts(days: list[list[Stretch]]) -> None:
    for name, resolution in (
        ("gpu_utilization_ratio", 0.01),
        ("gpu_temperature_celsius", 1.0),
        ("gpu_power_watts", 0.001),
        ("gpu_clock_hertz", 1e6),
    ):
        steps = np.array(rows(days, name)) / resolution
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_a_process_that_restarts_counts_its_requests_anew() -> None:
    fleet = Fleet(START_MS, 2, 1000)
    counts = rows(list(fleet.stretches()), "http_server_request_duration_seconds_count")
    falls = [np.flatnonzero(np.diff(values) < 0).tolist() for values in counts]
    assert falls == [[119_999], [119_999]]


def test_ticks_bring_every_sample_once_in_the_order_of_time(days: list[list[Stretch]]) -> None:
    moments = list(ticks(days[0]))
    assert len(moments) == 1440
    nvml = days[0][0]
    assert [tick.source for tick in moments[7]] == [stretch.source for stretch in days[0]]
    tick = moments[7][0]
    assert tick.time_ms == nvml.times[7]
    assert [sample.value for sample in tick.samples] == nvml.values[:, 7].tolist()
    assert tuple((sample.name, sample.labels) for sample in tick.samples) == nvml.keys


def test_full_labels_are_sorted_and_hold_the_name(days: list[list[Stretch]]) -> None:
    labels = full_labels(days[0][0].keys[0])
    assert list(labels) == sorted(labels)
    assert ("__name__", "gpu_utilization_ratio") in labels


def test_a_folder_keeps_its_data_set_and_refuses_another(tmp_path: Path) -> None:
    first = kept_fleet(tmp_path / "kept", Fleet(START_MS, 2))
    assert kept_fleet(tmp_path / "kept", Fleet(START_MS + DAY_MS, 2)) == first
    with pytest.raises(SystemExit, match="choose another folder"):
        kept_fleet(tmp_path / "kept", Fleet(START_MS, 3))
