"""Label and annotation templates: Go's template language with the functions that Prometheus adds.

A template is read when its rule file is; what reads well and yet cannot work is in ``doubts``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from alerts.context import FIELDS, Context, no_field
from alerts.doubt import doubts_of
from alerts.function import FUNCTIONS, Server, TemplateError, Value, is_true, show
from alerts.node import Chain, Control, Dot, Function, Include, Jump, Literal, Node, Operand, Path, Pipeline, Tree
from alerts.quantity import Element
from alerts.syntax import parse_template

__all__ = ["Context", "Element", "Template", "TemplateError"]

#: Steps of one expansion: ranges in ranges in ranges would not end in anybody's life.
MAX_STEPS = 20_000
#: Characters that one expansion may come to.
MAX_LENGTH = 100_000
#: Characters that a function is given: some make many of few.
MAX_ARGUMENT = 10_000
#: Templates that include each other.
MAX_INCLUDES = 20


_VARIABLES = {
    "$labels": "Labels",
    "$value": "Value",
    "$externalLabels": "ExternalLabels",
    "$externalURL": "ExternalURL",
}


class Template:
    """One parsed template. ``text`` is what was written; ``.expand`` raises :class:`TemplateError`."""

    __slots__ = ("_tree", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree = parse_template(text, tuple(_VARIABLES)) if "{{" in text else Tree([text] if text else [])

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @property
    def is_constant(self) -> bool:
        """Whether it expands to the same text for every alert."""
        return all(isinstance(node, str) for node in self._tree.nodes)

    @property
    def asks(self) -> bool:
        """Whether its text depends on more than the alert: on what a query of its own finds."""
        return "query" in self.text

    @property
    def doubts(self) -> list[str]:
        """What will fail whenever it is expanded: fields that there are not, and functions with too few arguments."""
        return list(dict.fromkeys(doubts_of(self._tree.nodes)))

    def expand(self, context: Context) -> str:
        """The text for one alert."""
        run = _Run(self._tree.defined, context)
        run.nodes(self._tree.nodes, context)
        return "".join(run.parts)


class _Broken(Exception):
    """A ``break`` or ``continue`` on its way to its range."""


class _Run:
    """One expansion: its variables, innermost last, and what has been written."""

    def __init__(self, defined: Mapping[str, Sequence[Node]], context: Context) -> None:
        self.parts: list[str] = []
        self._defined = defined
        self._context = context
        self._variables: list[tuple[str, Value]] = [("$", context)]
        self._variables += [(name, FIELDS[named](context)) for name, named in _VARIABLES.items()]
        self._steps = self._length = self._includes = 0

    def nodes(self, nodes: Sequence[Node], dot: Value) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, str):
                self._write(node)
            elif isinstance(node, Pipeline):
                value = self._pipeline(node, dot)
                if not node.variables:
                    self._write(show(value))
            elif isinstance(node, Control):
                known = len(self._variables)
                self._control(node, dot)
                del self._variables[known:]
            elif isinstance(node, Jump):
                raise _Broken(node.word)
            else:
                self._include(node, dot)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TemplateError(f"it takes more than {MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise TemplateError(f"it comes to more than {MAX_LENGTH} characters")
        self.parts.append(text)

    def _control(self, node: Control, dot: Value) -> None:
        value = self._pipeline(node.pipeline, dot, is_range=node.word == "range")
        if node.word == "range":
            self._range(node, value, dot)
        elif is_true(value):
            self.nodes(node.then, value if node.word == "with" else dot)
        else:
            self.nodes(node.otherwise, dot)

    def _range(self, node: Control, value: Value, dot: Value) -> None:
        if isinstance(value, Mapping):
            items: list[tuple[Value, Value]] = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, list):
            items = list(enumerate(value))
        else:
            raise TemplateError(f"range cannot walk over {show(value)!r}")
        known = len(self._variables)
        for key, item in items:
            self._step()
            if node.pipeline.variables:
                pair = (item,) if len(node.pipeline.variables) == 1 else (key, item)
                self._variables += zip(node.pipeline.variables, pair, strict=True)
            try:
                self.nodes(node.then, item)
            except _Broken as jump:
                if str(jump) == "break":
                    break
            finally:
                del self._variables[known:]
        if not items:
            self.nodes(node.otherwise, dot)

    def _include(self, node: Include, dot: Value) -> None:
        if node.name not in self._defined:
            raise TemplateError(f"template {node.name!r} is not defined")
        self._includes += 1
        if self._includes > MAX_INCLUDES:
            raise TemplateError("templates include each other without end")
        inner = None if node.pipeline is None else self._pipeline(node.pipeline, dot)
        outer, self._variables = self._variables, [("$", inner)]
        self.nodes(self._defined[node.name], inner)
        self._variables = outer
        self._includes -= 1

    # --- values --------------------------------------------------------------------------------------------------

    def _pipeline(self, pipeline: Pipeline, dot: Value, *, is_range: bool = False) -> Value:
        self._step()
        value: Value = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, (value,) if number else ())
        if pipeline.variables and not is_range:
            (name,) = pipeline.variables
            if pipeline.declares:
                self._variables.append((name, value))
            else:
                self._assign(name, value)
        return value

    def _assign(self, name: str, value: Value) -> None:
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return
        raise TemplateError(f"variable {name!r} is not known")

    def _command(self, command: tuple[Operand, ...], dot: Value, piped: tuple[Value, ...]) -> Value:
        first, *rest = command
        if isinstance(first, Function):
            return self._call(first.name, rest, dot, piped)
        if rest or piped:
            raise TemplateError("can't give an argument to what is not a function")
        return self._operand(first, dot)

    def _call(self, name: str, arguments: Sequence[Operand], dot: Value, piped: tuple[Value, ...]) -> Value:
        function, arity = FUNCTIONS[name]
        count = len(arguments) + len(piped)
        if not arity.takes(count):
            raise TemplateError(f"function {name!r} takes {arity}, not {count}")
        if name in ("and", "or"):  # as in Go, what does not matter any more is not computed
            for argument in arguments:
                value = self._operand(argument, dot)
                if is_true(value) == (name == "or"):
                    return value
            return piped[0] if piped else value
        values = (*(self._operand(argument, dot) for argument in arguments), *piped)
        if sum(len(value) for value in values if isinstance(value, str)) > MAX_ARGUMENT:
            raise TemplateError(f"function {name!r} is given more than {MAX_ARGUMENT} characters")
        if isinstance(function, Server):
            return self._ask(function.name, values)
        return function(*values)

    def _ask(self, what: str, values: tuple[Any, ...]) -> Value:
        if what == "external_url":
            return self._context.external_url
        if what == "path_prefix":
            return urlsplit(self._context.external_url).path
        if self._context.query is None:
            raise TemplateError("a query cannot be asked here")
        if not isinstance(values[0], str):
            raise TemplateError("a query must be text")
        return self._context.query(values[0])

    def _operand(self, operand: Operand, dot: Value) -> Value:
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Path(variable, fields):
                base = dot if not variable else self._variable(variable)
                return _look_up(base, fields)
            case Chain(inner, fields):
                return _look_up(self._operand(inner, dot), fields)
            case Function(name):
                return self._call(name, (), dot, ())
            case Pipeline():
                return self._pipeline(operand, dot)

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise TemplateError(f"variable {name!r} is not known")


def _look_up(base: Value, names: Sequence[str]) -> Value:
    for name in names:
        if isinstance(base, Context):
            if name not in FIELDS:
                raise TemplateError(no_field(name))
            base = FIELDS[name](base)
        elif isinstance(base, Element) and name in ("Labels", "Value"):
            base = base.labels if name == "Labels" else base.value
        elif isinstance(base, Mapping):
            base = base.get(name, "")
        else:
            raise TemplateError(f"there is no {name!r} in {show(base)!r}")
    return base
