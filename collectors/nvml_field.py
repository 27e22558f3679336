"""What is asked of each GPU: one row for each NVML call, with the series that its answer feeds.

``FAST`` costs microseconds a call, ``SLOW`` up to a fifth of a millisecond, ``PCIE`` blocks for 20 ms a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pynvml

from collectors.nvml_session import Unsupported, is_unsupported
from collectors.sample import Labels, make_labels

_MHZ = 1_000_000
_KIB = 1024
_ALL_LINKS = 0xFFFFFFFF
#: ``gpu_throttle_active{reason}`` and its bit. Idleness is no throttling and is left out.
_THROTTLE = {
    "applications_clocks": pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting,
    "sw_power_cap": pynvml.nvmlClocksThrottleReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksThrottleReasonSyncBoost,
    "sw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
    "hw_power_brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    "display_clocks": pynvml.nvmlClocksThrottleReasonDisplayClockSetting,
}
_CLOCKS = {
    "graphics": pynvml.NVML_CLOCK_GRAPHICS,
    "sm": pynvml.NVML_CLOCK_SM,
    "memory": pynvml.NVML_CLOCK_MEM,
    "video": pynvml.NVML_CLOCK_VIDEO,
}
_ECC = {
    "corrected": pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
    "uncorrected": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
}
_RETIREMENT = {
    "single_bit": pynvml.NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS,
    "double_bit": pynvml.NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR,
}
_NVLINK_ERRORS = {
    "crc_flit": pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL,
    "crc_data": pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL,
    "replay": pynvml.NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL,
    "recovery": pynvml.NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL,
    "ecc_data": pynvml.NVML_FI_DEV_NVLINK_ECC_DATA_ERROR_COUNT_TOTAL,
}
#: Where a field value keeps its number, by NVML's value type.
_VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")

#: An answer's values in the order of the field's series; None for one that has no value now.
Values = Callable[[Any], Iterable[float | None]]


class Field(NamedTuple):
    """One NVML call on a device, ``function(handle, *arguments)``, and the series that ``values`` draws from it.

    Where the card or driver does not support it, ``fallback`` is asked instead.
    """

    function: str
    arguments: tuple[Any, ...]
    series: tuple[tuple[str, Labels], ...]
    values: Values
    fallback: Field | None = None


def _scaled(factor: float = 1.0) -> Values:
    return lambda answer: (answer * factor,)


def _single(name: str, function: str, *arguments: Any, factor: float = 1.0, values: Values | None = None) -> Field:
    return Field(function, arguments, ((name, ()),), values or _scaled(factor))


def _each(
    name: str, label: str, function: str, choices: dict[str, int], *more: Any, factor: float = 1.0
) -> list[Field]:
    """One call for each value of a label."""
    return [
        Field(function, (choice, *more), ((name, make_labels(**{label: value})),), _scaled(factor))
        for value, choice in choices.items()
    ]


def _members(function: str, series: dict[str, str], *arguments: Any, factor: float = 1.0) -> Field:
    """One call whose answer is a structure: member → metric."""
    members = tuple(series)
    return Field(
        function,
        arguments,
        tuple((name, ()) for name in series.values()),
        lambda answer: [getattr(answer, member) * factor for member in members],
    )


def _labelled(name: str, label: str, values: Iterable[str]) -> tuple[tuple[str, Labels], ...]:
    return tuple((name, make_labels(**{label: value})) for value in values)


def _field_values(factor: float = 1.0) -> Values:
    """Numbers of ``nvmlDeviceGetFieldValues``; raises :class:`Unsupported` if the card has none of them."""

    def numbers(answer: Any) -> list[float | None]:
        if all(is_unsupported(value.nvmlReturn) for value in answer):
            raise Unsupported("none of the field values")
        return [
            getattr(value.value, _VALUE_MEMBERS[value.valueType]) * factor
            if value.nvmlReturn == pynvml.NVML_SUCCESS and value.valueType < len(_VALUE_MEMBERS)
            else None
            for value in answer
        ]

    return numbers


def _throttle(function: str, fallback: Field | None = None) -> Field:
    series = _labelled("gpu_throttle_active", "reason", _THROTTLE)
    return Field(function, (), series, lambda bits: [float(bool(bits & bit)) for bit in _THROTTLE.values()], fallback)


_MEMORY = {"total": "gpu_memory_total_bytes", "free": "gpu_memory_free_bytes", "used": "gpu_memory_used_bytes"}

FAST: tuple[Field, ...] = (
    _members(
        "nvmlDeviceGetUtilizationRates",
        {"gpu": "gpu_utilization_ratio", "memory": "gpu_memory_utilization_ratio"},
        factor=0.01,
    ),
    # The first version of this call counts reserved memory as used.
    _members(
        "nvmlDeviceGetMemoryInfo", {**_MEMORY, "reserved": "gpu_memory_reserved_bytes"}, pynvml.nvmlMemory_v2
    )._replace(fallback=_members("nvmlDeviceGetMemoryInfo", _MEMORY)),
    _single(
        "gpu_encoder_utilization_ratio", "nvmlDeviceGetEncoderUtilization", values=lambda answer: (answer[0] / 100,)
    ),
    _single(
        "gpu_decoder_utilization_ratio", "nvmlDeviceGetDecoderUtilization", values=lambda answer: (answer[0] / 100,)
    ),
    _single("gpu_temperature_celsius", "nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
    _single(
        "gpu_memory_temperature_celsius",
        "nvmlDeviceGetFieldValues",
        [pynvml.NVML_FI_DEV_MEMORY_TEMP],
        values=_field_values(),
    ),
    _single("gpu_power_watts", "nvmlDeviceGetPowerUsage", factor=0.001),
    _single("gpu_energy_joules_total", "nvmlDeviceGetTotalEnergyConsumption", factor=0.001),
    *_each("gpu_clock_hertz", "clock", "nvmlDeviceGetClockInfo", _CLOCKS, factor=_MHZ),
    _single(
        "gpu_performance_state",
        "nvmlDeviceGetPerformanceState",
        values=lambda state: (None if state == pynvml.NVML_PSTATE_UNKNOWN else state,),
    ),
    _throttle(
        "nvmlDeviceGetCurrentClocksEventReasons", fallback=_throttle("nvmlDeviceGetCurrentClocksThrottleReasons")
    ),
)

SLOW: tuple[Field, ...] = (
    _single("gpu_fan_speed_ratio", "nvmlDeviceGetFanSpeed", factor=0.01),
    _members("nvmlDeviceGetBAR1MemoryInfo", {"bar1Used": "gpu_bar1_used_bytes"}),
    _single("gpu_power_limit_watts", "nvmlDeviceGetEnforcedPowerLimit", factor=0.001),
    *_each("gpu_clock_max_hertz", "clock", "nvmlDeviceGetMaxClockInfo", _CLOCKS, factor=_MHZ),
    _single("gpu_pcie_link_generation", "nvmlDeviceGetCurrPcieLinkGeneration"),
    _single("gpu_pcie_link_width", "nvmlDeviceGetCurrPcieLinkWidth"),
    *_each("gpu_ecc_errors_total", "kind", "nvmlDeviceGetTotalEccErrors", _ECC, pynvml.NVML_AGGREGATE_ECC),
    *(
        Field(
            "nvmlDeviceGetRetiredPages",
            (cause,),
            _labelled("gpu_retired_pages", "cause", (name,)),
            lambda pages: (float(len(pages)),),
        )
        for name, cause in _RETIREMENT.items()
    ),
    Field(
        "nvmlDeviceGetRemappedRows",
        (),
        _labelled("gpu_remapped_rows", "kind", ("corrected", "uncorrected", "pending", "failed")),
        lambda answer: [float(number) for number in answer],
    ),
    Field(
        "nvmlDeviceGetFieldValues",
        (
            [
                (pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, _ALL_LINKS),
                (pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, _ALL_LINKS),
            ],
        ),
        (("gpu_nvlink_transmit_bytes_total", ()), ("gpu_nvlink_receive_bytes_total", ())),
        _field_values(_KIB),
    ),
    Field(
        "nvmlDeviceGetFieldValues",
        (list(_NVLINK_ERRORS.values()),),
        _labelled("gpu_nvlink_errors_total", "kind", _NVLINK_ERRORS),
        _field_values(),
    ),
)

PCIE: tuple[Field, ...] = (
    _single(
        "gpu_pcie_transmit_bytes_per_second",
        "nvmlDeviceGetPcieThroughput",
        pynvml.NVML_PCIE_UTIL_TX_BYTES,
        factor=_KIB,
    ),
    _single(
        "gpu_pcie_receive_bytes_per_second",
        "nvmlDeviceGetPcieThroughput",
        pynvml.NVML_PCIE_UTIL_RX_BYTES,
        factor=_KIB,
    ),
)
