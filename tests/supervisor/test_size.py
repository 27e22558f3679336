"""The supervisor must outlive everything, so it holds next to nothing."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "flask", "sqlalchemy", "numpy", "apprise", "psutil", "structlog")


def test_the_supervisor_holds_neither_torch_nor_flask_nor_the_database() -> None:
    script = f"import sys, command, app; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
