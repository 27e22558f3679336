"""The expressions inside ``{{ }}``: ``$value | printf "%.2f"``, read once, evaluated for each alert."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from alerts.function import FUNCTIONS, Arity, TemplateError, Value, show

#: Deeper nesting than any person writes; it bounds the recursion.
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Context:
    """What a template can see: the alert's labels and value, and this server's own labels and address."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""


#: An expression: given the context and what ``.`` stands for, its value.
Expr: TypeAlias = Callable[[Context, Value], Value]


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<path>\$[A-Za-z_]\w*(?:\.\w+)*|\$(?:\.\w+)*|\.(?:\w+(?:\.\w+)*)?)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>[|()])
    | (?P<other>\S)
    )""",
    re.VERBOSE,
)
_VARIABLES = {
    "$labels": "Labels",
    "$value": "Value",
    "$externalLabels": "ExternalLabels",
    "$externalURL": "ExternalURL",
}


class Expression:
    """Reads one pipeline: ``$value | printf "%.2f"``."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        end = 0
        for token in _TOKEN.finditer(text):
            self._tokens.append((token.lastgroup or "", token[token.lastgroup or 0]))
            end = token.end()
        if text[end:].strip():  # pragma: no cover - the token 'other' takes every character that no token knows
            raise TemplateError(f"unexpected {text[end:].strip()!r}")
        self._at = 0

    def parse(self) -> Expr:
        if not self._tokens:
            raise TemplateError("'{{ }}' holds nothing")
        expression = self._pipeline(0)
        if self._at < len(self._tokens):
            raise TemplateError(f"unexpected {self._tokens[self._at][1]!r}")
        return expression

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _pipeline(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise TemplateError("nested too deeply")
        value = self._command(depth, piped=None)
        while self._peek() == ("mark", "|"):
            self._at += 1
            value = self._command(depth, piped=value)
        return value

    def _command(self, depth: int, piped: Expr | None) -> Expr:
        kind, text = self._peek()
        if kind == "word" and text not in ("true", "false", "nil"):
            self._at += 1
            return self._call(text, depth, piped)
        if piped is not None:
            raise TemplateError(f"cannot pipe into {text!r}, which is not a function" if text else "'|' leads nowhere")
        value = self._operand(depth)
        if self._peek()[0] != "end" and self._peek()[1] not in ("|", ")"):
            raise TemplateError(f"unexpected {self._peek()[1]!r} after {text!r}")
        return value

    def _call(self, name: str, depth: int, piped: Expr | None) -> Expr:
        function, arity = _function(name)
        arguments = []
        while self._peek()[0] != "end" and self._peek()[1] not in ("|", ")"):
            arguments.append(self._operand(depth))
        if piped is not None:
            arguments.append(piped)
        if not arity.takes(len(arguments)):
            raise TemplateError(f"function {name!r} takes {arity}, not {len(arguments)}")
        return lambda context, dot: function(*(argument(context, dot) for argument in arguments))

    def _operand(self, depth: int) -> Expr:
        kind, text = self._peek()
        self._at += 1
        if kind == "string":
            return _constant(_unquote(text))
        if kind == "number":
            return _constant(int(text) if text.isdecimal() and len(text) < 19 else float(text))
        if kind == "path":
            return _path(text)
        if kind == "word" and text in ("true", "false", "nil"):
            return _constant({"true": True, "false": False, "nil": None}[text])
        if kind == "word":
            function, arity = _function(text)
            if not arity.takes(0):
                raise TemplateError(f"function {text!r} takes {arity}; put the call in brackets")
            return lambda context, dot: function()
        if (kind, text) == ("mark", "("):
            inner = self._pipeline(depth + 1)
            if self._peek() != ("mark", ")"):
                raise TemplateError("'(' is never closed")
            self._at += 1
            return inner
        raise TemplateError(f"unexpected {text!r}" if text else "the expression ends too early")


def _function(name: str) -> tuple[Callable[..., Value], Arity]:
    if name not in FUNCTIONS:
        raise TemplateError(f"function {name!r} is not known here; known are: {', '.join(sorted(FUNCTIONS))}")
    return FUNCTIONS[name]


def _constant(value: Value) -> Expr:
    return lambda context, dot: value


def _unquote(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    escapes = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}

    def replace(match: re.Match[str]) -> str:
        if match[1] not in escapes:
            raise TemplateError(f"unknown escape {match[0]!r} in a string")
        return escapes[match[1]]

    return re.sub(r"\\(.)", replace, text[1:-1], flags=re.DOTALL)


def _path(text: str) -> Expr:
    """``$labels.gpu``, ``.Value``, ``.`` …; inside ``with``, a path with a leading dot is looked up in its value."""
    head, _, rest = text.partition(".")
    if head == "":
        if not rest:
            return lambda context, dot: dot
        names = rest.split(".")
        _check_fields(names, text)
        return lambda context, dot: _look_up(dot, names, text)
    if head != "$":
        if head not in _VARIABLES:
            raise TemplateError(f"variable {head!r} is not known; known are: {', '.join(_VARIABLES)}")
        rest = f"{_VARIABLES[head]}.{rest}" if rest else _VARIABLES[head]
    names = rest.split(".") if rest else []
    _check_fields(names, text)
    return lambda context, dot: _look_up(context, names, text)


def _check_fields(names: Sequence[str], text: str) -> None:
    if names and names[0] not in _FIELDS:
        raise TemplateError(f"{text!r} is not known; known are: {', '.join(f'.{name}' for name in _FIELDS)}")
    limit = 2 if names and names[0].endswith("Labels") else 1
    if len(names) > limit:
        raise TemplateError(f"{text!r} goes deeper than there are values")


_FIELDS: Mapping[str, Callable[[Context], Value]] = {
    "Labels": lambda context: context.labels,
    "Value": lambda context: context.value,
    "ExternalLabels": lambda context: context.external_labels,
    "ExternalURL": lambda context: context.external_url,
}


def _look_up(base: Value, names: Sequence[str], text: str) -> Value:
    for name in names:
        if isinstance(base, Context):
            base = _FIELDS[name](base)
        elif isinstance(base, Mapping):
            base = base.get(name, "")
        else:
            raise TemplateError(f"{text!r}: there is no {name!r} in {show(base)!r}")
    return base
