"""A person sees what a silence would hide before it is made."""

from __future__ import annotations

from alerts.silencing import preview as room
from alerts.silencing.matching import parse_matchers
from alerts.silencing.preview import preview
from alerts.state import Alert, Breach, Timing, begin


def alert(rule: str, **labels: str) -> Alert:
    pairs = tuple(sorted({"alertname": rule, **labels}.items()))
    return begin(Breach(pairs, 1.0, {}), rule, "group", Timing(0, 0), 1_700_000_000_000).alert


def test_it_shows_what_matches_now_and_how_often_each_rule_would_have_been_hidden() -> None:
    down, slow, web = alert("Down", service="db"), alert("Slow", service="db"), alert("Slow", service="web")
    found = preview(parse_matchers("service=db"), [down, web], [slow, web, down, slow])
    assert found.now == (down,)
    assert found.recent == (("Slow", 2), ("Down", 1))
    assert found.total == 3
    assert found.complete


def test_it_says_when_there_was_more_than_it_looked_at() -> None:
    found = preview(parse_matchers("service=db"), [], [alert("Down", service="db")] * room.MAX_ALERTS)
    assert not found.complete
    assert found.total == room.MAX_ALERTS
