"""A newcomer's first quarter of an hour with simulated GPUs: the stock rules have nothing to say."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine as Database

from alerts.engine import AlertEngine
from alerts.rule import load_stock
from collectors.build import nvml_collectors
from collectors.nvml_session import NvmlSession
from collectors.sample import Tick
from collectors.simulation import DEFAULT_RECORDING, SimulatedNvml
from promql import Engine
from storage.series import SeriesStore
from tests.alerts.world import START_MS


@pytest.mark.parametrize("start_seconds", [0, 80, 160])  # anywhere in the modelled card's cycle
def test_simulated_gpus_raise_no_alert_and_none_is_pending(database: Database, start_seconds: int) -> None:
    now_ms = START_MS + start_seconds * 1000
    nvml = SimulatedNvml(DEFAULT_RECORDING, 2, clock=lambda: now_ms / 1000)
    session = NvmlSession(nvml, simulated=True, clock=lambda: now_ms / 1000)
    collectors = nvml_collectors(session, 1, 10)
    store = SeriesStore(database)
    store.load()
    engine = AlertEngine(database, Engine(store), load_stock())
    for _ in range(15 * 60 // 5):
        now_ms += 5000
        store.append([Tick(collector.name, now_ms, tuple(collector.collect())) for collector in collectors])
        assert engine.evaluate(now_ms) == []
        assert engine.current() == []
    assert store.last_tick_ms() == now_ms
