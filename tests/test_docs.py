"""The documentation keeps up with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click

from command import main
from config import VERSION, load_settings, reference_page

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == reference_page(), (
        "run: python -m config > docs/settings.md"
    )


def test_every_command_is_explained_by_its_help_and_named_in_the_command_page() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    for path, command in _commands(main, ""):
        assert command.help, path
        assert f"`python app.py{path}" in page, path


def _commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += _commands(command, f"{path} {name}")
        else:
            found.append((f"{path} {name}", command))
    return found


def test_the_example_settings_use_only_settings_that_exist() -> None:
    assert load_settings(ROOT / "wakeless.example.yaml", {}).name == "my-service"


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
    assert f"## {VERSION} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_both_readmes_show_the_same_commands() -> None:
    def commands(path: Path) -> list[str]:
        return [
            line
            for block in re.findall(r"```(?:sh|bash)\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
            for line in block.splitlines()
            if line and not line.startswith("#")
        ]

    assert commands(ROOT / "README.md") == commands(ROOT / "README.zh-CN.md")


def test_the_first_scene_s_settings_load_its_rules_and_names() -> None:
    settings = load_settings(ROOT / "examples/s1/wakeless.yaml", {})
    assert settings.name == "ai-service"
    assert all(path.exists() for path in settings.alerts.rules)
    assert set(settings.metrics.aliases) == {"image_generation_total", "image_generation_latency_seconds"}
