"""Panels and tiles as data: reads ``panels.yaml`` and the user's own panel files, and checks every query.

What a panel may hold is said at the top of ``panels.yaml``. :class:`PanelError` names the file and the panel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from promql import QueryError, parse

STOCK = Path(__file__).with_name("panels.yaml")

Kind = Literal["tile", "chart", "bars", "gpus"]
Unit = Literal["count", "per_second", "bytes_per_second", "seconds", "ratio", "bytes", "celsius", "watts", "hertz"]
Level = Literal["warning", "critical"]


class PanelError(Exception):
    """A panel file cannot be used; the message is one line that names the file and the panel."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Part):
    """One query of a panel. Style ``limit`` is a thin dashed line, ``shade`` tints the time in which it is not 0."""

    expr: str
    legend: str = ""
    style: Literal["line", "limit", "shade"] = "line"
    field: str | None = None

    def query(self, window_ms: int, range_ms: int) -> str:
        """The PromQL text for a window and a shown range, both in ms."""
        return self.expr.replace("$window", f"{window_ms}ms").replace("$range", f"{range_ms}ms")


class Threshold(_Part):
    """An upper bound in the panel's base unit."""

    at: float
    level: Level


class Panel(_Part):
    """One tile, chart or list of a page."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    page: str
    kind: Kind = "chart"
    title: str
    subtitle: str = ""
    group: str = ""
    unit: Unit = "count"
    hint: str = ""
    needs: Literal["", "gpu"] = ""
    idle: float | None = Field(None, description="What a tile shows while the query gives nothing.")
    quiet_zeros: bool = Field(False, description="Leave out series that are 0 throughout the shown range.")
    lines: tuple[Line, ...] = Field(min_length=1)
    thresholds: tuple[Threshold, ...] = ()
    colors: dict[str, int | Level] = Field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    def level(self, value: float | None) -> Level | None:
        """The worst threshold that ``value`` has reached."""
        reached = [] if value is None else [bound.level for bound in self.thresholds if value >= bound.at]
        return max(reached, key=get_args(Level).index, default=None)


def load_panels(files: Iterable[Path] = ()) -> tuple[Panel, ...]:
    """The stock panels, then those of ``files`` in order. Raises :class:`PanelError`."""
    panels = [panel for file in (STOCK, *files) for panel in _read(file)]
    for panel_id, count in Counter(panel.id for panel in panels).items():
        if count > 1:
            raise PanelError(
                f"the panel id {panel_id!r} is used {count} times; ids must be unique across all panel files"
            )
    return tuple(panels)


def _read(file: Path) -> list[Panel]:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PanelError(f"cannot read the panel file {file}: {reason}") from error
    except yaml.YAMLError as error:
        raise PanelError(f"the panel file {file} is not valid YAML: {' '.join(str(error).split())}") from error
    entries = tree.get("panels") if isinstance(tree, dict) else None
    if not isinstance(entries, list):
        raise PanelError(f"the panel file {file} must hold a list under the key 'panels'")
    return [_panel(file, number, entry) for number, entry in enumerate(entries, start=1)]


def _panel(file: Path, number: int, entry: Any) -> Panel:
    name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
    try:
        panel = Panel.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the panel"
        raise PanelError(f"{file}: panel {name!r}: {place}: {first['msg']}") from error
    for line in panel.lines:
        try:
            parse(line.query(60_000, 3_600_000))
        except QueryError as error:
            raise PanelError(f"{file}: panel {name!r}: {line.expr!r} is not PromQL: {error}") from error
        if panel.kind == "gpus" and line.field is None:
            raise PanelError(f"{file}: panel {name!r}: every line of a panel of kind gpus needs a field")
    return panel
