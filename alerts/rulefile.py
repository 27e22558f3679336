"""Reads a rule file as Prometheus reads it: strict about fields, kind about how a scalar is written.

It works on YAML's nodes, not on Python values, because Prometheus takes most scalars as the text that was written
(``for: 0``, ``level: 3``), and because every complaint is to name its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

import yaml

from alerts.document import first_document
from alerts.duration import parse_duration
from alerts.group import AnyRule, Fault, Group, Recording, Rule
from alerts.patience import Patience, PatienceError
from alerts.template import Template, TemplateError
from promql import Query, QueryError, parse

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_FILE_FIELDS = frozenset({"groups"})
_GROUP_FIELDS = frozenset({"name", "interval", "limit", "labels", "query_offset", "rules"})
_RULE_FIELDS = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
#: Names and values, and characters, that are looked at: it bounds what a few aliases can blow a small file up to.
MAX_VALUES, LEAST_CHARACTERS = 100_000, 1_000_000

_Fields = Mapping[str, yaml.Node]


class RuleFile:
    """Reads one file and gathers what is wrong with it in ``faults``."""

    def __init__(self, file: str) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._where = ""
        self._values = self._characters = 0
        self._most_characters = LEAST_CHARACTERS

    def read(self, text: str | bytes) -> list[Group]:
        """The groups of the file's first document; those of which nothing can be made are left out."""
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8")
            except UnicodeDecodeError:
                self._complain("is not UTF-8 text")
                return []
        self._most_characters = max(LEAST_CHARACTERS, 4 * len(text))
        try:
            tree = first_document(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._complain(f"is not valid YAML: {error}", mark and mark.line + 1)
            return []
        if tree is None or tree.tag == _NULL:
            return []
        try:
            return self._groups(tree)
        except RecursionError:  # aliases that lead back to themselves
            self._complain("is nested too deeply")
            return []
        except _TooMuch as error:
            self._complain(str(error))
            return []

    def _groups(self, tree: yaml.Node) -> list[Group]:
        groups: list[Group] = []
        names: set[str] = set()
        fields = self._fields(tree, _FILE_FIELDS, "the file")
        for number, node in enumerate(self._items(fields, "groups"), 1):
            self._where = f"group {number}"
            group = self._group(node)
            if group.name in names:
                self._complain("another group of the file has the same name", _line(node))
            names.add(group.name)
            groups.append(group)
        return groups

    def _group(self, node: yaml.Node) -> Group:
        fields = self._fields(node, _GROUP_FIELDS, "a group")
        name = self._text(fields, "name")
        if name:
            self._where = f'group "{name}"'
        else:
            self._complain("a group needs a name", _line(node))
        place = self._where
        labels = self._labels(fields, "labels")
        interval, offset = self._duration(fields, "interval"), self._duration(fields, "query_offset")
        limit = self._count(fields, "limit")
        rules: list[AnyRule] = []
        for number, item in enumerate(self._items(fields, "rules"), 1):
            self._where = f"{place}, rule {number}"
            rule = self._rule(item, labels)
            if rule is not None:
                rules.append(rule)
        self._where = place
        return Group(name, self._file, interval or None, tuple(rules), limit, offset)

    def _rule(self, node: yaml.Node, group_labels: Mapping[str, str]) -> AnyRule | None:
        known = len(self.faults)
        fields = self._fields(node, _RULE_FIELDS, "a rule")
        alert, record = _written(fields.get("alert")), _written(fields.get("record"))
        if alert or record:
            self._where += f', "{alert or record}"'
        if alert and record:
            self._complain("only one of 'record' and 'alert' may be set", _line(node))
        elif not alert and not record:
            self._complain("one of 'record' or 'alert' must be set", _line(node))
        query = self._query(fields.get("expr"), _line(node))
        labels = {**group_labels, **self._labels(fields, "labels")}
        annotations = self._labels(fields, "annotations")
        wait, keep = self._duration(fields, "for"), self._duration(fields, "keep_firing_for")
        if record:
            self._check_recording(record, fields, wait, keep, annotations)
        templates = self._templates(labels, "label", fields) if alert else {}
        texts = self._templates(annotations, "annotation", fields) if alert else {}
        patience = self._patience(annotations, fields) if alert else Patience()
        if len(self.faults) > known or query is None:
            return None
        expr = _written(fields.get("expr")).strip()
        if record:
            return Recording(record, query, expr, labels, _line(node))
        return Rule(alert, query, expr, wait, keep, templates, texts, _line(node), patience)

    def _check_recording(
        self, record: str, fields: _Fields, wait: float, keep: float, annotations: Mapping[str, str]
    ) -> None:
        for field, given in (("for", wait), ("keep_firing_for", keep), ("annotations", annotations)):
            if given:
                self._complain(f"a recording rule takes no {field!r}", _line(fields[field]))
        if not _METRIC_NAME.fullmatch(record):
            self._complain(f"{record!r} is not a metric name", _line(fields["record"]))

    def _patience(self, annotations: Mapping[str, str], fields: _Fields) -> Patience:
        try:
            return Patience.of(annotations)
        except PatienceError as error:
            self._complain(str(error), _line(fields["annotations"]))
            return Patience()

    def _query(self, node: yaml.Node | None, line: int) -> Query | None:
        expr = _written(node)
        if not expr:
            self._complain("field 'expr' must be set", line)
            return None
        try:
            return parse(expr.strip())
        except QueryError as error:
            self._complain(f"expression: {error}", _line(node))
            return None

    # --- fields --------------------------------------------------------------------------------------------------

    def _labels(self, fields: _Fields, field: str) -> dict[str, str]:
        """The text entries of ``labels`` or ``annotations`` whose names are allowed."""
        kept: dict[str, str] = {}
        for name, node in self._pairs(fields.get(field), f"{field!r}", may_be_null=True):
            if not _LABEL_NAME.fullmatch(name) or (field == "labels" and name == "__name__"):
                self._complain(f"{name!r} is not allowed as a name in {field!r}", _line(node))
            elif not isinstance(node, yaml.ScalarNode):
                self._complain(f"{field!r}: {name!r} must be text", _line(node))
            else:
                kept[name] = "" if node.tag == _NULL else node.value
        return kept

    def _templates(self, texts: Mapping[str, str], what: str, fields: _Fields) -> dict[str, Template]:
        templates = {}
        for name, text in texts.items():
            try:
                templates[name] = Template(text)
            except TemplateError as error:
                node = fields.get("labels" if what == "label" else "annotations")
                self._complain(f"{what} {name!r}: template: {error}", _line_of(node, name))
        return templates

    def _fields(self, node: yaml.Node, known: frozenset[str], what: str) -> _Fields:
        """A mapping's values by their names, each of which is ``known``."""
        fields = {}
        for name, value in self._pairs(node, what):
            if name in known:
                fields[name] = value
            else:
                self._complain(f"field {name!r} is not known; {what} has: {', '.join(sorted(known))}", _line(value))
        return fields

    def _pairs(
        self, node: yaml.Node | None, what: str, *, may_be_null: bool = False
    ) -> Iterator[tuple[str, yaml.Node]]:
        """Names and values; a name that is null is left out where it ``may_be_null``, as in Prometheus."""
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.MappingNode):
            self._complain(f"{what} must hold names and values", _line(node))
            return
        seen: dict[str, yaml.Node] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            self._count_in(value)
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif may_be_null and key.tag == _NULL:
                continue
            elif not isinstance(key, yaml.ScalarNode):
                self._complain(f"{what}: a name must be text", _line(key))
            elif key.value in seen:
                self._complain(f"{key.value!r} is given twice in one mapping", _line(key))
            else:
                seen[key.value] = value
        for other in merged:
            if other is node or not isinstance(other, yaml.MappingNode):
                self._complain(f"{what}: '<<' must name a mapping", _line(other))
                continue
            for name, value in self._pairs(other, what, may_be_null=may_be_null):
                seen.setdefault(name, value)
        yield from seen.items()

    def _count_in(self, node: yaml.Node) -> None:
        self._values += 1
        self._characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if self._values > MAX_VALUES or self._characters > self._most_characters:
            raise _TooMuch("comes to more than a rule file can hold: what do its aliases repeat?")

    def _items(self, fields: _Fields, field: str) -> list[yaml.Node]:
        node = fields.get(field)
        if node is None or node.tag == _NULL:
            return []
        if isinstance(node, yaml.SequenceNode):
            self._values += len(node.value)
            return [item for item in node.value if item.tag != _NULL]
        self._complain(f"{field!r} must be a list", _line(node))
        return []

    def _text(self, fields: _Fields, field: str) -> str:
        node = fields.get(field)
        if node is None or node.tag == _NULL:
            return ""
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        self._complain(f"{field!r} must be text", _line(node))
        return ""

    def _duration(self, fields: _Fields, field: str) -> float:
        node = fields.get(field)
        if node is None or node.tag == _NULL:
            return 0.0
        try:
            return parse_duration(self._text(fields, field))
        except ValueError as error:
            self._complain(f"{field!r}: {error}", _line(node))
            return 0.0

    def _count(self, fields: _Fields, field: str) -> int:
        """A whole number; as in Prometheus, less than 0 is no limit, and of a fraction the whole part counts."""
        node = fields.get(field)
        if node is None or node.tag == _NULL:
            return 0
        text = _written(node).replace("_", "")
        if isinstance(node, yaml.ScalarNode) and not node.style:
            with suppress(ValueError, OverflowError):
                return max(0, int(float(text)) if _FLOAT.fullmatch(text) else int(text, 0))
        self._complain(f"{field!r} must be a whole number, not {_written(node)!r}", _line(node))
        return 0

    def _complain(self, message: str, line: int | None = None) -> None:
        self.faults.append(Fault(self._file, self._where, " ".join(message.split()), line))


class _TooMuch(Exception):
    """A file that unfolds into more than anybody writes."""


def _written(node: yaml.Node | None) -> str:
    """A scalar as it was written, be it ``null`` or a number; nothing for all that is no scalar."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _line(node: yaml.Node | None) -> int:
    return 0 if node is None else node.start_mark.line + 1


def _line_of(node: yaml.Node | None, name: str) -> int:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((_line(value) for key, value in pairs if key.value == name), _line(node))
