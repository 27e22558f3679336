"""The chronicle of a server process: what it writes down, and that it does so once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from alerts.outage.outage import Outages
from alerts.outage.uptime import uptime
from chronicle import Chronicle
from collectors.requests import Meters
from config import HealthSettings, ModelSettings
from ledger import Exit, Ledger
from model.host import ModelHost
from model.status import ModelStatus
from storage.engine import open_database
from storage.incident import IncidentLog


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_database(tmp_path / "wakeless.db")
    yield engine
    engine.dispose()


@pytest.fixture
def ready(tmp_path: Path) -> ModelStatus:
    host = ModelHost(ModelSettings(enabled=False), HealthSettings(), Meters(), name="shop", data_dir=tmp_path)
    return replace(host.status(), state="ready", reason=None)


class Machine:
    """Processes of one data folder, one after the other."""

    def __init__(self, folder: Path, database: Database, status: ModelStatus) -> None:
        self.ledger = Ledger(folder)
        self.incidents = IncidentLog(database)
        self.status = status
        self.outages = Outages(database, self.incidents)
        self.chronicle = self.boot()

    def boot(self) -> Chronicle:
        self.chronicle = Chronicle(self.incidents, self.ledger, lambda: self.status, 0)
        return self.chronicle

    def crash(self, started_ms: int, ended_ms: int) -> None:
        self.ledger.append(Exit("segfault", "the program crashed", started_ms, ended_ms, pid=7))


@pytest.fixture
def machine(tmp_path: Path, database: Database, ready: ModelStatus) -> Machine:
    return Machine(tmp_path, database, ready)


def test_the_service_is_as_old_as_its_first_start(machine: Machine) -> None:
    machine.chronicle.open(None, 5_000)
    machine.boot().open(90_000, 100_000)
    assert machine.incidents.first_start_ms() == 5_000


def test_after_an_update_it_is_as_old_as_anything_that_is_known(machine: Machine) -> None:
    machine.incidents.add("process", "killed", "it was killed", 2_000, 3_000)
    machine.crash(1_500, 80_000)
    machine.chronicle.open(90_000, 100_000)
    assert machine.incidents.first_start_ms() == 1_500


def test_a_process_that_died_before_its_first_tick_leaves_one_incident_for_one_end(machine: Machine) -> None:
    """Each of them finds the same last tick and the same end in the ledger."""
    machine.crash(1_000, 50_000)
    machine.status = replace(machine.status, state="loading")
    for boot_ms in (51_000, 53_000, 57_000):
        machine.boot().open(49_000, boot_ms)
        machine.crash(boot_ms, boot_ms + 500)
    (incident,) = machine.incidents.recent(10)
    assert (incident.started_ms, incident.ended_ms, incident.detected_ms) == (50_000, None, 51_000)
    machine.status = replace(machine.status, state="ready")
    machine.chronicle.follow(60_000)
    assert machine.incidents.recent(10)[0].ended_ms == 60_000


def test_trouble_that_a_crash_ends_is_down_without_a_gap(machine: Machine) -> None:
    machine.chronicle.open(None, 1_000)
    machine.status = replace(machine.status, breaker="open", breaker_reason="breaker_open: 62% of 50 requests failed")
    machine.chronicle.follow(20_000)
    machine.outages.follow([], 20_000)
    machine.crash(1_000, 30_000)
    machine.status = replace(machine.status, breaker="closed", breaker_reason=None)
    machine.boot().open(29_000, 35_000)
    machine.outages.follow([], 35_000)
    machine.chronicle.follow(41_000)
    machine.outages.follow([], 41_000)
    first, second = sorted(machine.incidents.recent(10), key=lambda one: one.started_ms)
    assert (first.cause, first.ended_ms, first.over_ms) == ("breaker_open", 30_000, 41_000)
    assert (second.cause, second.part_of, second.ended_ms) == ("segfault", first.id, 41_000)
    assert uptime(machine.incidents, 101_000).windows["24h"].ratio == 1 - 21 / 100


def test_an_incident_of_alerts_is_not_the_chronicles_to_end(machine: Machine, database: Database) -> None:
    id = machine.incidents.add("alert", "DiskAlmostFull", "the disk is almost full", 10_000, None)
    machine.crash(1_000, 50_000)
    machine.chronicle.open(49_000, 51_000)
    assert [one.id for one in machine.incidents.recent(10) if one.ended_ms is None and one.kind == "alert"] == [id]
