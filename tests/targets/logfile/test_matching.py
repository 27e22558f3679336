"""What patterns find in lines: events, how many are enough, series; across restarts and failed transactions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from collectors.sample import Sample, make_labels
from config_target import LogTarget
from storage.engine import Database, open_database
from storage.tables import LogEventRow
from targets.logfile.entry import Entry
from targets.logfile.matching import Matcher, merge
from targets.logfile.tally import MAX_OPEN

MINUTE = 60_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "wakeless.db")
    yield opened
    opened.dispose()


def log_of(*patterns: dict[str, Any], **more: Any) -> LogTarget:
    return LogTarget.model_validate({"path": "/var/log/x.log", "patterns": list(patterns), **more})


def matcher_of(*patterns: dict[str, Any], source: str = "x.log", **more: Any) -> Matcher:
    return Matcher("comfy", source, log_of(*patterns, **more))


def entry(text: str, time_ms: int = 0) -> Entry:
    return Entry(text, time_ms, text.count("\n") + 1, len(text) + 1)


def round_of(database: Database, matcher: Matcher, *texts: str, at: int) -> dict[str, Any]:
    """What the reader does each second: feed, write, keep, settle. Returns what it keeps, as JSON brings it back."""
    matcher.feed([entry(text, at) for text in texts], at)
    with database.begin() as connection:
        matcher.pending(connection, at)
        kept: dict[str, Any] = json.loads(json.dumps(matcher.counters()))
    matcher.settled()
    return kept


def fail(database: Database, matcher: Matcher, at: int) -> None:
    """The end of a round that comes to nothing."""
    with database.connect() as connection, connection.begin() as transaction:
        matcher.pending(connection, at)
        transaction.rollback()
    matcher.undo()


def events(database: Database) -> list[Any]:
    with database.connect() as connection:
        return list(connection.execute(select(LogEventRow.__table__).order_by(LogEventRow.id)))


def values(matcher: Matcher, name: str, now_ms: int = 0) -> list[tuple[dict[str, str], float]]:
    return [(dict(one.labels), one.value) for one in matcher.samples(now_ms) if one.name == name]


OOM = {"match": "Out of memory", "level": 3, "quiet": "5m"}


def test_counters_start_at_0_when_watching_starts() -> None:
    matcher = matcher_of(OOM)
    assert values(matcher, "log_matches_total") == [
        ({"target": "comfy", "source": "x.log", "pattern": "Out of memory", "level": "3"}, 0.0)
    ]
    assert values(matcher, "log_pattern_active") == [
        ({"target": "comfy", "pattern": "Out of memory", "level": "3"}, 0.0)
    ]
    assert not values(matcher, "log_last_line_info")


def test_a_matching_line_becomes_an_event_and_raises_the_pattern_until_it_is_quiet(database: Database) -> None:
    matcher = matcher_of(OOM)
    round_of(database, matcher, "all is well", "Out of memory at /srv/comfy/run.py", at=1000)
    (event,) = events(database)
    assert (event.pattern, event.level, event.count, event.first_ms, event.raised_ms) == (
        "Out of memory",
        3,
        1,
        1000,
        1000,
    )
    assert event.text == "Out of memory at [path]"
    assert matcher.active == {"Out of memory"}
    assert values(matcher, "log_last_line_info")[0][0]["line"] == "Out of memory at [path]"
    round_of(database, matcher, at=1000 + 5 * MINUTE - 1)
    assert matcher.active == {"Out of memory"}
    round_of(database, matcher, at=1000 + 5 * MINUTE)
    assert not matcher.active
    assert values(matcher, "log_matches_total")[0][1] == 1.0


def test_repeated_lines_raise_the_count_of_one_event_and_not_the_line_that_raised(database: Database) -> None:
    matcher = matcher_of(OOM)
    for second in range(4):
        round_of(database, matcher, f"2026-11-22 01:05:0{second} Out of memory: tried {second} GiB", at=second * 1000)
    (event,) = events(database)
    assert (event.count, event.first_ms, event.last_ms) == (4, 0, 3000)
    assert values(matcher, "log_last_line_info")[0][0]["line"].endswith("tried 0 GiB")


def test_the_same_line_after_quiet_is_another_event(database: Database) -> None:
    matcher = matcher_of(OOM)
    round_of(database, matcher, "Out of memory", at=0)
    round_of(database, matcher, "Out of memory", at=5 * MINUTE)
    assert [(one.first_ms, one.count) for one in events(database)] == [(0, 1), (5 * MINUTE, 1)]


def test_quiet_within_one_round_ends_an_event_too(database: Database) -> None:
    matcher = matcher_of(OOM)
    matcher.feed([entry("Out of memory", 0), entry("Out of memory", 6 * MINUTE)], 6 * MINUTE)
    with database.begin() as connection:
        matcher.pending(connection, 6 * MINUTE)
    assert [(one.first_ms, one.count) for one in events(database)] == [(0, 1), (6 * MINUTE, 1)]


def test_so_many_lines_within_so_long_raise_it_and_fewer_do_not(database: Database) -> None:
    matcher = matcher_of({"match": "boom", "count": 3, "within": "1m", "quiet": "10m"})
    for at in (0, 40_000, 61_000):
        round_of(database, matcher, "boom", at=at)
    assert not matcher.active
    round_of(database, matcher, "boom", at=90_000)
    assert matcher.active == {"boom"}
    assert [(one.count, one.raised_ms) for one in events(database)] == [(4, 90_000)]


def test_lines_of_different_kinds_are_different_events_up_to_a_bound(database: Database) -> None:
    matcher = matcher_of({"match": "failed", "level": 2})
    names = [a + b for a in "abcdefgh" for b in "pqrstuvw"]
    round_of(database, matcher, *(f"{name} failed" for name in names), at=0)
    found = events(database)
    assert len(found) == MAX_OPEN + 1
    assert sum(one.count for one in found) == len(names)


def test_the_line_that_matched_is_told_and_its_whole_entry_is_the_context(database: Database) -> None:
    matcher = matcher_of(OOM)
    text = (
        'got prompt\nTraceback (most recent call last):\n  File "/srv/app.py", line 3\nError: Out of memory, key=/srv/k'
    )
    round_of(database, matcher, text, at=0)
    (event,) = events(database)
    assert event.text == "Error: Out of memory, key=[path]"
    assert event.context == ["got prompt", "Traceback (most recent call last):", '  File "[path]", line 3', event.text]
    assert values(matcher, "log_last_line_info")[0][0]["line"] == event.text


def test_of_a_long_entry_the_last_lines_are_kept(database: Database) -> None:
    matcher = matcher_of(OOM)
    round_of(database, matcher, "\n".join(["Out of memory", *(f"  line {n}" for n in range(100))]), at=0)
    context = events(database)[0].context
    assert (len(context), context[0], context[-1]) == (50, "  line 50", "  line 99")


def test_colours_and_control_characters_neither_hide_a_match_nor_are_kept(database: Database) -> None:
    matcher = matcher_of(OOM)
    line = "\x1b[31mOut of\x1b[0m memory\x00\x07 \u202egnp.exe"
    assert matcher.may_match(line.encode())
    round_of(database, matcher, line, at=0)
    assert events(database)[0].text.startswith("Out of memory")
    assert not {"\x1b", "\x00", "\u202e"} & set(events(database)[0].text)


def test_unless_and_ignore_case() -> None:
    matcher = matcher_of(
        {"match": "ERROR", "ignore_case": True, "unless": "harmless"}, {"regex": "^E\\d+", "name": "e"}
    )
    matcher.feed([entry("an error"), entry("a harmless Error"), entry("E123 x"), entry("x E123")], 0)
    assert [value for _, value in values(matcher, "log_matches_total")] == [1.0, 1.0]


def test_a_pattern_of_level_0_is_a_metric_and_nothing_else(database: Database) -> None:
    metric = {"name": "took_seconds", "type": "gauge", "value": "s"}
    matcher = matcher_of({"regex": "took (?P<s>[\\d.]+)", "level": 0, "metric": metric})
    round_of(database, matcher, "took 1.5", at=0)
    assert matcher.samples(0) == [Sample("took_seconds", make_labels(target="comfy", source="x.log"), 1.5)]
    assert events(database) == []


def test_a_transaction_that_fails_counts_nothing_twice(database: Database) -> None:
    matcher = matcher_of(OOM, {"regex": "n=(?P<n>\\d+)", "level": 0, "metric": {"name": "n_total", "value": "n"}})
    round_of(database, matcher, "Out of memory", "n=1", at=0)
    lines = [entry("Out of memory", 1000), entry("n=5", 1000), entry("Out of memory of another kind", 1000)]
    matcher.feed(lines, 1000)
    fail(database, matcher, 1000)
    matcher.feed(lines, 1000)
    with database.begin() as connection:
        matcher.pending(connection, 1000)
    matcher.settled()
    assert [one.count for one in events(database)] == [2, 1]
    assert values(matcher, "log_matches_total")[0][1] == 3.0
    assert values(matcher, "n_total")[0][1] == 6.0


def test_counters_that_cannot_be_read_count_as_none() -> None:
    matcher = matcher_of(OOM)
    matcher.restore({"patterns": {"Out of memory": {"matches": "many", "events": 3}}})
    assert values(matcher, "log_matches_total")[0][1] == 0.0
    matcher.restore({})


_LINES = st.lists(
    st.tuples(
        st.sampled_from(["boom 1", "boom 2", "boom of another kind", "slow 3.5", "slow nan", "well"]),
        st.integers(0, 90_000),
        st.sampled_from(["go on", "restart", "fail"]),
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(_LINES)
def test_restarts_and_failures_change_nothing(tmp_path_factory: pytest.TempPathFactory, lines: Any) -> None:
    patterns = (
        {"match": "boom", "count": 2, "within": "1m", "quiet": "2m"},
        {"regex": "slow (?P<s>\\S+)", "level": 1, "metric": {"name": "s", "type": "histogram", "value": "s"}},
    )
    folder = tmp_path_factory.mktemp("logs")
    steady, shaken = open_database(folder / "a.db"), open_database(folder / "b.db")
    left, right, now = matcher_of(*patterns), matcher_of(*patterns), 0
    for text, wait, what in lines:
        now += wait
        round_of(steady, left, text, at=now)
        if what == "fail":
            right.feed([entry(text, now)], now)
            fail(shaken, right, now)
        kept = round_of(shaken, right, text, at=now)
        if what == "restart":
            right = matcher_of(*patterns)
            right.restore(kept)
        assert right.samples(now) == left.samples(now)
    assert [tuple(one) for one in events(shaken)] == [tuple(one) for one in events(steady)]
    steady.dispose()
    shaken.dispose()


_REGEXES = [
    "^boom",
    "boom$",
    "b.om",
    "(?i)BOOM",
    "\\bboom\\b",
    "^[^x]*$",
    "a\\nb",
    "\\Aboom",
    "boom\\z",
    "x|^b",
    "é",
    ".",
]


@given(
    st.sampled_from(_REGEXES),
    st.lists(
        st.lists(st.sampled_from(["boom", "x", " ", "a", "b", "é", "\x1b[0m", "�", "B"]), max_size=5).map("".join)
    ),
    st.integers(1, 3),
)
def test_no_entry_that_matches_is_in_a_block_that_cannot(regex: str, lines: list[str], lines_each: int) -> None:
    matcher = matcher_of({"regex": regex, "name": "it", "level": 1})
    entries = ["\n".join(lines[at : at + lines_each]) for at in range(0, len(lines), lines_each)]
    matcher.feed([entry(text) for text in entries], 0)
    if values(matcher, "log_matches_total")[0][1]:
        assert matcher.may_match("".join(f"{line}\n" for line in lines).encode())


def test_bytes_that_are_no_text_are_looked_at_as_text() -> None:
    matcher = matcher_of({"regex": "b.om"})
    assert matcher.may_match(b"b\xffom\n")
    assert not matcher.may_match(b"ab com\n")
    assert not matcher_of(OOM).may_match("all is well\n等待中\n".encode())


def test_a_pattern_in_several_sources_of_a_target_is_one_series() -> None:
    left, right = matcher_of(OOM, source="a.log"), matcher_of(OOM, source="b.log")
    right.feed([entry("Out of memory in b")], 0)
    found = merge([*left.samples(0), *right.samples(0)])
    active = [one for one in found if one.name == "log_pattern_active"]
    assert [one.value for one in active] == [1.0]
    assert [dict(one.labels)["line"] for one in found if one.name == "log_last_line_info"] == ["Out of memory in b"]
    assert len([one for one in found if one.name == "log_matches_total"]) == 2


def test_a_line_as_long_as_may_be_is_looked_through_by_many_patterns() -> None:
    hostile = [{"regex": f"(a|aa)*{n}(x+x+)+y", "name": f"p{n}"} for n in range(50)]
    matcher = matcher_of(*hostile)
    matcher.feed([entry("a" * 32_768 + "x" * 32_768)], 0)
    assert not matcher.active
