"""What goes together: the types of operands, arguments and parameters, and the complaints about those that do not."""

from __future__ import annotations

from typing import NamedTuple

from promql.error import Span, short
from promql.node import Matching, Node
from promql.reader import Reader
from promql.support import Signature, Type

COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
SET_OPERATORS = frozenset(["and", "or", "unless"])
_ARITHMETIC = frozenset(["scalar", "instant vector"])


class Operand(NamedTuple):
    """A node with its type and where it stands, parentheses around it included (``enclosed``)."""

    node: Node
    type: Type
    span: Span
    enclosed: bool = False


def check_call(reader: Reader, name: str, signature: Signature, args: list[Operand], span: Span) -> None:
    """Doubt a call whose arguments are not those of the function's ``signature``."""
    wanted, given = len(signature.args), len(args)
    least = wanted if not signature.extra else wanted - 1
    most = None if signature.extra < 0 else least + signature.extra
    if not signature.extra and given != wanted:
        reader.doubt(span, f'expected {wanted} argument(s) in call to "{name}", got {given}')
    elif given < least:
        reader.doubt(span, f'expected at least {least} argument(s) in call to "{name}", got {given}')
    elif most is not None and given > most:
        reader.doubt(span, f'expected at most {most} argument(s) in call to "{name}", got {given}')
    for number, argument in enumerate(args[: len(args) if signature.extra else wanted]):
        check_type(reader, argument, signature.args[min(number, wanted - 1)], f'call to function "{name}"')


def check_type(reader: Reader, operand: Operand, wanted: Type, context: str) -> None:
    """Doubt an operand that is not of the type ``wanted``."""
    if operand.type != wanted:
        reader.doubt(operand.span, f"expected type {wanted} in {context}, got {operand.type}")


def check_sign(reader: Reader, operand: Operand, span: Span) -> None:
    """Doubt a sign before what has none."""
    if operand.type not in _ARITHMETIC:
        message = "unary expression only allowed on expressions of type scalar or instant vector"
        reader.doubt(span, f'{message}, got "{operand.type}"')


def check_binary(
    reader: Reader, op: str, sides: tuple[Operand, Operand], matching: Matching, return_bool: bool, op_span: Span
) -> None:
    """Doubt a binary operation whose operands or modifiers do not suit its operator."""
    types = {side.type for side in sides}
    span = (sides[0].span[0], sides[1].span[1])
    vectors = types == {"instant vector"}
    if return_bool and op not in COMPARISONS:
        reader.doubt(op_span, "bool modifier can only be used on comparison operators")
    if op in COMPARISONS and not return_bool and types == {"scalar"}:
        reader.doubt(op_span, "comparisons between scalars must use BOOL modifier")
    if matching.on:
        for label in (label for label in matching.labels if label in matching.include):
            reader.doubt(op_span, f'label "{short(label)}" must not occur in ON and GROUP clause at once')
    for side in sides:
        if side.type not in _ARITHMETIC:
            reader.doubt(side.span, "binary expression must contain only scalar and instant vector types")
    if not vectors and matching.labels:
        reader.doubt(span, "vector matching only allowed between instant vectors")
    if op in SET_OPERATORS and vectors and matching.many:
        reader.doubt(span, f'no grouping allowed for "{op}" operation')
    if op in SET_OPERATORS and "scalar" in types:
        reader.doubt(span, f'set operator "{op}" not allowed in binary scalar expression')
