"""``label_replace`` and ``label_join``: new labels out of old ones, within limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from collectors.sample import Labels
from promql.error import QueryError
from promql.label import get, replace
from promql.pattern import compile_pattern
from promql.value import Block, merge_same_labels

#: Characters that the labels written by one call may have, all together.
MAX_CHARACTERS = 4_000_000
#: Steps of a regular expression's machine that one call may take at worst (instructions times characters).
MAX_WORK = 200_000_000

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<plain>\w+))")
#: The parts of a replacement: text, and groups by number or name.
Template = list[str | tuple[int | str]]


def label_replace(block: Block, target: str, replacement: str, source: str, pattern: str) -> Block:
    """Set label ``target`` from what ``pattern`` finds in label ``source``; ``$1`` and ``${name}`` stand for groups."""
    _check_target(target, "label_replace")
    try:
        compiled = compile_pattern(pattern)
    except QueryError as error:
        raise QueryError(f"invalid regular expression in label_replace(): {error}", "execution") from None
    template = _template(replacement)
    values = {get(labels, source) for labels in block.labels}
    if compiled.programsize * sum(map(len, values)) > MAX_WORK:
        raise QueryError("label_replace: the regular expression is too large for so many labels", "execution")
    written: dict[str, str | None] = {value: _replaced(compiled, template, value) for value in values}

    def value_of(labels: Labels) -> str | None:
        return written[get(labels, source)]

    return _relabelled(block, target, value_of, "label_replace")


def label_join(block: Block, target: str, separator: str, sources: list[str]) -> Block:
    """Set label ``target`` to the values of ``sources``, joined."""
    _check_target(target, "label_join")

    def value_of(labels: Labels) -> str:
        values = [get(labels, source) for source in sources]
        _check_size(sum(map(len, values)) + len(separator) * len(values), "label_join")
        return separator.join(values)

    return _relabelled(block, target, value_of, "label_join")


def _relabelled(block: Block, target: str, value_of: Callable[[Labels], str | None], function: str) -> Block:
    """Every series with its label ``target`` set; None leaves it as it is."""
    rows: list[Labels] = []
    size = 0
    for labels in block.labels:
        value = value_of(labels)
        size += len(value or "")
        _check_size(size, function)
        rows.append(labels if value is None else replace(labels, target, value))
    return merge_same_labels(Block(rows, block.values, block.present))


def _replaced(compiled: Any, template: Template, value: str) -> str | None:
    """What ``template`` makes of ``value``; None where the pattern does not match."""
    found = compiled.fullmatch(value)
    if found is None:
        return None
    names = compiled.groupindex
    parts: list[str] = []
    for part in template:
        if isinstance(part, str):
            parts.append(part)
            continue
        group = part[0] if isinstance(part[0], int) else names.get(part[0])
        if group is not None and group <= compiled.groups:
            parts.append(found.group(group) or "")
    _check_size(sum(map(len, parts)), "label_replace")
    return "".join(parts)


def _template(replacement: str) -> Template:
    """A replacement in parts, as Go's ``Regexp.Expand`` reads it."""
    parts: Template = []
    end = 0
    for found in _REFERENCE.finditer(replacement):
        parts.append(replacement[end : found.start()])
        end = found.end()
        name = found["braced"] or found["plain"]
        if name is None:
            parts.append("$")
        elif name.isascii() and name.isdecimal() and len(name) < 9 and (name == "0" or name[0] != "0"):
            parts.append((int(name),))
        else:
            parts.append((name,))
    return [*parts, replacement[end:]]


def _check_target(name: str, function: str) -> None:
    if not name:
        raise QueryError(f"invalid destination label name in {function}(): {name}", "execution")


def _check_size(characters: int, function: str) -> None:
    if characters > MAX_CHARACTERS:
        raise QueryError(f"{function} writes more than {MAX_CHARACTERS} characters of labels", "execution")
