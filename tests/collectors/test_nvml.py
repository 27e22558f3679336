"""GPUs as NVML tells of them, with every way in which it may not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from collectors.nvml import NvmlCollector, NvmlEventCollector, NvmlPcieCollector
from collectors.nvml_field import FAST, PCIE, SLOW, Field
from collectors.nvml_process import MAX_PROCESSES, NvmlProcessCollector
from collectors.nvml_session import REFRESH_SECONDS, RETRY_SECONDS, NvmlBroken, NvmlSession
from collectors.sample import Collector
from tests.collectors.fake_nvml import Clock, Error, FakeNvml, field_value, xid


def read(collector: Collector) -> dict[str, float]:
    """Values by ``name label=value …`` without the labels that every GPU has."""
    found = {}
    for name, labels, value in collector.collect():
        rest = [
            f"{label}={text}"
            for label, text in labels
            if label not in ("uuid", "name") and (label, text) != ("gpu", "0")
        ]
        key = " ".join([name, *rest])
        assert key not in found
        found[key] = value
    return found


@pytest.fixture
def session(nvml: FakeNvml, clock: Clock) -> NvmlSession:
    return NvmlSession(nvml, clock=clock)


def test_every_function_that_is_asked_exists_in_pynvml() -> None:
    fields: list[Field | None] = [*FAST, *SLOW, *PCIE]
    for field in fields:
        while field is not None:
            assert callable(getattr(pynvml, field.function)), field.function
            field = field.fallback


def test_it_writes_base_units(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50, memory=25),
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=100, reserved=10, free=60, used=30),
        "nvmlDeviceGetPowerUsage": 61_500,
        "nvmlDeviceGetTotalEnergyConsumption": 2_500,
        ("nvmlDeviceGetClockInfo", "card 0", pynvml.NVML_CLOCK_SM): 1_410,
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetPerformanceState": 2,
        "nvmlDeviceGetEncoderUtilization": [7, 167_000],
        ("nvmlDeviceGetFieldValues", "card 0", repr([pynvml.NVML_FI_DEV_MEMORY_TEMP])): [field_value(number=72)],
    }
    assert read(NvmlCollector(session, FAST)) == pytest.approx(
        {
            "gpu_utilization_ratio": 0.5,
            "gpu_memory_utilization_ratio": 0.25,
            "gpu_memory_total_bytes": 100,
            "gpu_memory_reserved_bytes": 10,
            "gpu_memory_free_bytes": 60,
            "gpu_memory_used_bytes": 30,
            "gpu_power_watts": 61.5,
            "gpu_energy_joules_total": 2.5,
            "gpu_clock_hertz clock=sm": 1.41e9,
            "gpu_temperature_celsius": 61,
            "gpu_memory_temperature_celsius": 72,
            "gpu_performance_state": 2,
            "gpu_encoder_utilization_ratio": 0.07,
        }
    )


def test_it_writes_the_slow_fields_too(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        "nvmlDeviceGetFanSpeed": 30,
        "nvmlDeviceGetBAR1MemoryInfo": SimpleNamespace(bar1Total=3, bar1Free=2, bar1Used=1),
        ("nvmlDeviceGetTotalEccErrors", "card 0", 1, pynvml.NVML_AGGREGATE_ECC): 4,
        ("nvmlDeviceGetRetiredPages", "card 0", 1): [0x1000, 0x2000],
        "nvmlDeviceGetRemappedRows": (1, 2, 0, 1),
        (
            "nvmlDeviceGetFieldValues",
            "card 0",
            repr([(138, 0xFFFFFFFF), (139, 0xFFFFFFFF)]),
        ): [field_value(number=2, kind=3), field_value(pynvml.NVML_ERROR_UNKNOWN)],
    }
    assert read(NvmlCollector(session, SLOW)) == pytest.approx(
        {
            "gpu_fan_speed_ratio": 0.3,
            "gpu_bar1_used_bytes": 1,
            "gpu_ecc_errors_total kind=uncorrected": 4,
            "gpu_retired_pages cause=double_bit": 2,
            "gpu_remapped_rows kind=corrected": 1,
            "gpu_remapped_rows kind=uncorrected": 2,
            "gpu_remapped_rows kind=pending": 0,
            "gpu_remapped_rows kind=failed": 1,
            "gpu_nvlink_transmit_bytes_total": 2048,
        }
    )


def test_pcie_is_measured_within_a_budget_gpu_by_gpu(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.gpus = 8

    def blocking_clock() -> float:
        return nvml.calls["nvmlDeviceGetPcieThroughput"] * 0.02

    nvml.answers["nvmlDeviceGetPcieThroughput"] = 3
    collector = NvmlPcieCollector(session, budget_seconds=0.15, clock=blocking_clock)
    found: dict[str, float] = {}
    for known in (4, 8, 8):
        now = blocking_clock()
        found = read(collector)
        assert len(found) == 2 * known
        assert blocking_clock() - now < 0.2
    assert found["gpu_pcie_receive_bytes_per_second gpu=7"] == 3 * 1024


def test_a_zero_is_a_value(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=0),
        "nvmlDeviceGetPowerUsage": 0,
        "nvmlDeviceGetPerformanceState": 0,
        "nvmlDeviceGetEncoderUtilization": [0, 1],
    }
    assert read(NvmlCollector(session, FAST)) == {
        "gpu_utilization_ratio": 0,
        "gpu_memory_utilization_ratio": 0,
        "gpu_power_watts": 0,
        "gpu_performance_state": 0,
        "gpu_encoder_utilization_ratio": 0,
    }


def test_throttling_tells_each_reason_but_not_idleness(nvml: FakeNvml, session: NvmlSession) -> None:
    bits = pynvml.nvmlClocksThrottleReasonSwPowerCap | pynvml.nvmlClocksThrottleReasonGpuIdle
    nvml.answers["nvmlDeviceGetCurrentClocksEventReasons"] = bits
    found = read(NvmlCollector(session, FAST))
    assert len(found) == 8
    assert [name for name, value in found.items() if value] == ["gpu_throttle_active reason=sw_power_cap"]


def test_what_a_card_does_not_support_is_not_asked_again(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers["nvmlDeviceGetTemperature"] = 40
    nvml.answers["nvmlDeviceGetFieldValues"] = [field_value(pynvml.NVML_ERROR_NOT_SUPPORTED)]
    collector = NvmlCollector(session, FAST)
    for _ in range(5):
        assert read(collector) == {"gpu_temperature_celsius": 40}
    assert nvml.calls["nvmlDeviceGetPowerUsage"] == 1
    assert nvml.calls["nvmlDeviceGetFieldValues"] == 1
    assert nvml.calls["nvmlDeviceGetTemperature"] == 5


def test_support_is_a_matter_of_each_card(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.gpus = 2
    nvml.answers[("nvmlDeviceGetFanSpeed", "card 1")] = 50
    collector = NvmlCollector(session, SLOW)
    for _ in range(3):
        assert read(collector) == {"gpu_fan_speed_ratio gpu=1": 0.5}
    assert nvml.calls["nvmlDeviceGetFanSpeed"] == 4


def test_an_older_driver_is_asked_in_its_own_words(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        ("nvmlDeviceGetMemoryInfo", "card 0"): SimpleNamespace(total=100, free=60, used=40),
        ("nvmlDeviceGetMemoryInfo", "card 0", pynvml.nvmlMemory_v2): Error(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        "nvmlDeviceGetCurrentClocksEventReasons": Error(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        "nvmlDeviceGetCurrentClocksThrottleReasons": 0,
    }
    collector = NvmlCollector(session, FAST)
    read(collector)
    found = read(collector)
    assert found["gpu_memory_used_bytes"] == 40
    assert found["gpu_throttle_active reason=hw_slowdown"] == 0
    assert nvml.calls["nvmlDeviceGetCurrentClocksEventReasons"] == 1


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_TIMEOUT, pynvml.NVML_ERROR_IN_USE])
def test_a_passing_error_leaves_out_one_field_for_one_tick(nvml: FakeNvml, session: NvmlSession, code: int) -> None:
    nvml.answers |= {"nvmlDeviceGetTemperature": 40, "nvmlDeviceGetPowerUsage": Error(code)}
    collector = NvmlCollector(session, FAST)
    assert read(collector) == {"gpu_temperature_celsius": 40}
    nvml.answers["nvmlDeviceGetPowerUsage"] = 5000
    assert read(collector) == {"gpu_temperature_celsius": 40, "gpu_power_watts": 5}


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_a_machine_without_nvidia_yields_nothing_and_is_looked_at_once_a_minute(
    nvml: FakeNvml, session: NvmlSession, clock: Clock, code: int
) -> None:
    nvml.answers["nvmlInit"] = Error(code)
    collector = NvmlCollector(session, FAST)
    for _ in range(5):
        assert read(collector) == {}
    assert collector.absent_reason
    assert nvml.calls["nvmlInit"] == 1
    nvml.answers |= {"nvmlInit": None, "nvmlDeviceGetTemperature": 40}
    clock.now = REFRESH_SECONDS
    assert read(collector) == {"gpu_temperature_celsius": 40}
    assert collector.absent_reason is None


def test_a_driver_without_a_gpu_is_absent_too(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.gpus = 0
    collector = NvmlCollector(session, FAST)
    assert read(collector) == {}
    assert collector.absent_reason == "NVML knows no GPU on this machine"


def test_a_driver_that_does_not_match_its_library_is_an_error(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers["nvmlInit"] = Error(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    with pytest.raises(NvmlBroken, match="version mismatch"):
        read(NvmlCollector(session, FAST))


def test_a_lost_gpu_is_an_error_until_it_is_back(nvml: FakeNvml, session: NvmlSession, clock: Clock) -> None:
    nvml.answers["nvmlDeviceGetTemperature"] = 40
    fast, slow = NvmlCollector(session, FAST), NvmlCollector(session, SLOW)
    read(fast)
    nvml.answers["nvmlDeviceGetTemperature"] = Error(pynvml.NVML_ERROR_GPU_IS_LOST)
    nvml.answers["nvmlDeviceGetHandleByIndex"] = Error(pynvml.NVML_ERROR_GPU_IS_LOST)
    asked = nvml.calls["nvmlDeviceGetTemperature"]
    for _ in range(3):
        with pytest.raises(NvmlBroken, match="GPU is lost"):
            read(fast)
    with pytest.raises(NvmlBroken):
        read(slow)
    assert nvml.calls["nvmlDeviceGetTemperature"] == asked + 1
    clock.now += RETRY_SECONDS
    with pytest.raises(NvmlBroken):
        read(fast)
    del nvml.answers["nvmlDeviceGetHandleByIndex"]
    nvml.answers["nvmlDeviceGetTemperature"] = 35
    clock.now += RETRY_SECONDS
    assert read(fast) == {"gpu_temperature_celsius": 35}


def test_a_driver_that_was_loaded_anew_is_asked_with_new_handles(
    nvml: FakeNvml, session: NvmlSession, clock: Clock
) -> None:
    (before,) = session.devices()
    nvml.answers["nvmlDeviceGetTemperature"] = Error(pynvml.NVML_ERROR_UNINITIALIZED)
    with pytest.raises(NvmlBroken):
        session.query(nvml.nvmlDeviceGetTemperature, before.handle, 0)
    with pytest.raises(NvmlBroken):
        session.devices()
    nvml.forget_handles()
    clock.now += RETRY_SECONDS
    (after,) = session.devices()
    assert nvml.calls["nvmlInit"] == 2
    assert after.handle is not before.handle
    assert after[:-2] == before[:-2]


def test_a_gpu_that_comes_later_is_found(nvml: FakeNvml, session: NvmlSession, clock: Clock) -> None:
    nvml.answers["nvmlDeviceGetTemperature"] = 40
    collector = NvmlCollector(session, FAST)
    assert set(read(collector)) == {"gpu_temperature_celsius"}
    nvml.gpus = 2
    clock.now += REFRESH_SECONDS
    assert set(read(collector)) == {"gpu_temperature_celsius", "gpu_temperature_celsius gpu=1"}


def test_a_mig_instance_is_a_gpu_of_its_own(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        "nvmlDeviceGetMigMode": [pynvml.NVML_DEVICE_MIG_ENABLE, pynvml.NVML_DEVICE_MIG_ENABLE],
        "nvmlDeviceGetMaxMigDeviceCount": 7,
        ("nvmlDeviceGetMemoryInfo", "card 0 instance 1", pynvml.nvmlMemory_v2): SimpleNamespace(
            total=10, reserved=1, free=4, used=5
        ),
    }
    for number in (0, *range(2, 7)):
        key = ("nvmlDeviceGetMigDeviceHandleByIndex", "card 0", number)
        nvml.answers[key] = Error(pynvml.NVML_ERROR_NOT_FOUND)
    assert [device.gpu for device in session.devices()] == ["0", "0:1"]
    assert read(NvmlCollector(session, FAST))["gpu_memory_used_bytes gpu=0:1"] == 5
    assert session.index_of("GPU-card 0 instance 1") == "0:1"


def test_a_xid_begins_at_zero_and_is_counted_from_the_next_run_on(nvml: FakeNvml, session: NvmlSession) -> None:
    collector = NvmlEventCollector(session)
    assert not any("xid" in name for name in read(collector))
    nvml.events = [xid(79)]
    assert read(collector)["gpu_xid_errors_total xid=79"] == 0
    assert read(collector)["gpu_xid_errors_total xid=79"] == 1
    nvml.events = [xid(79), xid(48), xid(79)]
    found = read(collector)
    assert found["gpu_xid_errors_total xid=79"] == 3
    assert found["gpu_xid_errors_total xid=48"] == 0


def test_events_are_polled_without_waiting_and_never_forever(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers["nvmlEventSetWait_v2"] = xid(31)
    collector = NvmlEventCollector(session)
    read(collector)
    assert nvml.calls["nvmlEventSetWait_v2"] < 100


def test_a_card_without_events_still_tells_its_versions(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers["nvmlDeviceRegisterEvents"] = Error(pynvml.NVML_ERROR_NOT_SUPPORTED)
    collector = NvmlEventCollector(session)
    assert read(collector) == {"gpu_info cuda=12.8 driver=570.1 vbios=95.0": 1}
    assert nvml.calls["nvmlEventSetWait_v2"] == 0


def test_processes_are_told_once_by_name_without_path_or_arguments(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers |= {
        "nvmlDeviceGetComputeRunningProcesses": [_process(10, 100), _process(11, 300), _process(12, None)],
        "nvmlDeviceGetGraphicsRunningProcesses": [_process(10, 100)],
        ("nvmlSystemGetProcessName", 11): b"/opt/secret/python3 serve.py --key=x",
        ("nvmlSystemGetProcessName", 10): Error(pynvml.NVML_ERROR_NOT_FOUND),
    }
    assert read(NvmlProcessCollector(session)) == {
        "gpu_process_memory_used_bytes pid=11 process=python3": 300,
        "gpu_process_memory_used_bytes pid=10 process=(unknown)": 100,
    }


def test_only_the_largest_processes_are_told(nvml: FakeNvml, session: NvmlSession) -> None:
    nvml.answers["nvmlDeviceGetComputeRunningProcesses"] = [_process(pid, pid) for pid in range(1, 100)]
    found = read(NvmlProcessCollector(session))
    assert len(found) == MAX_PROCESSES
    assert min(found.values()) == 100 - MAX_PROCESSES


def _process(pid: int, size: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=size)


@pytest.mark.gpu
def test_a_real_gpu_answers() -> None:
    session = NvmlSession()
    fast = read(NvmlCollector(session, FAST))
    assert fast["gpu_memory_total_bytes"] >= fast["gpu_memory_used_bytes"] > 0
    assert 0 <= fast["gpu_utilization_ratio"] <= 1
    assert any(name.startswith("gpu_info ") for name in read(NvmlEventCollector(session)))
    assert read(NvmlCollector(session, SLOW))
    read(NvmlPcieCollector(session))
    read(NvmlProcessCollector(session))
