"""Whatever happens in whatever order, crashes included: what people were told last is what is so."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from alerts.state import Alert
from storage.engine import open_database
from tests.alerts.routing.desk import PLAIN, Desk, Said, heard, parse

NAMES = ("A", "B", "C")
EVENT = st.tuples(
    st.sampled_from(["toggle", "toggle", "acknowledge", "kill", "fail", "nothing"]),
    st.sampled_from(NAMES),
    st.integers(1, 400),
)
LONG = parse(PLAIN.replace("repeat_interval: 1h", "repeat_interval: 1w"))


class _Full(Exception):
    """The database takes nothing."""


def _play(desk: Desk, events: list[tuple[str, str, int]]) -> list[Said]:
    """Let everything happen, then let ten minutes pass."""
    firing: dict[str, Alert] = {}
    said: list[Said] = []
    for what, name, seconds in events:
        if what == "kill":
            desk.boot()
        elif what == "fail":
            _fail_once(desk)
        elif what == "toggle" and name in firing:
            desk.resolve(firing.pop(name))
        elif what == "toggle":
            firing[name] = desk.fire(name, service="x")
        elif what == "acknowledge" and name in firing and desk.alerts[firing[name].fingerprint].state == "firing":
            desk.acknowledge(firing[name])
        said += desk.run(seconds, 10)
    return said + desk.run(660, 10)


def _fail_once(desk: Desk) -> None:
    """A step whose transactions all end with an error."""

    def refuse(connection: Connection) -> None:
        raise _Full

    event.listen(desk.database, "commit", refuse)
    try:
        desk.step()
    except _Full:
        pass
    finally:
        event.remove(desk.database, "commit", refuse)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENT, min_size=1, max_size=15))
def test_the_last_notice_tells_what_is_so_and_none_says_what_was_said(events: list[tuple[str, str, int]]) -> None:
    with TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "wakeless.db")
        desk = Desk(database, LONG)
        said = _play(desk, events)
        told = heard([item for item in said if item.kind == "alerts"])
        # Who was acknowledged before anybody was told is rightly not told.
        firing = {alert.rule for alert in desk.alerts.values()}
        known = set(told[-1][1].split()) if told else set()
        loud = {alert.rule for alert in desk.alerts.values() if alert.state == "firing"}
        assert loud <= known <= firing
        for before, after in pairwise(told):
            assert before[1:] != after[1:], "said twice"
        acknowledged = [item for item in said if item.kind == "acknowledged"]
        assert len(acknowledged) <= sum(what == "acknowledge" for what, _, _ in events)
        database.dispose()
