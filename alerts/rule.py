"""Rule files as Prometheus reads them: groups of alerting and recording rules, checked whole before any is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from alerts.duration import parse_duration
from alerts.template import Template, TemplateError
from promql import Query, QueryError, parse

#: The rules that come with Wakeless.
STOCK_FILE = Path(__file__).with_name("stock.yml")

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_GROUP_FIELDS = frozenset({"name", "interval", "limit", "labels", "query_offset", "rules"})
_RULE_FIELDS = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
_ALERT_ONLY = ("for", "keep_firing_for", "annotations")


class RuleError(Exception):
    """A rule file that cannot be used; the message is one line, ``problems`` has a line for everything found."""

    permanent = True

    def __init__(self, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule. ``labels`` and ``annotations`` are templates, as parsed when the file was read."""

    name: str
    query: Query
    expr: str
    for_seconds: float
    keep_firing_seconds: float
    labels: Mapping[str, Template]
    annotations: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule: its result is kept as the series ``name`` with ``labels`` added."""

    name: str
    query: Query
    expr: str
    labels: Mapping[str, str]


AnyRule: TypeAlias = Rule | Recording


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order. ``interval_seconds`` None: whenever the engine runs.

    ``limit`` bounds the alerts or samples of one rule; 0 is no limit.
    """

    name: str
    file: str
    interval_seconds: float | None
    rules: tuple[AnyRule, ...]
    limit: int = 0
    query_offset_seconds: float = 0.0


def load_rules(path: Path) -> list[Group]:
    """Read one rule file. Raises :class:`RuleError` if anything in it is wrong or it cannot be read."""
    groups, problems = read_rules(path)
    if problems:
        raise RuleError(problems)
    return groups


def load_stock(replaced_by: Iterable[Group] = ()) -> list[Group]:
    """The stock rules, less those whose name a rule of ``replaced_by`` carries: that is how one is adjusted."""
    own = {rule.name for group in replaced_by for rule in group.rules if isinstance(rule, Rule)}
    groups = []
    for group in load_rules(STOCK_FILE):
        rules = tuple(rule for rule in group.rules if rule.name not in own)
        groups.append(Group(group.name, group.file, group.interval_seconds, rules, group.limit))
    return groups


def read_rules(path: Path) -> tuple[list[Group], list[str]]:
    """What a rule file holds, and a line for everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return [], [f"{path}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        return [], [f"{path}: is not UTF-8 text"]
    return parse_rules(text, str(path))


def parse_rules(text: str, file: str) -> tuple[list[Group], list[str]]:
    """As :func:`read_rules`, from text; ``file`` is what the messages call it."""
    reader = _Reader(file)
    return reader.read(text), reader.problems


class _Loader(yaml.BaseLoader):
    """YAML with every scalar kept as the text that was written, as Go reads it into strings; no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=True)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice in one mapping", node.start_mark)
        return mapping


