"""Absence: the series that says that there is none."""

from __future__ import annotations

import numpy as np

from collectors.sample import METRIC_NAME, Labels, Matcher
from promql.node import Node, RangeSelector, Selector
from promql.value import Block, empty_block


def absent(node: Node, block: Block) -> Block:
    """1 at steps where ``block``, the value of ``node``, has no series at all."""
    some = np.logical_or.reduce(block.present, axis=0)
    if some.all():
        return empty_block(len(some))
    selector = node.selector if isinstance(node, RangeSelector) else node
    labels = _sure_labels(selector.matchers) if isinstance(selector, Selector) else ()
    return Block([labels], np.ones((1, len(some))), ~some[None, :])


def _sure_labels(matchers: tuple[Matcher, ...]) -> Labels:
    """The labels that an absent series would surely have: asked for by ``=`` and contradicted by nothing later."""
    known: dict[str, str] = {}
    for name, op, value in matchers:
        if op == "=" and name not in known:
            known[name] = value
        elif name in known:
            known[name] = ""  # asked for twice: no longer sure
    return tuple(sorted((name, value) for name, value in known.items() if value and name != METRIC_NAME))
