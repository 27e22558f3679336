"""A spare key: the key file of the channels' addresses beside a backup, which holds them encrypted and without it."""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from pathlib import Path

from alerts.delivery.vault import FILE_NAME, Vault, VaultError
from storage.engine import connect_plainly
from storage.error import storage_errors

_MODE = 0o600


def spare_path(backup: Path) -> Path:
    """Where the key of a backup lies."""
    return backup.with_name(f"{backup.name}.{FILE_NAME}")


def locked_channels(database: Path, key: Path | None) -> list[str]:
    """The names of the channels in a database that the key file ``key`` does not open; with None, of all.

    Raises :class:`storage.error.StorageError`. A database from before channels has none.
    """
    with storage_errors(database), closing(connect_plainly(database, read_only=True)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'channels'").fetchone() is None:
            return []
        rows = connection.execute("SELECT name, secret FROM channels ORDER BY id").fetchall()
    vault = None if key is None else Vault(key)
    return [name for name, secret in rows if vault is None or not _opens(vault, secret)]


def copy_key(source: Path, target: Path) -> None:
    """Copy a key file, readable by its owner only, whole or not at all. Raises :class:`OSError`."""
    _write(target, source.read_bytes())


def adopt_key(spare: Path, key: Path) -> bool:
    """Have the key file ``key`` open what ``spare`` opens as well; whether it had to change.

    What it has stays first: the first line encrypts. Raises :class:`VaultError` for a spare that is no key file, and
    :class:`OSError`.
    """
    Vault(spare).check()
    own = key.read_bytes().splitlines() if key.exists() else []
    others = [line for line in spare.read_bytes().splitlines() if line.strip() and line not in own]
    if others:
        _write(key, b"\n".join([*own, *others, b""]))
    return bool(others)


def _opens(vault: Vault, secret: bytes) -> bool:
    try:
        vault.unseal(secret)
    except VaultError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
