"""Who may import whom, for single files, which import-linter cannot see; contracts of rooms are in pyproject.toml."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {path.stem for path in ROOT.glob("*.py")} | {
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in ("tests", "bench")
}
ALLOWED = {
    "config": {"config_section", "config_target"},
    "config_target": {"config_section"},
    "config_section": set(),
    "ledger": set(),
    "mask": set(),
    "timeword": set(),
    "blackbox": set(),
    "pause": set(),
    "supervisor": {"blackbox", "config", "ledger", "pause", "supervisor", "timeword"},
}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("module", ALLOWED)
def test_the_leaves_and_the_supervisor_import_only_what_they_may(module: str) -> None:
    files = [ROOT / f"{module}.py"] if (ROOT / f"{module}.py").exists() else [*(ROOT / module).glob("**/*.py")]
    found = set().union(*(imported(path) for path in files))
    assert found & OURS == ALLOWED[module]


def test_nothing_imports_the_front_door_or_the_composition_but_the_command_line_and_tests() -> None:
    for path in ROOT.glob("*/**/*.py"):
        if path.relative_to(ROOT).parts[0] in OURS:
            assert not imported(path) & {"app", "command", "server", "pulse"}, path


def test_the_rooms_are_where_the_test_looks() -> None:
    assert {
        "collectors",
        "model",
        "storage",
        "promql",
        "alerts",
        "targets",
        "reports",
        "dashboard",
        "config",
        "server",
    } <= OURS
    assert "click" in imported(ROOT / "command.py")
    assert "flask" not in sys.stdlib_module_names
