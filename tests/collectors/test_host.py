"""The machine as psutil and /proc tell of it."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any, TypedDict

import psutil
import pytest
from structlog.testing import capture_logs

from collectors.catalogue import family_of
from collectors.host import HostCollector
from tests.collectors.fake_nvml import Clock

_Disk = namedtuple("_Disk", "read_bytes write_bytes busy_time")
_Network = namedtuple("_Network", "bytes_sent bytes_recv errin errout")
_Cpu = namedtuple("_Cpu", "user nice system idle iowait guest")


class Roots(TypedDict):
    """Where a test's machine has /sys and /proc/pressure."""

    system_root: Path
    pressure_root: Path


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    for disk in ("sda", "nvme0n1", "loop0", "zram0", "md0", "dm-0", "sr0"):
        (tmp_path / "sys" / "block" / disk / "slaves").mkdir(parents=True)
    for layered in ("md0", "dm-0"):
        (tmp_path / "sys" / "block" / layered / "slaves" / "sda1").touch()
    pressure = tmp_path / "pressure"
    pressure.mkdir()
    for resource in ("cpu", "io", "memory"):
        write_pressure(pressure, resource, 1_000_000)
    return {"system_root": tmp_path / "sys", "pressure_root": pressure}


def write_pressure(root: Path, resource: str, total: int) -> None:
    (root / resource).write_text(
        f"some avg10=1.00 avg60=2.00 avg300=3.00 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    )


def read(collector: HostCollector) -> dict[str, float]:
    found = {}
    for name, labels, value in collector.collect():
        assert labels == tuple(sorted(labels))
        key = " ".join([name, *(f"{label}={text}" for label, text in labels)])
        assert key not in found
        found[key] = value
    return found


def patch(monkeypatch: pytest.MonkeyPatch, name: str, answer: Any) -> None:
    monkeypatch.setattr(psutil, name, lambda **_: answer)


def test_this_machine_can_be_read_in_names_of_the_catalogue() -> None:
    collector = HostCollector()
    read(collector)
    for name, labels, value in collector.collect():
        metric = family_of(name)
        assert metric is not None, name
        assert {label for label, _ in labels} == set(metric.labels)
        if metric.unit == "ratio":
            assert 0 <= value <= 1
    found = read(collector)
    assert found["memory_total_bytes"] >= found["memory_used_bytes"] > 0
    assert found["memory_used_bytes"] + found["memory_available_bytes"] == found["memory_total_bytes"]
    assert found["host_uptime_seconds"] > 0
    assert found["cpu_seconds_total mode=user"] > 0
    assert not any("device=lo" in key for key in found)


def test_cpu_shares_are_of_the_time_since_the_last_run(monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    collector = HostCollector(**roots)
    patch(monkeypatch, "cpu_times", [_Cpu(10, 0, 10, 80, 0, 5), _Cpu(0, 0, 0, 100, 0, 0)])
    first = read(collector)
    assert "cpu_utilization_ratio" not in first
    assert first["cpu_seconds_total mode=user"] == 10
    assert "cpu_seconds_total mode=guest" not in first
    patch(monkeypatch, "cpu_times", [_Cpu(11, 0, 10, 80, 0, 6), _Cpu(0, 0, 0, 100, 1, 0)])
    second = read(collector)
    assert second["cpu_utilization_ratio"] == 0.5
    assert second["cpu_core_utilization_ratio core=0"] == 1
    assert second["cpu_core_utilization_ratio core=1"] == 0


def test_a_core_that_comes_or_goes_starts_the_shares_anew(monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    collector = HostCollector(**roots)
    patch(monkeypatch, "cpu_times", [_Cpu(10, 0, 10, 80, 0, 0)])
    read(collector)
    patch(monkeypatch, "cpu_times", [_Cpu(11, 0, 10, 80, 0, 0)] * 2)
    assert "cpu_utilization_ratio" not in read(collector)
    patch(monkeypatch, "cpu_times", [_Cpu(11, 0, 10, 80, 0, 0)] * 2)
    assert "cpu_utilization_ratio" not in read(collector)


def test_only_whole_physical_disks_are_counted(monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    devices = ("sda", "sda1", "nvme0n1", "nvme0n1p1", "loop0", "zram0", "md0", "dm-0", "sr0")
    patch(monkeypatch, "disk_io_counters", {device: _Disk(1, 2, 3000) for device in devices})
    found = read(HostCollector(**roots))
    disks = {key for key in found if key.startswith("disk_")}
    assert disks == {
        f"disk_{what} device={device}"
        for device in ("sda", "nvme0n1")
        for what in ("read_bytes_total", "written_bytes_total", "io_time_seconds_total")
    }
    assert found["disk_io_time_seconds_total device=sda"] == 3


def test_a_machines_own_and_its_containers_networks_are_left_out(monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    devices = ("lo", "eth0", "wlan0", "bond0", "veth12ab", "docker0", "br-77", "cali1", "wg0")
    patch(monkeypatch, "net_io_counters", {device: _Network(1, 2, 3, 4) for device in devices})
    found = read(HostCollector(**roots))
    received = {key.partition("device=")[2] for key in found if key.startswith("network_receive_bytes_total")}
    assert received == {"eth0", "wlan0", "bond0", "wg0"}
    assert found["network_transmit_bytes_total device=eth0"] == 1
    assert found["network_receive_bytes_total device=eth0"] == 2
    assert found["network_errors_total device=eth0 direction=receive"] == 3
    assert found["network_errors_total device=eth0 direction=transmit"] == 4


def test_pressure_is_the_share_of_time_in_which_some_task_waited(roots: Roots, clock: Clock) -> None:
    collector = HostCollector(**roots, clock=clock)
    assert "pressure_ratio resource=io" not in read(collector)
    clock.now = 2.0
    write_pressure(roots["pressure_root"], "io", 1_500_000)
    write_pressure(roots["pressure_root"], "cpu", 9_000_000)
    found = read(collector)
    assert found["pressure_ratio resource=io"] == 0.25
    assert found["pressure_ratio resource=cpu"] == 1
    assert found["pressure_ratio resource=memory"] == 0


def test_a_kernel_without_pressure_has_none(roots: Roots, tmp_path: Path) -> None:
    collector = HostCollector(system_root=roots["system_root"], pressure_root=tmp_path / "nowhere")
    read(collector)
    found = read(collector)
    assert not any(key.startswith("pressure") for key in found)
    assert "load1" in found


def test_a_part_that_cannot_be_read_takes_no_other_with_it_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, roots: Roots
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError("hidden")

    monkeypatch.setattr(psutil, "disk_io_counters", refuse)
    (roots["pressure_root"] / "io").write_text("something else\n")
    collector = HostCollector(**roots)
    with capture_logs() as logs:
        for _ in range(3):
            found = read(collector)
            assert "load1" in found
            assert "host_uptime_seconds" in found
            assert not any(key.startswith("disk") for key in found)
    assert [entry["part"] for entry in logs] == ["disk", "pressure"]
