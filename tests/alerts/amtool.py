"""Debian's amtool, the judge of routing files; without it a test is skipped, except in CI."""

from __future__ import annotations

import os
import shutil

import pytest

needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None and os.environ.get("CI") != "true",
    reason="amtool is not installed (Debian's package prometheus-alertmanager has it)",
)
