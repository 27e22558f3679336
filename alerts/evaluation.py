"""From a rule and the result of its query to breaches or samples: labels joined, templates expanded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.rule import Recording, Rule
from alerts.state import Breach
from alerts.template import Context, Element, Template, TemplateError
from collectors.sample import METRIC_NAME, Labels, Sample
from promql import Engine, QueryError, Scalar, Vector
from promql.value import Result

ALERT_NAME = "alertname"
#: What marks the alert of a rule that found no data.
NO_DATA = "no_data"


class EvaluationError(Exception):
    """A rule whose query has an answer that the rule cannot use."""

    permanent = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What templates know about this server."""

    labels: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    #: Answers a template's own query at the time of the evaluation.
    query: Callable[[str], list[Element]] | None = None

    def asking(self, promql: Engine, time_ms: int) -> Origin:
        """The same, with queries answered by ``promql``."""
        return replace(self, query=lambda text: _answer(promql, text, time_ms))


def breaches(rule: Rule, result: Result, origin: Origin, known: Mapping[Labels, Breach]) -> dict[Labels, Breach]:
    """One breach for each element of the result, by its alert's labels.

    ``known`` are those of the last evaluation: where the value is still the same, so are the annotations.
    Raises :class:`EvaluationError` where two elements end up with the same labels.
    """
    found: dict[Labels, Breach] = {}
    asks = any(template.asks for template in rule.annotations.values())
    for labels, value in _elements(result):
        context = Context(dict(labels), value, origin.labels, origin.url, origin.query)
        joined = {name: text for name, text in labels if name != METRIC_NAME}
        joined |= {name: _expand(template, context) for name, template in rule.labels.items()}
        joined[ALERT_NAME] = rule.name
        key = tuple(sorted((name, text) for name, text in joined.items() if text))
        if key in found:
            raise EvaluationError("vector contains metrics with the same labelset after applying alert labels")
        shown = None if math.isnan(value) else value
        before = known.get(key)
        if before is not None and before.value == shown and not asks:
            found[key] = before
        else:
            texts = {name: _expand(template, context) for name, template in rule.annotations.items()}
            found[key] = Breach(key, shown, texts)
    return found


def without_data(rule: Rule) -> Breach:
    """The alert that a rule raises because its selectors found no sample: it has the rule's fixed labels and texts."""
    joined = {name: text.text for name, text in rule.labels.items() if text.is_constant}
    joined |= {ALERT_NAME: rule.name, NO_DATA: "true"}
    texts = {name: text.text for name, text in rule.annotations.items() if text.is_constant}
    texts |= {
        "summary": f"{rule.name}: no data",
        "summary_zh": f"{rule.name}：没有数据",
        "description": "None of the metrics that this rule looks at has a sample.",
        "description_zh": "该规则所用的指标都没有数据。",
    }
    return Breach(tuple(sorted((name, text) for name, text in joined.items() if text)), None, texts)


def samples(rule: Recording, result: Result) -> list[Sample]:
    """What a recording rule records. Raises :class:`EvaluationError` where two samples end up with the same labels."""
    recorded: dict[Labels, Sample] = {}
    for labels, value in _elements(result):
        joined = {name: text for name, text in labels if name != METRIC_NAME} | dict(rule.labels)
        key = tuple(sorted((name, text) for name, text in joined.items() if text))
        if key in recorded:
            raise EvaluationError("vector contains metrics with the same labelset after applying rule labels")
        recorded[key] = Sample(rule.name, key, value)
    return list(recorded.values())


def _answer(promql: Engine, text: str, time_ms: int) -> list[Element]:
    """What a template's query finds. Raises :class:`TemplateError`."""
    try:
        return [Element(dict(labels), value) for labels, value in _elements(promql.instant(text, time_ms))]
    except (QueryError, EvaluationError) as error:
        raise TemplateError(f"query: {error}") from error


def _elements(result: Result) -> Iterator[tuple[Labels, float]]:
    if isinstance(result, Scalar):
        yield (), result.value
    elif isinstance(result, Vector):
        yield from zip(result.labels, result.values.tolist(), strict=True)
    else:
        raise EvaluationError("rule result is not a vector or scalar")


def _expand(template: Template, context: Context) -> str:
    """As Prometheus does, a template that fails says so in its place: the alert matters more than its words."""
    if template.is_constant:
        return template.text
    try:
        return template.expand(context)
    except TemplateError as error:
        return f"<error expanding template: {error}>"
