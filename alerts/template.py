"""Annotation templates: the part of Go's template language that Prometheus rule files use.

A template is checked when it is read: whatever it names that does not exist is a :class:`TemplateError` that names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alerts.expression import MAX_DEPTH, Context, Expr, Expression
from alerts.function import TemplateError, Value, is_true, show

__all__ = ["Context", "Template", "TemplateError"]


@dataclass(frozen=True, slots=True)
class _Branch:
    """``if`` or ``with``: the pipeline, what to write when it holds, what otherwise."""

    pipeline: Expr
    then: Sequence[_Node]
    otherwise: Sequence[_Node]
    rebinds: bool


_Node: TypeAlias = "str | Expr | _Branch"


class Template:
    """One parsed template. ``text`` is what was written; ``.expand`` raises :class:`TemplateError`."""

    __slots__ = ("_nodes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._nodes = _Parser(text).parse()

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    @property
    def is_constant(self) -> bool:
        """Whether it expands to the same text for every alert."""
        return all(isinstance(node, str) for node in self._nodes)

    def expand(self, context: Context) -> str:
        """The text for one alert."""
        return _expand(self._nodes, context, context)


def _expand(nodes: Sequence[_Node], context: Context, dot: Value) -> str:
    parts = []
    for node in nodes:
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, _Branch):
            chosen = node.pipeline(context, dot)
            if is_true(chosen):
                parts.append(_expand(node.then, context, chosen if node.rebinds else dot))
            else:
                parts.append(_expand(node.otherwise, context, dot))
        else:
            parts.append(show(node(context, dot)))
    return "".join(parts)


_ACTION = re.compile(r"\{\{(-\s)?((?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|(?!\}\}).)*?)(\s-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)
_KEYWORDS = frozenset({"range", "define", "block", "template", "break", "continue"})


class _Parser:
    """Reads a template into nodes."""

    def __init__(self, text: str) -> None:
        self._pieces = _split(text)
        self._at = 0

    def parse(self) -> Sequence[_Node]:
        nodes, stop = self._nodes(0)
        if stop is not None:
            raise TemplateError(f"unexpected {{{{ {stop} }}}}")
        return nodes

    def _nodes(self, depth: int) -> tuple[list[_Node], str | None]:
        """Nodes up to the end or to an ``else`` or ``end``, which is returned beside them."""
        if depth > MAX_DEPTH:
            raise TemplateError("nested too deeply")
        nodes: list[_Node] = []
        while self._at < len(self._pieces):
            is_action, piece = self._pieces[self._at]
            self._at += 1
            if not is_action:
                nodes.append(piece)
                continue
            word = (piece.split(maxsplit=1) or [""])[0]
            if word in ("end", "else"):
                return nodes, " ".join(piece.split())
            if word in ("if", "with"):
                nodes.append(self._branch(word, piece.strip().removeprefix(word), depth))
            elif word in _KEYWORDS:
                raise TemplateError(f"{word!r} is not supported")
            else:
                nodes.append(Expression(piece).parse())
        return nodes, None

    def _branch(self, word: str, pipeline: str, depth: int) -> _Branch:
        condition = Expression(pipeline).parse()
        then, stop = self._nodes(depth + 1)
        otherwise: list[_Node] = []
        if stop is not None and stop.startswith("else "):
            nested = stop.removeprefix("else ")
            inner = nested.split(maxsplit=1)[0]
            if inner not in ("if", "with"):
                raise TemplateError(f"unexpected {{{{ {stop} }}}}")
            # The chain's one {{ end }} closes the nested branch and this one together.
            otherwise.append(self._branch(inner, nested.removeprefix(inner), depth + 1))
            return _Branch(condition, then, otherwise, word == "with")
        if stop == "else":
            otherwise, stop = self._nodes(depth + 1)
        if stop != "end":
            raise TemplateError(f"{{{{ {word} }}}} lacks its {{{{ end }}}}")
        return _Branch(condition, then, otherwise, word == "with")


def _split(text: str) -> list[tuple[bool, str]]:
    """Cut a template into (is action, text) pieces; comments go, and ``{{-``/``-}}`` eat the blanks beside them."""
    pieces: list[tuple[bool, str]] = []
    end, trim = 0, False
    for action in _ACTION.finditer(text):
        literal = text[end : action.start()]
        literal = literal.lstrip() if trim else literal
        literal = literal.rstrip() if action[1] else literal
        _reject_loose_braces(literal)
        pieces.append((False, literal))
        if not _COMMENT.fullmatch(action[2]):
            pieces.append((True, action[2]))
        end, trim = action.end(), bool(action[3])
    literal = text[end:].lstrip() if trim else text[end:]
    _reject_loose_braces(literal)
    pieces.append((False, literal))
    return [(is_action, piece) for is_action, piece in pieces if is_action or piece]


def _reject_loose_braces(literal: str) -> None:
    if "{{" in literal:
        raise TemplateError("'{{' is never closed by '}}'")
