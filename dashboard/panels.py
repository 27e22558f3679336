"""Panels and tiles as data: reads ``panels.yaml`` and the user's own panel files, and checks every query.

The format is described in ``docs/panels.md``. A mistake costs the one panel that it is in: :func:`read_panels` gives a
:class:`BadPanel` in its place, which the page shows there; :func:`load_panels` refuses the files instead.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from collectors.sample import METRIC_NAME
from promql import Query, QueryError, parse
from promql.error import short
from promql.node import RangeSelector, Subquery, Text

STOCK = Path(__file__).with_name("panels.yaml")
#: Panels for vLLM, Triton and others, one file each.
PROFILES = Path(__file__).with_name("profile")

Page = Literal["overview"]
Kind = Literal["tile", "chart", "bars", "gpus"]
Unit = Literal["count", "per_second", "bytes_per_second", "seconds", "ratio", "bytes", "celsius", "watts", "hertz"]
Level = Literal["warning", "critical"]

#: What a user's panel may be; the cards of kind gpus are drawn by the page itself.
USER_KINDS = ("tile", "chart", "bars")
#: How many colours for series there are, ``--s1`` to ``--s8`` of ``static/css/tokens.css``.
PALETTE = 8
#: From this step on, in ms, a single sample says too little of its step.
WIDE_MS = 60_000
#: No panel file is larger: reading it would hold up the start.
MAX_FILE_BYTES = 1 << 18
#: Stand-ins for ``$window`` and ``$range`` while a query is only checked, in ms.
_WINDOW_MS, _RANGE_MS = 60_000, 3_600_000


class PanelError(Exception):
    """A panel file cannot be used; the message has one line for every mistake and names file, line and panel."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Part):
    """One query of a panel. Style ``limit`` is a thin dashed line, ``shade`` tints the time in which it is not 0.

    ``peak`` takes the place of ``expr`` where points are :data:`WIDE_MS` apart or more, so that none hides between two.
    """

    expr: str
    legend: str = ""
    peak: str = ""
    style: Literal["line", "limit", "shade"] = "line"
    field: str | None = None

    def peaks_at(self, step_ms: int) -> bool:
        """Whether a history with this step shows the highest value of each step."""
        return bool(self.peak) and step_ms >= WIDE_MS

    def query(self, window_ms: int, range_ms: int, *, peak: bool = False) -> str:
        """The PromQL text for a window and a shown range, both in ms."""
        expr = self.peak if peak else self.expr
        return expr.replace("$window", f"{window_ms}ms").replace("$range", f"{range_ms}ms")


class Threshold(_Part):
    """An upper bound in the panel's base unit."""

    at: FiniteFloat
    level: Level


class Panel(_Part):
    """One tile, chart or list of a page."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    page: Page
    kind: Kind = "chart"
    title: str = Field(min_length=1)
    subtitle: str = ""
    group: str = ""
    unit: Unit = "count"
    hint: str = ""
    needs: Literal["", "gpu"] = ""
    idle: FiniteFloat | None = None
    quiet_zeros: bool = False
    lines: tuple[Line, ...] = Field(min_length=1)
    thresholds: tuple[Threshold, ...] = ()
    colors: dict[str, int | str] = Field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    @field_validator("colors")
    @classmethod
    def _known_colors(cls, colors: dict[str, int | str]) -> dict[str, int | str]:
        if not all(color in get_args(Level) or color in range(1, PALETTE + 1) for color in colors.values()):
            raise ValueError(f"series → 1 to {PALETTE}, 'warning' or 'critical'")
        return colors

    def level(self, value: float | None) -> Level | None:
        """The worst threshold that ``value`` has reached."""
        reached = [] if value is None else [bound.level for bound in self.thresholds if value >= bound.at]
        return max(reached, key=get_args(Level).index, default=None)


@dataclass(frozen=True)
class BadPanel:
    """A panel that cannot be shown, or a whole file (without a ``title``), and why; it keeps the panel's place."""

    file: Path
    line: int | None
    title: str
    reason: str
    kind: str = "chart"
    page: Page = "overview"

    @property
    def place(self) -> str:
        """The file and, where it is known, the line."""
        return f"{self.file}, line {self.line}" if self.line else str(self.file)

    def __str__(self) -> str:
        return f"{self.place}: panel {self.title!r}: {self.reason}" if self.title else f"{self.place}: {self.reason}"


