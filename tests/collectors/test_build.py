"""The stock set of collectors, as the settings have it."""

from __future__ import annotations

import pytest

from collectors.build import build
from collectors.catalogue import family_of
from collectors.collection import Collection
from collectors.process import ProcessCollector
from collectors.requests import Meters
from config import CollectorSettings, SettingsError


def test_the_stock_set_reads_at_the_paces_of_the_settings() -> None:
    settings = CollectorSettings(interval_seconds=2, slow_interval_seconds=30, simulated_gpus=1)
    paces = {collector.name: collector.interval_seconds for collector in build(settings, meters=Meters())}
    assert paces == {
        "nvml": 2,
        "nvml_slow": 30,
        "nvml_pcie": 30,
        "nvml_event": 30,
        "nvml_process": 30,
        "torch_memory": 2,
        "host": 2,
        "filesystem": 30,
        "network_filesystem": 30,
        "temperature": 30,
        "process": 2,
        "requests": 2,
    }


def test_what_is_disabled_does_not_run_and_other_rooms_collectors_come_last() -> None:
    settings = CollectorSettings(disabled=["nvml_process", "model"])
    extra = [ProcessCollector(), ProcessCollector()]
    extra[0].name, extra[1].name = "model", "tick"
    names = [collector.name for collector in build(settings, meters=Meters(), extra=extra)]
    assert names[-1] == "tick"
    assert not {"nvml_process", "model"} & set(names)


def test_it_refuses_to_disable_what_does_not_exist() -> None:
    with pytest.raises(
        SettingsError, match=r"collectors\.disabled names 'gpu', but known are: filesystem, host, network_filesystem"
    ):
        build(CollectorSettings(disabled=["gpu"]), meters=Meters())


def test_the_whole_set_runs_with_simulated_gpus_in_names_of_the_catalogue() -> None:
    collection = Collection(build(CollectorSettings(simulated_gpus=2), meters=Meters()), 30)
    try:
        collection.collect(0)
        collection.collect(1000)
        samples = collection.latest()
        assert {name: state.error for name, state in collection.states().items() if not state.up} == {}
    finally:
        collection.close()
    assert len({(sample.name, sample.labels) for sample in samples}) == len(samples)
    for sample in samples:
        assert family_of(sample.name) is not None, sample.name
        assert sample.labels == tuple(sorted(sample.labels))
        assert type(sample.value) is float, sample
