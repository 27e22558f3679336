"""One rule cut out of a rule file as it was written, comments and all: what a person adjusts in the page."""

from __future__ import annotations

import textwrap

import yaml


def rule_excerpt(text: str, name: str, group: str) -> str | None:
    """A rule file with the one rule of ``group`` that is called ``name``; None where ``text`` has none such."""
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    for entry in _items(_value(tree, "groups")):
        if _scalar(_value(entry, "name")) != group:
            continue
        for rule in _items(_value(entry, "rules")):
            if name in (_scalar(_value(rule, "alert")), _scalar(_value(rule, "record"))):
                return _file(text, entry, rule)
    return None


def _file(text: str, group: yaml.Node, rule: yaml.Node) -> str:
    lines = ["groups:"]
    fields = [(key, value) for key, value in group.value if key.value != "rules"]
    for number, (key, value) in enumerate(fields):
        lines += textwrap.indent(_cut(text, key, value), "    ").splitlines()
        if number == 0:
            lines[1] = f"  - {lines[1].lstrip()}"
    lines.append("    rules:")
    body = textwrap.indent(_cut(text, rule, rule), "        ").splitlines()
    body[0] = f"      - {body[0].lstrip()}"
    return "\n".join([*lines, *body]) + "\n"


def _cut(text: str, first: yaml.Node, last: yaml.Node) -> str:
    """What is written from one node to another, shifted to the left; comments after it belong to what follows."""
    start, end = first.start_mark, last.end_mark
    lines = (" " * start.column + text[start.index : end.index]).rstrip().splitlines()
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return textwrap.dedent("\n".join(lines))


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if _scalar(key) == name), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _scalar(node: yaml.Node | None) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