class _Reader:
    """Reads one file and gathers what is wrong with it."""

    def __init__(self, file: str) -> None:
        self.problems: list[str] = []
        self._file = file

    def _complain(self, message: str, place: str = "") -> None:
        one_line = " ".join(f"{place}{message}".split())
        self.problems.append(f"{self._file}: {one_line}")

    def read(self, text: str) -> list[Group]:
        try:
            # S506: _Loader is a BaseLoader, the safest there is: it makes text, lists and mappings only.
            tree = yaml.load(text, Loader=_Loader)  # noqa: S506
        except (yaml.YAMLError, RecursionError) as error:
            self._complain(f"is not valid YAML: {error}")
            return []
        if tree is None or tree == "":
            return []
        if not self._is_mapping(tree, frozenset({"groups"}), "the file", ""):
            return []
        groups: list[Group] = []
        names: set[str] = set()
        for number, entry in enumerate(self._list(tree.get("groups", ""), "groups", ""), 1):
            group = self._group(entry, number)
            if group is None:
                continue
            if group.name in names:
                self._complain(f"group {_quoted(group.name)} is repeated in the same file")
            names.add(group.name)
            groups.append(group)
        return groups

    def _group(self, entry: Any, number: int) -> Group | None:
        place = f"group {number}: "
        if not self._is_mapping(entry, _GROUP_FIELDS, "a group", place):
            return None
        name = self._text(entry, "name", place)
        if not name:
            self._complain("a group needs a name", place)
        place = f"group {_quoted(name)}: " if name else place
        interval = self._duration(entry, "interval", place)
        labels = self._labels(entry, "labels", place)
        self._templates(labels, "label", place)
        rules = []
        for index, item in enumerate(self._list(entry.get("rules", ""), "rules", place), 1):
            rule = self._rule(item, f"{place.removesuffix(': ')}, rule {index}", labels)
            if rule is not None:
                rules.append(rule)
        return Group(
            name=name,
            file=self._file,
            interval_seconds=interval or None,
            rules=tuple(rules),
            limit=self._count(entry, "limit", place),
            query_offset_seconds=self._duration(entry, "query_offset", place),
        )

    def _rule(self, entry: Any, place: str, group_labels: Mapping[str, str]) -> AnyRule | None:
        known = len(self.problems)
        if not self._is_mapping(entry, _RULE_FIELDS, "a rule", f"{place}: "):
            return None
        alert, record = self._text(entry, "alert", f"{place}: "), self._text(entry, "record", f"{place}: ")
        place = f"{place}, {_quoted(alert or record)}: "
        if alert and record:
            self._complain("only one of 'record' and 'alert' may be set", place)
        if not alert and not record:
            self._complain("one of 'record' or 'alert' must be set", place)
        if record and not alert:
            for field in (field for field in _ALERT_ONLY if entry.get(field)):
                self._complain(f"a recording rule takes no {field!r}", place)
            if not _METRIC_NAME.fullmatch(record):
                self._complain(f"{record!r} is not a metric name", place)
        expr, query = self._query(entry, place)
        labels = {**group_labels, **self._labels(entry, "labels", place)}
        annotations = self._labels(entry, "annotations", place)
        label_templates = self._templates(labels, "label", place)
        rule = Rule(
            name=alert,
            query=query,
            expr=expr,
            for_seconds=self._duration(entry, "for", place),
            keep_firing_seconds=self._duration(entry, "keep_firing_for", place),
            labels=label_templates,
            annotations=self._templates(annotations, "annotation", place),
        )
        if len(self.problems) > known:
            return None
        return rule if alert else Recording(record, query, expr, labels)

    def _query(self, entry: Mapping[str, Any], place: str) -> tuple[str, Any]:
        expr = self._text(entry, "expr", place).strip()
        if not expr:
            self._complain("field 'expr' must be set", place)
            return "", None
        try:
            return expr, parse(expr)
        except QueryError as error:
            self._complain(f"expression: {error}", place)
            return expr, None

    def _labels(self, entry: Mapping[str, Any], field: str, place: str) -> dict[str, str]:
        """The text entries of ``labels`` or ``annotations`` whose names are allowed."""
        given = entry.get(field) or {}
        if not isinstance(given, dict):
            self._complain(f"{field!r} must hold names and texts", place)
            return {}
        kept = {}
        for name, value in given.items():
            if not _LABEL_NAME.fullmatch(str(name)) or (field == "labels" and name == "__name__"):
                self._complain(f"{name!r} is not allowed as a name in {field!r}", place)
            elif not isinstance(value, str):
                self._complain(f"{field!r}: {name!r} must be text", place)
            else:
                kept[name] = value
        return kept

    def _templates(self, texts: Mapping[str, str], what: str, place: str) -> dict[str, Template]:
        templates = {}
        for name, text in texts.items():
            try:
                templates[name] = Template(text)
            except TemplateError as error:
                self._complain(f"{what} {name!r}: template: {error}", place)
        return templates

    def _is_mapping(self, entry: Any, known: frozenset[str], what: str, place: str) -> bool:
        if not isinstance(entry, dict):
            self._complain(f"{what} must hold fields and values", place)
            return False
        unknown = [str(key) for key in entry if key not in known]
        if unknown:
            self._complain(f"field {unknown[0]!r} is not known; {what} has: {', '.join(sorted(known))}", place)
        return not unknown

    def _list(self, entry: Any, field: str, place: str) -> list[Any]:
        if entry == "" or isinstance(entry, list):
            return entry or []
        self._complain(f"{field!r} must be a list", place)
        return []

    def _text(self, entry: Mapping[str, Any], field: str, place: str) -> str:
        value = entry.get(field, "")
        if isinstance(value, str):
            return value
        self._complain(f"{field!r} must be text", place)
        return ""

    def _duration(self, entry: Mapping[str, Any], field: str, place: str) -> float:
        text = self._text(entry, field, place)
        try:
            return parse_duration(text) if text else 0.0
        except ValueError as error:
            self._complain(f"{field!r}: {error}", place)
            return 0.0

    def _count(self, entry: Mapping[str, Any], field: str, place: str) -> int:
        text = self._text(entry, field, place)
        if text and not (text.isdecimal() and len(text) < 10):
            self._complain(f"{field!r} must be a whole number, not {text!r}", place)
            return 0
        return int(text or 0)


def _quoted(text: str) -> str:
    return f'"{text}"'
