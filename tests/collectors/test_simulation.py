"""Simulated GPUs run through the same code as real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pynvml
import pytest

from collectors.build import make_session, nvml_collectors
from collectors.catalogue import family_of
from collectors.fixtures.modelled_l4 import make
from collectors.nvml import NvmlCollector, NvmlEventCollector
from collectors.nvml_field import FAST
from collectors.nvml_session import NvmlSession
from collectors.record import Recorder, main, run, write
from collectors.sample import Sample
from collectors.simulation import DEFAULT_RECORDING, FORMAT, RecordingError, SimulatedNvml
from tests.collectors.fake_nvml import Clock, FakeNvml, xid


def simulated(gpus: int, clock: Clock, recording: Path = DEFAULT_RECORDING) -> NvmlSession:
    return NvmlSession(SimulatedNvml(recording, gpus, clock), simulated=True, clock=clock)


def everything(session: NvmlSession) -> list[Sample]:
    return [sample for collector in nvml_collectors(session, 1, 10) for sample in collector.collect()]


def value_of(samples: list[Sample], name: str, **labels: str) -> float:
    [value] = [value for found, pairs, value in samples if found == name and labels.items() <= dict(pairs).items()]
    return value


def test_the_shipped_recording_says_that_it_is_a_model_and_is_what_the_model_makes(tmp_path: Path) -> None:
    write(tmp_path / "made.json", make())
    shipped = DEFAULT_RECORDING.read_text(encoding="utf-8")
    assert (tmp_path / "made.json").read_text(encoding="utf-8") == shipped, (
        "run: python -m collectors.fixtures.modelled_l4"
    )
    tree = json.loads(shipped)
    assert tree["origin"] == "modelled"
    assert "not recorded" in tree["description"]


def test_every_simulated_sample_says_so_and_is_in_the_catalogue(clock: Clock) -> None:
    samples = everything(simulated(2, clock))
    assert {dict(labels)["gpu"] for _, labels, _ in samples} == {"0", "1"}
    assert all(("simulated", "true") in labels for _, labels, _ in samples)
    for name, labels, _ in samples:
        metric = family_of(name)
        assert metric is not None, name
        assert {label for label, _ in labels} == {*metric.labels, "simulated"}


def test_real_samples_do_not_say_that_they_are_simulated(nvml: FakeNvml, clock: Clock) -> None:
    samples = everything(NvmlSession(nvml, clock=clock))
    assert samples
    assert not any("simulated" in dict(labels) for _, labels, _ in samples)


def test_the_same_moment_gives_the_same_answers_and_another_gpu_others(clock: Clock) -> None:
    clock.now = 100.0
    first, again = everything(simulated(2, clock)), everything(simulated(2, clock))
    assert first == again
    assert value_of(first, "gpu_temperature_celsius", gpu="0") != value_of(first, "gpu_temperature_celsius", gpu="1")
    assert len({dict(labels)["uuid"] for _, labels, _ in first}) == 2


def test_temperature_follows_the_load_and_energy_never_falls_even_across_rounds(clock: Clock) -> None:
    collector = NvmlCollector(simulated(1, clock), FAST)
    energy, loads, heats = [], [], []
    for second in range(0, 500, 5):
        clock.now = float(second)
        samples = list(collector.collect())
        energy.append(value_of(samples, "gpu_energy_joules_total"))
        loads.append(value_of(samples, "gpu_utilization_ratio"))
        heats.append(value_of(samples, "gpu_temperature_celsius"))
    assert energy == sorted(energy)
    assert energy[-1] - energy[0] > 500 * 15
    assert min(loads) == 0
    assert max(loads) > 0.9
    hottest, busiest = heats.index(max(heats[:48])), loads.index(max(loads[:48]))
    assert 0 < (hottest - busiest) * 5 < 60


def test_what_the_card_lacks_is_left_out(clock: Clock) -> None:
    names = {sample.name for sample in everything(simulated(1, clock))}
    assert "gpu_power_watts" in names
    assert not names & {"gpu_fan_speed_ratio", "gpu_memory_temperature_celsius", "gpu_nvlink_errors_total"}


def test_a_recording_of_real_calls_replays_what_was_read(tmp_path: Path, nvml: FakeNvml, clock: Clock) -> None:
    nvml.gpus = 2
    nvml.answers["nvmlDeviceGetRemappedRows"] = (0, 1, 0, 0)

    def go_to(second: float) -> None:
        clock.now = second
        nvml.answers[("nvmlDeviceGetTemperature", "card 0", 0)] = 40 + int(second)
        nvml.answers[("nvmlDeviceGetTemperature", "card 1", 0)] = 60
        nvml.events = [xid(63)] if second == 10 else []

    recorder = Recorder(nvml, clock)
    run(recorder, 20, go_to)
    write(tmp_path / "real.json", recorder.recording(20, origin="recorded", description="two test cards"))
    clock.now = 13.0
    samples = everything(simulated(2, clock, tmp_path / "real.json"))
    assert value_of(samples, "gpu_temperature_celsius", gpu="0") == 53
    assert value_of(samples, "gpu_temperature_celsius", gpu="1") == 60
    assert value_of(samples, "gpu_remapped_rows", gpu="1", kind="uncorrected") == 1


def test_a_recorded_event_comes_once_a_round(tmp_path: Path, nvml: FakeNvml, clock: Clock) -> None:
    def go_to(second: float) -> None:
        clock.now = second
        nvml.events = [xid(63)] if second == 10 else []

    recorder = Recorder(nvml, clock)
    run(recorder, 20, go_to)
    write(tmp_path / "real.json", recorder.recording(20, origin="recorded", description="a test card"))
    clock.now = 0.0
    collector = NvmlEventCollector(simulated(1, clock, tmp_path / "real.json"))
    counts = []
    for clock.now in (0.0, 11.0, 12.0, 13.0, 21.0, 31.0, 32.0):
        counts.append([value for name, _, value in collector.collect() if name == "gpu_xid_errors_total"])
    assert counts == [[], [0], [1], [1], [1], [2], [2]]


def test_the_recorder_writes_structures_of_the_real_bindings(clock: Clock) -> None:
    class Bindings:
        """pynvml's own types, as its functions return them."""

        def __getattr__(self, name: str) -> Any:
            return getattr(pynvml, name)

        def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
            return pynvml.c_nvmlDevice_t(pynvml.struct_c_nvmlDevice_t())

        def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:  # noqa: N802
            return pynvml.c_nvmlUtilization_t(gpu=3, memory=1)

        def nvmlDeviceGetFieldValues(self, handle: Any, fields: list[int]) -> Any:  # noqa: N802
            values = (pynvml.c_nvmlFieldValue_t * 1)()
            values[0].value.uiVal = 71
            return values

        def nvmlEventSetWait_v2(self, events: Any, timeout: int) -> Any:  # noqa: N802
            return pynvml.c_nvmlEventData_t(device=self.handle, eventData=79)

        handle: Any = None

    bindings = Bindings()
    recorder = Recorder(bindings, clock)
    bindings.handle = recorder.nvmlDeviceGetHandleByIndex(0)
    recorder.nvmlDeviceGetUtilizationRates(bindings.handle)
    recorder.nvmlDeviceGetFieldValues(bindings.handle, [82])
    recorder.nvmlEventSetWait_v2(None, 0)
    calls = {call["call"]: call for call in recorder.recording(1)["calls"]}
    card = {"handle": "nvmlDeviceGetHandleByIndex(0)"}
    assert json.loads(json.dumps(calls, allow_nan=False)) == calls
    assert calls["nvmlDeviceGetUtilizationRates"]["arguments"] == [card]
    assert calls["nvmlDeviceGetUtilizationRates"]["answers"] == [[0.0, {"gpu": 3, "memory": 1}]]
    assert calls["nvmlDeviceGetFieldValues"]["answers"][0][1][0]["value"]["uiVal"] == 71
    assert calls["nvmlEventSetWait_v2"]["answers"][0][1]["device"] == card


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", json.dumps({"format": FORMAT}), json.dumps({"format": FORMAT, "seconds": 1, "calls": [{}]})],
)
def test_it_refuses_a_file_that_is_no_recording(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RecordingError, match="is not a recording"):
        SimulatedNvml(file, 1)


def test_it_refuses_a_missing_file_and_one_without_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot read"):
        SimulatedNvml(tmp_path / "none.json", 1)
    file = tmp_path / "empty.json"
    file.write_text(json.dumps({"format": FORMAT, "seconds": 1, "calls": []}), encoding="utf-8")
    with pytest.raises(RecordingError, match="no GPU"):
        SimulatedNvml(file, 1)


def test_recording_where_there_is_no_gpu_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", init)
    assert main([str(tmp_path / "out.json")]) == 1
    assert "no NVIDIA driver library" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_simulated_gpus_are_used_only_when_they_are_asked_for() -> None:
    assert make_session(0).library is pynvml
    assert len(make_session(3).devices()) == 3
