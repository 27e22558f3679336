"""How full the file systems are. On its own collector, since ``statvfs`` hangs when a network file system does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import psutil
import structlog

from collectors.sample import Sample, make_labels

_log = structlog.get_logger(__name__)

#: File systems that live on another machine.
NETWORK_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ceph",
        "fuse.ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "9p",
        "lustre",
    }
)
#: Read-only images, which are always full.
_IMAGE_TYPES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
#: Where containers have single files and devices of the host mounted.
_PLUMBING = ("/etc/", "/dev/", "/proc/", "/sys/")


class Mount(NamedTuple):
    """One mounted file system."""

    device: str
    mountpoint: str
    fstype: str


class Usage(Protocol):
    """What ``statvfs`` says: sizes in blocks of ``f_frsize`` bytes."""

    @property
    def f_frsize(self) -> int: ...
    @property
    def f_blocks(self) -> int: ...
    @property
    def f_bfree(self) -> int: ...
    @property
    def f_bavail(self) -> int: ...


def list_mounts() -> list[Mount]:
    """What is mounted, in the order of mounting."""
    return [Mount(part.device, part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]


class FilesystemCollector:
    """Local file systems, or with ``network=True`` only those of other machines, so that those cannot hold up these."""

    def __init__(
        self,
        interval_seconds: float = 10.0,
        *,
        network: bool = False,
        mounts: Callable[[], list[Mount]] = list_mounts,
        usage: Callable[[str], Usage] = os.statvfs,
    ) -> None:
        self.name = "network_filesystem" if network else "filesystem"
        self.interval_seconds = interval_seconds
        self._network = network
        self._mounts = mounts
        self._usage = usage
        self._refused: set[str] = set()

    def collect(self) -> Iterable[Sample]:
        """Size and use of each file system, by mount point."""
        for mountpoint in chosen(self._mounts(), network=self._network):
            try:
                usage = self._usage(mountpoint)
            except OSError as error:
                self._note(mountpoint, error)
                continue
            yield from _samples(mountpoint, usage)

    def _note(self, mountpoint: str, error: OSError) -> None:
        """Say once that a file system cannot be asked (no permission, gone, stale handle)."""
        if mountpoint not in self._refused:
            self._refused.add(mountpoint)
            _log.warning("filesystem_unreadable", mountpoint=mountpoint, error=str(error))


def chosen(mounts: Iterable[Mount], *, network: bool) -> list[str]:
    """The mount points that matter: real file systems, each once under its shortest path, and always the root.

    In a container the root is an overlay without a device of its own; on the host its layers' overlays are left out.
    """
    best: dict[str, str] = {}
    for device, mountpoint, fstype in mounts:
        if (fstype in NETWORK_TYPES) is not network or fstype in _IMAGE_TYPES or mountpoint.startswith(_PLUMBING):
            continue
        if not network and not (device.startswith("/dev/") or fstype == "zfs") and mountpoint != "/":
            continue
        known = best.get(device)
        if known is None or (len(mountpoint), mountpoint) < (len(known), known):
            best[device] = mountpoint
    return sorted(set(best.values()))


def _samples(mountpoint: str, usage: Usage) -> Iterable[Sample]:
    size = usage.f_blocks * usage.f_frsize
    if size == 0:
        return  # a pseudo file system
    used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
    usable = used + usage.f_bavail * usage.f_frsize
    labels = make_labels(mountpoint=mountpoint)
    yield Sample("filesystem_used_bytes", labels, float(used))
    yield Sample("filesystem_size_bytes", labels, float(size))
    if usable > 0:
        yield Sample("filesystem_used_ratio", labels, used / usable)