class _Mistake(Exception):
    """What is wrong, and in which line of the file."""

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.line = line


def profile_files(names: Iterable[str]) -> list[Path]:
    """The panel files of these profiles, as far as there are any."""
    files = [PROFILES / f"{name}.yaml" for name in sorted(set(names))]
    return [file for file in files if file.is_file()]


def load_panels(files: Iterable[Path] = ()) -> tuple[Panel, ...]:
    """The stock panels, then those of ``files`` in order. Raises :class:`PanelError` with all mistakes."""
    panels = read_panels(files)
    wrong = [str(panel) for panel in panels if isinstance(panel, BadPanel)]
    if wrong:
        raise PanelError("\n".join(wrong))
    return tuple(panel for panel in panels if isinstance(panel, Panel))


def read_panels(files: Iterable[Path] = ()) -> tuple[Panel | BadPanel, ...]:
    """The stock panels, then those of ``files`` in order; in place of what cannot be shown, why."""
    owners: dict[str, str] = {}
    return tuple(panel for file in (STOCK, *files) for panel in _read(file, owners))


def _read(file: Path, owners: dict[str, str]) -> Iterator[Panel | BadPanel]:
    """All panels of a file. ``owners`` says where each known panel id is from."""
    try:
        root, tree = _parse(file)
        entries = _entries(root, tree)
    except _Mistake as mistake:
        yield BadPanel(file, mistake.line, "", str(mistake))
        return
    for number, (node, entry) in enumerate(entries, start=1):
        try:
            panel = _panel(node, entry, stock=file == STOCK)
            if panel.id in owners:
                raise _Mistake(f"the id {panel.id!r} is taken by {owners[panel.id]}", _line(node, ("id",)))
        except _Mistake as mistake:
            known = entry if isinstance(entry, dict) else {}
            title = known.get("title") or known.get("id") or f"number {number}"
            kind = known.get("kind")
            title = title if isinstance(title, str) else reprlib.repr(title)  # references may make it endless
            yield BadPanel(file, mistake.line, short(title), str(mistake), kind if kind in USER_KINDS else "chart")
        else:
            owners[panel.id] = f"panel {panel.title!r} of {file.name}"
            yield panel


