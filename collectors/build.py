"""Makes the stock set of collectors from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from collectors.filesystem import FilesystemCollector
from collectors.host import HostCollector
from collectors.nvml import NvmlCollector, NvmlEventCollector, NvmlPcieCollector
from collectors.nvml_field import FAST, SLOW
from collectors.nvml_process import NvmlProcessCollector
from collectors.nvml_session import NvmlSession
from collectors.process import Gauge, ProcessCollector
from collectors.requests import Meters, RequestCollector
from collectors.sample import Collector
from collectors.simulation import DEFAULT_RECORDING, SimulatedNvml
from collectors.temperature import TemperatureCollector
from collectors.torch_memory import TorchMemoryCollector
from config import CollectorSettings, SettingsError


def build(
    settings: CollectorSettings,
    *,
    meters: Meters,
    gauges: Mapping[str, Gauge] | None = None,
    restarts: Callable[[], Mapping[str, int]] = dict,
    crash_loop: Callable[[], bool] | None = None,
    extra: Sequence[Collector] = (),
) -> list[Collector]:
    """All collectors that run, ``extra`` (other rooms' own) last, without those that the settings disable.

    Raises :class:`SettingsError` if the settings disable a collector that does not exist.
    """
    fast, slow = settings.interval_seconds, settings.slow_interval_seconds
    session = make_session(settings.simulated_gpus)
    collectors: list[Collector] = [
        *nvml_collectors(session, fast, slow),
        TorchMemoryCollector(fast, session.index_of),
        HostCollector(fast),
        FilesystemCollector(slow),
        FilesystemCollector(slow, network=True),
        TemperatureCollector(slow),
        ProcessCollector(gauges=gauges, restarts=restarts, crash_loop=crash_loop, interval_seconds=fast),
        RequestCollector(meters, fast),
        *extra,
    ]
    names = [collector.name for collector in collectors]
    unknown = sorted(set(settings.disabled) - set(names))
    if unknown:
        raise SettingsError(
            f"collectors.disabled names {', '.join(map(repr, unknown))}, but known are: {', '.join(sorted(names))}"
        )
    return [collector for collector in collectors if collector.name not in settings.disabled]


def make_session(simulated_gpus: int) -> NvmlSession:
    """The way to the machine's GPUs, or to so many simulated ones."""
    if simulated_gpus:
        return NvmlSession(SimulatedNvml(DEFAULT_RECORDING, simulated_gpus), simulated=True)
    return NvmlSession()


def nvml_collectors(session: NvmlSession, fast_seconds: float, slow_seconds: float) -> list[Collector]:
    """All collectors that read NVML. Those that may take long are on their own, so that they hold up none."""
    return [
        NvmlCollector(session, FAST, interval_seconds=fast_seconds),
        NvmlCollector(session, SLOW, name="nvml_slow", interval_seconds=slow_seconds),
        NvmlPcieCollector(session, slow_seconds),
        NvmlEventCollector(session, slow_seconds),
        NvmlProcessCollector(session, slow_seconds),
    ]
