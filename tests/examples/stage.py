"""A worked example as its settings file has it: loaded, checked, and judged by the product's own readers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from alerts.check import check_rules
from collectors.catalogue import METRICS
from config import Settings, load_settings
from dashboard.panels import load_panels
from model.loader import Instance, Loader
from tests.running import ROOT, RunningServer

EXAMPLES = ROOT / "examples"


def settings_of(name: str) -> Settings:
    """The settings file of an example, without the environment."""
    return load_settings(EXAMPLES / name / "wakeless.yaml", {})


def load(name: str) -> Instance:
    """The example's model as the server would load it, on the CPU: warmed up, and its golden inputs hold."""
    settings = settings_of(name)
    chosen = settings.model.model_copy(update={"device": "cpu", "cpu_threads": 1})
    return Loader(chosen, settings.health, time.monotonic).load(lambda _: None)


def serve(name: str, data_dir: Path) -> RunningServer:
    """A server that was started with the example's settings file."""
    file = EXAMPLES / name / "wakeless.yaml"
    return RunningServer(data_dir, CONFIG=file, MODEL__DEVICE="cpu")


def problems(name: str) -> list[str]:
    """What ``check-rules`` says of the example's rules. Raises if its panels cannot be read."""
    settings = settings_of(name)
    assert settings.alerts.rules
    assert settings.panels
    load_panels(settings.panels)
    return [str(problem) for file in settings.alerts.rules for problem in check_rules(file, METRICS)]


def panel_ids(server: RunningServer) -> list[str]:
    """The panels whose queries the overview of a running server could run."""
    found: Any = server.json("/api/panels?page=overview&step=10000", **server.token("viewer"))
    return [name for name, panel in found["panels"].items() if "error" not in panel]
