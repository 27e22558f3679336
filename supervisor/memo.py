"""A small JSON file that survives the supervisor: written whole or not at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger("wakeless.supervisor")


class Memo:
    """One document. A disk that takes nothing costs the memory of it, never the supervisor."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """The document; empty when there is none or it makes no sense."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, document: dict[str, Any]) -> None:
        """Replace it."""
        scratch = self.path.with_suffix(".tmp")
        try:
            scratch.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
            scratch.chmod(0o600)
            scratch.replace(self.path)
        except OSError as error:
            log.error("%s cannot be written: %s", self.path.name, error.strerror)

    def forget(self) -> None:
        """Remove it."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s cannot be removed: %s", self.path.name, error.strerror)
