"""Debian's promtool, the judge of rule files; without it a test is skipped, except in CI."""

from __future__ import annotations

import os
import shutil

import pytest

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("CI") != "true",
    reason="promtool is not installed (Debian's package prometheus has it)",
)