def _parse(file: Path) -> tuple[yaml.Node | None, Any]:
    """The file as YAML nodes, which know their lines, and as plain values."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise _Mistake(f"this panel file is larger than {MAX_FILE_BYTES >> 10} KiB", None)
        loader = yaml.SafeLoader(text.decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _Mistake(f"this panel file cannot be read: {reason}", None) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise _Mistake(f"this panel file is not valid YAML: {' '.join(str(error).split())}", None) from error
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise _Mistake(f"this panel file is not valid YAML: {said}", line) from error
    except yaml.YAMLError as error:
        raise _Mistake(f"this panel file is not valid YAML: {' '.join(str(error).split())}", None) from error
    except RecursionError:
        raise _Mistake("this panel file is not valid: it is nested too deeply", None) from None
    finally:
        loader.dispose()


def _entries(root: yaml.Node | None, tree: Any) -> list[tuple[yaml.Node, Any]]:
    """Every entry of the list under ``panels``."""
    entries = tree.get("panels") if isinstance(tree, dict) else None
    if not isinstance(entries, list) or not isinstance(root, yaml.MappingNode):
        raise _Mistake("a panel file must hold a list under the key 'panels'", None)
    for key, node in root.value:
        if key.value != "panels":
            raise _Mistake(f"unknown key {key.value!r}; a panel file holds 'panels' alone", key.start_mark.line + 1)
        found: Sequence[yaml.Node] = node.value
    return list(zip(found, entries, strict=True))


def _panel(node: yaml.Node, entry: Any, *, stock: bool) -> Panel:
    _refuse_doubles(node)
    if not isinstance(entry, dict):
        raise _Mistake("it must hold keys and values", _line(node))
    try:
        panel = Panel.model_validate(entry)
    except ValidationError as error:
        found = error.errors()
        if len(found) > 1:  # a list is too short as well once its entries are wrong
            found = [one for one in found if one["type"] != "too_short"]
        raise _Mistake("; ".join(map(_say, found)), _line(node, found[0]["loc"])) from error
    if not stock and panel.kind not in USER_KINDS:
        raise _Mistake(f"kind is {panel.kind!r}, but must be {_list(USER_KINDS)}", _line(node, ("kind",)))
    metrics: dict[str, None] = {}
    for number, line in enumerate(panel.lines):
        if panel.kind == "gpus" and line.field is None:
            raise _Mistake("every line of a panel of kind gpus needs a field", _line(node, ("lines", number)))
        query = _checked(line, node, number)
        if line.peak:
            _checked(line, node, number, peak=True)
        metrics |= dict.fromkeys(_metrics(query))
    return panel if panel.metrics else panel.model_copy(update={"metrics": tuple(metrics)})


def _checked(line: Line, node: yaml.Node, number: int, *, peak: bool = False) -> Query:
    """The query of a line; one that can never give numbers is a mistake as well."""
    key, expr = ("peak", line.peak) if peak else ("expr", line.expr)
    try:
        query = parse(line.query(_WINDOW_MS, _RANGE_MS, peak=peak))
        if isinstance(query.expr, RangeSelector | Subquery):
            raise QueryError("it gives whole windows of samples; put a function such as rate(…) around it")
        if isinstance(query.expr, Text):
            raise QueryError("it gives text, not numbers")
    except QueryError as error:
        where = _line(node, ("lines", number, key)) + _lines_before(expr, error)
        raise _Mistake(f"{short(' '.join(expr.split()))!r} is not a query for a panel: {error}", where) from error
    return query


def _lines_before(expr: str, error: QueryError) -> int:
    """How far below the key ``expr`` an error lies, in a query that was written as a block of lines."""
    return 1 + expr.count("\n", 0, error.position[0]) if "\n" in expr and error.position else 0


def _metrics(query: Query) -> list[str]:
    """The metrics that a query names."""
    return [
        matcher.value
        for matchers in query.selectors()
        for matcher in matchers
        if (matcher.name, matcher.op) == (METRIC_NAME, "=")
    ]


def _refuse_doubles(node: yaml.Node) -> None:
    """YAML readers keep the last of two equal keys; a person who wrote both should hear of it."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise _Mistake(f"the key {key.value!r} is there twice", key.start_mark.line + 1)
        seen.add(key.value if isinstance(key.value, str) else id(key))


def _line(node: yaml.Node, path: Sequence[int | str] = ()) -> int:
    """The line of what lies at ``path``, or of the nearest thing around it that exists."""
    line: int = node.start_mark.line + 1
    for part in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _say(error: Any) -> str:
    """One of pydantic's findings as a person says it."""
    *outer, name = [str(part) for part in error["loc"]] or ["it"]
    key = ".".join([*outer, name])
    if error["type"] == "missing":
        return f"the key {key!r} is missing"
    if error["type"] == "extra_forbidden":
        parts: dict[str, type[_Part]] = {"lines": Line, "thresholds": Threshold}
        known = parts.get(outer[0], Panel) if outer else Panel
        return f"unknown key {key!r}; known are: {', '.join(known.model_fields)}"
    if error["type"] == "string_type":
        return f"{key} is {reprlib.repr(error['input'])}, but must be text; put it in quotes"
    said = re.sub(r"^(Input should be|Value error,|\w+ should) ", "", error["msg"])
    return f"{key} is {reprlib.repr(error['input'])}, but must be {said}"


def _list(words: Sequence[str]) -> str:
    return f"{', '.join(repr(word) for word in words[:-1])} or {words[-1]!r}"
