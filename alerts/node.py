"""What a template is made of, once it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from alerts.quantity import Value


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number, truth value or nil."""

    value: Value


@dataclass(frozen=True, slots=True)
class Dot:
    """``.``"""


@dataclass(frozen=True, slots=True)
class Path:
    """``.a.b`` (``variable`` empty), ``$x.a`` or ``$x``."""

    variable: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """``(…).a.b``"""

    operand: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name, alone or before its arguments."""

    name: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which gets the last one's value; perhaps with variables that take the result."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = True


Operand: TypeAlias = Literal | Dot | Path | Chain | Function | Pipeline


@dataclass(frozen=True, slots=True)
class Control:
    """``if``, ``with`` or ``range``."""

    word: str
    pipeline: Pipeline
    then: Sequence[Node]
    otherwise: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    word: str


@dataclass(frozen=True, slots=True)
class Include:
    """``template`` or ``block``: another template in this place."""

    name: str
    pipeline: Pipeline | None


Node: TypeAlias = "str | Pipeline | Control | Jump | Include"


@dataclass(slots=True)
class Tree:
    """A template's nodes and those of the templates that it defines."""

    nodes: Sequence[Node]
    defined: dict[str, Sequence[Node]] = field(default_factory=dict)
