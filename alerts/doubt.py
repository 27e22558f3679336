"""What will fail whenever a template is expanded, though it reads well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alerts.context import FIELDS, no_field
from alerts.function import FUNCTIONS
from alerts.node import Control, Function, Node, Path, Pipeline


def doubts_of(nodes: Sequence[Node]) -> Iterator[str]:
    """A sentence for each field that there is not, and each function with too few arguments."""
    return _doubts(nodes, at_root=True)


def _doubts(nodes: Sequence[Node], *, at_root: bool) -> Iterator[str]:
    """``at_root``: the dot is the context that every template begins with."""
    for node in nodes:
        if isinstance(node, Pipeline):
            yield from _pipeline_doubts(node, at_root=at_root)
        elif isinstance(node, Control):
            yield from _pipeline_doubts(node.pipeline, at_root=at_root)
            yield from _doubts(node.then, at_root=at_root and node.word == "if")
            yield from _doubts(node.otherwise, at_root=at_root)


def _pipeline_doubts(pipeline: Pipeline, *, at_root: bool) -> Iterator[str]:
    for number, command in enumerate(pipeline.commands):
        head = command[0]
        if isinstance(head, Function):
            arity, count = FUNCTIONS[head.name][1], len(command) - 1 + (number > 0)
            if not arity.takes(count):
                yield f"function {head.name!r} takes {arity}, not {count}"
        for operand in command:
            if isinstance(operand, Pipeline):
                yield from _pipeline_doubts(operand, at_root=at_root)
            elif isinstance(operand, Path) and operand.fields:
                root = operand.variable == "$" or (at_root and not operand.variable)
                if root and operand.fields[0] not in FIELDS:
                    yield no_field(operand.fields[0])
                depth = len(operand.fields) - root
                labels = root and operand.fields[0].endswith("Labels")
                labels = labels or operand.variable in ("$labels", "$externalLabels")
                if labels and depth > 1:
                    yield f"'{operand.variable}.{'.'.join(operand.fields)}' goes deeper than there are values"
