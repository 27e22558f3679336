"""What scraped servers export by our own names is never taken for this machine's: that has no instance, theirs do."""

from __future__ import annotations

import pytest

from alerts.rule import load_stock
from collectors.catalogue import family_of
from collectors.sample import METRIC_NAME, Matcher
from dashboard.panels import load_panels
from promql import parse

OWN = Matcher("instance", "=", "")
#: These are about what is scraped.
ABOUT_OTHERS = {"ScrapeDown", "ScrapeLimit"}
#: Metrics that only a watch writes, of a target each; what is scraped is told from them by their label target.
OF_WATCHES = ("probe_", "push_", "log_", "remedy_", "standby_")

QUERIES = {
    f"{rule.name}-{number}": rule.expr for group in load_stock() for number, rule in enumerate(group.rules)
    if rule.name not in ABOUT_OTHERS
} | {
    f"{panel.id}-{number}-{part}": text
    for panel in load_panels()
    for number, line in enumerate(panel.lines)
    for part, text in (("expr", line.query(60_000, 60_000)), ("peak", line.query(60_000, 60_000, peak=True)))
    if text
}  # fmt: skip


@pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES.keys())
def test_stock_rules_and_panels_ask_for_series_without_instance(text: str) -> None:
    for matchers in parse(text).selectors():
        names = [matcher.value for matcher in matchers if matcher.name == METRIC_NAME and matcher.op == "="]
        if names and family_of(names[0]) and not names[0].startswith(OF_WATCHES):
            assert OWN in matchers, f"{names[0]} would be taken from anybody who is scraped"
