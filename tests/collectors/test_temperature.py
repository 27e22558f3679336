"""Temperature sensors by chip and name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from collectors.sample import Sample, make_labels
from collectors.temperature import TemperatureCollector


def reading(label: str, current: Any) -> SimpleNamespace:
    return SimpleNamespace(label=label, current=current)


def test_every_sensor_has_a_name_of_its_own() -> None:
    sensors = {
        "nvme": [reading("Composite", 38.5), reading("", 40.0), reading("Composite", 41.0)],
        "coretemp": [reading("Core 0", 0.0), reading("Core 1", None), reading("Core 2", float("nan"))],
    }
    assert list(TemperatureCollector(sensors=lambda: sensors).collect()) == [
        Sample("host_temperature_celsius", make_labels(sensor="coretemp Core 0"), 0.0),
        Sample("host_temperature_celsius", make_labels(sensor="nvme Composite"), 38.5),
        Sample("host_temperature_celsius", make_labels(sensor="nvme 1"), 40.0),
        Sample("host_temperature_celsius", make_labels(sensor="nvme Composite 2"), 41.0),
    ]


def test_a_machine_without_sensors_has_none() -> None:
    assert list(TemperatureCollector(sensors=dict).collect()) == []
    assert all(sample.name == "host_temperature_celsius" for sample in TemperatureCollector().collect())
