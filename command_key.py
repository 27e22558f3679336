"""What ``backup`` and ``restore`` do about the key of the channels' addresses, and say where it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from command_base import fail

_MOST_NAMES = 5


def keep_key(data_dir: Path, backup: Path, *, wanted: bool) -> None:
    """Copy the key beside a backup that was made, if that is ``wanted``; else say what the backup lacks."""
    from alerts.delivery.spare import copy_key, locked_channels, spare_path
    from alerts.delivery.vault import FILE_NAME

    key, spare = data_dir / FILE_NAME, spare_path(backup)
    channels = locked_channels(backup, None)
    if not channels:
        return
    if not wanted:
        _warn(
            f"the addresses of {len(channels)} channels are in it encrypted, and {key} is not in it: "
            "keep that file as well, elsewhere, or use --with-key"
        )
        return
    try:
        copy_key(key, spare)
    except OSError as error:
        fail(f"{backup} is made, but not {spare}: {key.name}: {error.strerror}")
    click.echo(f"{spare}: whoever has both files has the addresses of the channels")
    lost = locked_channels(backup, spare)
    if lost:
        _warn(f"{spare} does not open {_named(lost)}: give these channels their addresses again")


def bring_key_back(data_dir: Path, backup: Path) -> None:
    """Have the data folder's key file open what the key beside a backup opens, where there is one."""
    from alerts.delivery.spare import adopt_key, spare_path
    from alerts.delivery.vault import FILE_NAME, VaultError

    spare = spare_path(backup)
    if not spare.exists():
        return
    try:
        adopt_key(spare, data_dir / FILE_NAME)
    except VaultError as error:
        fail(f"nothing was restored: {error}")
    except OSError as error:
        fail(f"nothing was restored: {spare}: {error.strerror}")


def warn_of_locked(data_dir: Path, backup: Path) -> None:
    """Say which channels of a backup that was restored the data folder's key does not open."""
    from alerts.delivery.spare import locked_channels
    from alerts.delivery.vault import FILE_NAME

    locked = locked_channels(backup, data_dir / FILE_NAME)
    if locked:
        _warn(
            f"{data_dir / FILE_NAME} does not open {_named(locked)}: no notice reaches them. "
            f"Bring the {FILE_NAME} of the backup's time back, or give the channels their addresses again"
        )


def _named(channels: Sequence[str]) -> str:
    names = ", ".join(channels[:_MOST_NAMES]) + (", …" if len(channels) > _MOST_NAMES else "")
    return f"the addresses of {len(channels)} channels ({names})"


def _warn(message: str) -> None:
    click.echo(f"wakeless: warning: {message}", err=True)
