"""The commands that copy everything: ``backup`` and ``restore``."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import click

from command_base import errors_on_stderr, fail, with_settings
from command_key import bring_key_back, keep_key, warn_of_locked
from command_progress import Progress, is_shown
from config import Settings
from ledger import LastWords
from supervisor import DataFolderTaken, holder, lock_data_folder

#: A running server has ended its requests and loaded its database anew by then.
RESTART_SECONDS = 180.0
_LOOK_SECONDS = 0.2


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--with-key", is_flag=True, help="Copy the key of the channels' addresses, too: FILE.channels.key.")
@click.option("--progress/--no-progress", default=None, help="Default: a bar where stderr is a terminal.")
@with_settings
def backup(settings: Settings, file: Path, force: bool, with_key: bool, progress: bool | None) -> None:
    """Write everything into one FILE: history, alerts, accounts, audit.

    Works while the server runs, and does not hold it up. The file is checked before it appears under its name, and only
    its owner can read it. The addresses of channels are in it encrypted; their key is not, without --with-key.
    """
    from alerts.delivery.spare import spare_path
    from storage.backup import backup as make
    from storage.error import StorageError

    began = time.monotonic()
    if with_key and spare_path(file).exists() and not force:
        fail(f"no backup was made: {spare_path(file)} exists already; --force replaces it")
    with errors_on_stderr(), Progress(f"backup to {file.name}", 1.0, is_shown(progress)) as bar:
        try:
            size = make(settings.data_dir / "wakeless.db", file, bar.reach, force=force)
        except StorageError as error:
            hint = "; --force replaces it" if "exists already" in str(error) else ""
            fail(f"no backup was made: {error}{hint}")
    click.echo(f"{file}: {size:,} bytes in {time.monotonic() - began:.1f} s, checked")
    keep_key(settings.data_dir, file, wanted=with_key)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--progress/--no-progress", default=None, help="Default: a bar where stderr is a terminal.")
@with_settings
def restore(settings: Settings, file: Path, progress: bool | None) -> None:
    """Put a backup FILE in the place of the database; the present one is kept under another name.

    The file is checked first. A server that runs is restarted in order. A key beside the file, FILE.channels.key, is
    taken up with it.
    """
    from storage.backup import place, take_up_restored
    from storage.error import StorageError

    path = settings.data_dir / "wakeless.db"
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        bring_key_back(settings.data_dir, file)
        with errors_on_stderr(), Progress(f"restore of {file.name}", 1.0, is_shown(progress)) as bar:
            place(file, path, bar.reach)
        try:
            with lock_data_folder(settings.data_dir), errors_on_stderr():
                before = take_up_restored(path, time.time_ns() // 1_000_000)
        except DataFolderTaken:
            before = _restart(settings.data_dir, path)
    except (StorageError, OSError) as error:
        fail(f"nothing was restored: {error}")
    click.echo(f"{file} is restored" + (f"; the database before it is {before}" if before else ""))
    warn_of_locked(settings.data_dir, file)


def _restart(data_dir: Path, path: Path) -> Path | None:
    """Let the running server take the backup up; returns where the database before it lies."""
    from storage.backup import is_waiting, set_aside

    supervisor = holder(data_dir)
    if supervisor is None:
        fail(f"a server runs on {data_dir}, but which one is not known: restart it by hand, and it takes the backup up")
    known = set_aside(path)
    with suppress(OSError):  # a full disk costs the reason, not the restart
        LastWords(data_dir).leave("restart", f"restart to restore {path.name} from a backup")
    click.echo("the server restarts", err=True)
    os.kill(supervisor, signal.SIGHUP)
    deadline = time.monotonic() + RESTART_SECONDS
    while is_waiting(path):
        if time.monotonic() > deadline:
            fail(f"the server has not restarted in {RESTART_SECONDS:g} s; its next start takes the backup up")
        time.sleep(_LOOK_SECONDS)
    return max(set_aside(path) - known, default=None)
