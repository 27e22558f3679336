"""The query's syntax tree: small frozen types, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from collectors.sample import Matcher
from promql.error import Span

#: A fixed evaluation time in ms, or the query's start or end.
At: TypeAlias = int | Literal["start", "end"] | None

#: The span of a node that was not read from a text.
NOWHERE: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal (durations are seconds)."""

    value: float
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """A range vector selector; its offset and ``@`` live on ``selector``."""

    selector: Selector
    range_ms: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Subquery:
    """An instant expression evaluated over a range; ``step_ms`` is None for the engine's default step."""

    expr: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int = 0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    expr: Node
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """How two vectors are joined. ``many`` names the side that may have several series per match, if any has."""

    on: bool
    labels: tuple[str, ...]
    many: Literal["left", "right"] | None
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; ``op`` is the operator as written, e.g. ``>=`` or ``unless``."""

    op: str
    lhs: Node
    rhs: Node
    matching: Matching
    return_bool: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over labels; ``without`` tells how ``labels`` is meant."""

    op: str
    expr: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    args: tuple[Node, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Node: TypeAlias = Number | Text | Selector | RangeSelector | Subquery | Negation | Binary | Aggregate | Call


def children(node: Node) -> tuple[Node, ...]:
    """The expressions directly inside ``node``."""
    match node:
        case Negation(expr) | Subquery(expr):
            return (expr,)
        case Binary(_, lhs, rhs):
            return lhs, rhs
        case Aggregate(_, expr, param):
            return (expr,) if param is None else (param, expr)
        case Call(_, args):
            return args
        case RangeSelector(selector):
            return (selector,)
        case _:
            return ()
