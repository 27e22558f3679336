"""The vault: encrypts what must not be read from the database, with a key file beside it.

Loads cryptography (6 MB) when there is something to encrypt or to read.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

log = structlog.get_logger(__name__)

FILE_NAME = "channels.key"
_MODE = 0o600


class VaultError(Exception):
    """The key file cannot be used, or is not the one with which something was encrypted; the message says which."""

    permanent = True


class Vault:
    """Owns the key file: a Fernet key on each line. The first encrypts, all decrypt, so a key is replaced by writing a
    new one above it.

    The file is made when something is encrypted for the first time, mode 0600, whole or not at all. It is read once;
    a file that is not there, or not the right one, is looked at again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys: MultiFernet | None = None

    def seal(self, text: str) -> bytes:
        """Encrypt. Raises :class:`VaultError` where there is no key and none can be made, or where it has gone since it
        was read: what only memory can decrypt would be lost with this process.
        """
        with self._lock:
            if self._keys is not None and not self._path.exists():
                raise VaultError(f"{self._path.name} is not in the data folder any more: bring it back")
        return self._open(make=True).encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        """Decrypt what :meth:`seal` gave. Raises :class:`VaultError`."""
        from cryptography.fernet import InvalidToken

        try:
            return self._open(make=False).decrypt(sealed).decode()
        except InvalidToken:
            with self._lock:
                self._keys = None  # the right file may be there the next time
            raise VaultError(f"{self._path.name} is not the key with which it was encrypted") from None

    def check(self) -> None:
        """Raises :class:`VaultError` where the key file is not there or is none."""
        self._open(make=False)

    def _open(self, *, make: bool) -> MultiFernet:
        with self._lock:
            if self._keys is None:
                from cryptography.fernet import MultiFernet

                self._keys = MultiFernet([_key(line) for line in self._lines(make=make)])
            return self._keys

    def _lines(self, *, make: bool) -> list[str]:
        try:
            if make and not self._path.exists():
                _create(self._path)
            lines = [line.strip() for line in self._path.read_text("ascii").splitlines() if line.strip()]
            mode = stat.S_IMODE(self._path.stat().st_mode)
            if mode & 0o077:
                self._path.chmod(_MODE)
                log.warning("key_file_was_readable_by_others", mode=oct(mode))
        except FileNotFoundError:
            raise VaultError(f"{self._path.name} is not in the data folder") from None
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a key file"
            raise VaultError(f"{self._path.name} cannot be used: {reason}") from None
        if not lines:
            raise VaultError(f"{self._path.name} holds no key")
        return lines


def _key(line: str) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(line)
    except ValueError:
        raise VaultError(f"{FILE_NAME} holds a line that is not a key") from None


def _create(path: Path) -> None:
    """A new key under ``path``; one that another process made meanwhile stays."""
    from cryptography.fernet import Fernet

    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()
