"""File systems that matter, each once."""

from __future__ import annotations

from types import SimpleNamespace

from structlog.testing import capture_logs

from collectors.filesystem import FilesystemCollector, Mount, chosen
from collectors.sample import Sample, make_labels

HOST = [
    Mount("proc", "/proc", "proc"),
    Mount("tmpfs", "/run", "tmpfs"),
    Mount("/dev/sda2", "/", "ext4"),
    Mount("/dev/sda1", "/boot/efi", "vfat"),
    Mount("/dev/loop3", "/snap/core/1", "squashfs"),
    Mount("/dev/sda2", "/var/lib/docker/bind", "ext4"),
    Mount("overlay", "/var/lib/docker/overlay2/1/merged", "overlay"),
    Mount("tank/data", "/data", "zfs"),
    Mount("nas:/export", "/mnt/nas", "nfs4"),
    Mount("//nas/share", "/mnt/share", "cifs"),
]
CONTAINER = [
    Mount("overlay", "/", "overlay"),
    Mount("/dev/sda2", "/etc/resolv.conf", "ext4"),
    Mount("/dev/sda2", "/etc/hosts", "ext4"),
    Mount("/dev/sda2", "/data", "ext4"),
]


class Disk:
    """What ``statvfs`` says."""

    f_frsize, f_blocks, f_bfree, f_bavail = 4096, 1000, 400, 300


def test_real_file_systems_are_told_once_under_their_shortest_path() -> None:
    assert chosen(HOST, network=False) == ["/", "/boot/efi", "/data"]


def test_those_of_other_machines_are_told_apart() -> None:
    assert chosen(HOST, network=True) == ["/mnt/nas", "/mnt/share"]
    assert FilesystemCollector().name != FilesystemCollector(network=True).name


def test_in_a_container_the_root_counts_though_it_has_no_device() -> None:
    assert chosen(CONTAINER, network=False) == ["/", "/data"]


def test_a_mount_point_that_is_mounted_over_is_told_once() -> None:
    mounts = [Mount("rootfs", "/", "rootfs"), Mount("/dev/sda2", "/", "ext4")]
    assert chosen(mounts, network=False) == ["/"]


def test_the_used_share_is_that_of_df() -> None:
    collector = FilesystemCollector(mounts=lambda: [Mount("/dev/sda2", "/", "ext4")], usage=lambda _: Disk())
    labels = make_labels(mountpoint="/")
    assert list(collector.collect()) == [
        Sample("filesystem_used_bytes", labels, 600 * 4096),
        Sample("filesystem_size_bytes", labels, 1000 * 4096),
        Sample("filesystem_used_ratio", labels, 600 / 900),
    ]


def test_one_that_cannot_be_asked_is_left_out_and_named_once() -> None:
    def usage(path: str) -> Disk:
        if path == "/boot/efi":
            raise PermissionError(13, "denied")
        return Disk()

    collector = FilesystemCollector(mounts=lambda: HOST, usage=usage)
    with capture_logs() as logs:
        for _ in range(2):
            assert {dict(labels)["mountpoint"] for _, labels, _ in collector.collect()} == {"/", "/data"}
    assert [entry["mountpoint"] for entry in logs] == ["/boot/efi"]


def test_one_without_any_blocks_is_left_out() -> None:
    empty = SimpleNamespace(f_frsize=4096, f_blocks=0, f_bfree=0, f_bavail=0)
    assert list(FilesystemCollector(mounts=lambda: HOST, usage=lambda _: empty).collect()) == []


def test_this_machines_root_can_be_read() -> None:
    found = {
        dict(labels)["mountpoint"]: value for name, labels, value in FilesystemCollector().collect() if "ratio" in name
    }
    assert 0 < found["/"] <= 1
