"""What ``check-rules`` says about a rule file: all that is wrong, and the few doubts that are nearly always right."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from alerts.rule import AnyRule, Recording, Rule, inspect_rules
from collectors.sample import METRIC_NAME, Matcher
from promql.node import Aggregate, Binary, Call, Negation, Node, Number, RangeSelector, Selector, Subquery, children

#: Suffixes of a histogram's or summary's series.
_SUFFIXES = ("_bucket", "_sum", "_count")
#: Functions whose result jumps from sample to sample, so that an alert on it needs a ``for``.
_JUMPY = frozenset({"rate", "irate", "deriv", "histogram_quantile"})
_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
#: Series that an alerting server makes itself.
_BUILT_IN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


class Problem(NamedTuple):
    """An error (the file cannot be used) or a warning (it can, but look at it); ``where`` names file, group, rule."""

    level: Literal["error", "warning"]
    where: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.message}" if self.where else f"{self.level}: {self.message}"


def check_rules(path: Path, known_metrics: Collection[str] = ()) -> list[Problem]:
    """Everything to say about a rule file. ``known_metrics`` are metric names (a histogram's base name will do);
    empty: any name is taken.
    """
    try:
        return check_text(path.read_bytes(), str(path), known_metrics)
    except OSError as error:
        return [Problem("error", str(path), f"cannot be read: {error.strerror}")]


def check_text(text: str | bytes, file: str, known_metrics: Collection[str] = ()) -> list[Problem]:
    """As :func:`check_rules`, of text; ``file`` is what the messages call it, and may be empty."""
    groups, faults = inspect_rules(text, file)
    problems = [Problem("error", _place(fault.file, fault.where), fault.message, fault.line) for fault in faults]
    recorded = {rule.name for group in groups for rule in group.rules if isinstance(rule, Recording)}
    known = {*known_metrics, *recorded, *_BUILT_IN} if known_metrics else set()
    for group in groups:
        seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        for number, rule in enumerate(group.rules, 1):
            where = _place(file, f'group "{group.name}", rule {number}, "{rule.name}"')
            problems += [Problem("warning", where, message, rule.line) for message in _doubts(rule, known)]
            key = _identity(rule)
            if key in seen:
                message = "another rule of this group has the same name and labels: their alerts cannot be told apart"
                problems.append(Problem("warning", where, message, rule.line))
            seen.add(key)
    return problems


def _place(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _identity(rule: AnyRule) -> tuple[str, tuple[tuple[str, str], ...]]:
    labels = {name: text if isinstance(text, str) else text.text for name, text in rule.labels.items()}
    return rule.name, tuple(sorted(labels.items()))


def _doubts(rule: AnyRule, known: Collection[str]) -> Iterator[str]:
    nodes = list(_walk(rule.query.expr))
    for node in nodes:
        if isinstance(node, Binary) and node.op == "/" and (label := _divides_itself(node)):
            yield (
                f"the division matches series with equal labels, and only its left side asks for {label}: it divides "
                "each of these by itself. Aggregate both sides, e.g. sum by (…) (…) / sum by (…) (…)"
            )
    for name in dict.fromkeys(_metric_names(nodes)):
        if known and name not in known and _base(name) not in known:
            yield f"nothing here writes the metric {name}"
    if not isinstance(rule, Rule):
        return
    for what, templates in (("label", rule.labels), ("annotation", rule.annotations)):
        for name, template in templates.items():
            yield from (f"{what} {name!r}: template: {doubt}" for doubt in template.doubts)
    if "summary" not in rule.annotations:
        yield "it has no annotation 'summary': its notices would carry the bare name of the rule"
    if not _can_be_quiet(nodes):
        yield "the expression compares nothing: it fires for as long as its series exist"
    if rule.for_seconds == 0 and rule.keep_firing_seconds == 0 and _is_jumpy(rule.query.expr):
        yield "it compares a rate or a quantile and has no 'for': one sample is enough to fire"


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _walk(child)


def _metric_names(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Selector):
            yield from (matcher.value for matcher in node.matchers if matcher.name == METRIC_NAME and matcher.op == "=")


def _base(name: str) -> str:
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix)


def _can_be_quiet(nodes: list[Node]) -> bool:
    """Whether something in it filters: a comparison without ``bool``, or ``absent``."""
    for node in nodes:
        if isinstance(node, Binary) and node.op in _COMPARISONS and not node.return_bool:
            return True
        if isinstance(node, Call) and node.name in ("absent", "absent_over_time"):
            return True
    return False


def _is_jumpy(expr: Node) -> bool:
    """Whether it compares a rate or quantile itself; an increase over a window is meant to be seen at once."""
    return any(isinstance(node, Call) and node.name in _JUMPY for node in _walk(expr))


# --- divisions of a thing by itself ------------------------------------------------------------------------------


def _divides_itself(division: Binary) -> str | None:
    """The matcher that makes one-to-one matching pair each series with itself, as text; None where there is no doubt.

    That is when both sides show series of one metric with their labels, a label decides the match, and the left side
    fixes it while the right side leaves it open.
    """
    if division.matching.many is not None:
        return None
    left, right = _shown(division.lhs), _shown(division.rhs)
    if left is None or right is None:
        return None
    if _name_of(left.selector) is None or _name_of(left.selector) != _name_of(right.selector):
        return None
    open_labels = {matcher.name for matcher in right.selector.matchers}
    for matcher in left.selector.matchers:
        fixes = matcher.name != METRIC_NAME and matcher.name not in open_labels
        matched = (matcher.name in division.matching.labels) == division.matching.on
        if fixes and matched and left.keeps(matcher.name) and right.keeps(matcher.name):
            return _as_text(matcher)
    return None


class _Shown(NamedTuple):
    """A selector whose series can be told apart in a result, and the aggregations that they passed through."""

    selector: Selector
    aggregations: tuple[Aggregate, ...]

    def keeps(self, label: str) -> bool:
        """Whether the label is still there."""
        return all((label in step.labels) != step.without for step in self.aggregations)


def _shown(node: Node) -> _Shown | None:
    """The one selector whose labels a node's result carries, if it is as simple as that."""
    match node:
        case Selector():
            return _Shown(node, ())
        case RangeSelector(selector):
            return _Shown(selector, ())
        case Negation(expr) | Subquery(expr):
            return _shown(expr)
        case Aggregate(_, expr):
            inner = _shown(expr)
            return inner and _Shown(inner.selector, (*inner.aggregations, node))
        case Call(_, args):
            found = [shown for shown in map(_shown, args) if shown is not None]
            return found[0] if len(found) == 1 else None
        case Binary(_, lhs, rhs) if isinstance(rhs, Number):
            return _shown(lhs)
        case Binary(_, lhs, rhs) if isinstance(lhs, Number):
            return _shown(rhs)
        case _:
            return None


def _name_of(selector: Selector) -> str | None:
    return next((m.value for m in selector.matchers if m.name == METRIC_NAME and m.op == "="), None)


def _as_text(matcher: Matcher) -> str:
    return f'{matcher.name}{matcher.op}"{matcher.value}"'
