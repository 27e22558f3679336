"""The judge of the storm sees what is lost, told twice, out of order, or repeated for no reason."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.storm import CHANNELS, Outcome, judge
from bench.storm_life import LOG, LOOKS
from bench.storm_receiver import Mood, Taken, Told

FIRST, AGAIN = Told("a", "2023-11-14T22:13:20Z", True), Told("a", "2023-11-14T22:15:00Z", True)
ROWS = [(1, "a", 1_700_000_000_000, 1_700_000_050_000), (2, "a", 1_700_000_100_000, 1_700_000_150_000)]


def over(told: Told) -> Told:
    return told._replace(firing=False)


def taken(key: str, *told: Told, life: int = 0, mood: Mood = "ok", channel: str = "red") -> Taken:
    return Taken(life, channel, key, told, mood, key.startswith("summary-"))


def all_of_it() -> list[Taken]:
    return [taken(str(place), told) for place, told in enumerate((FIRST, over(FIRST), AGAIN, over(AGAIN)))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "wakeless.db")) as connection:
        connection.execute("CREATE TABLE outbox (state TEXT)")
        connection.execute("CREATE TABLE alerts (id, fingerprint, firing_ms, resolved_ms)")
        connection.executemany("INSERT INTO alerts VALUES (?, ?, ?, ?)", ROWS)
        connection.commit()
    (tmp_path / LOG).write_text('{"key": "slow", "reason": "no answer within 0.5 s"}\n')
    return tmp_path


def judged(folder: Path, *book: Taken, looks: str = "1700000060000\n") -> Outcome:
    (folder / LOOKS).write_text(looks)
    both = [one._replace(channel=channel) for channel in CHANNELS for one in book]
    return judge(folder, both, 1)


def test_what_was_told_once_and_in_order_is_good(folder: Path) -> None:
    outcome = judged(folder, *all_of_it())
    assert outcome.is_good
    assert (outcome.fired, outcome.resolved, outcome.notices, outcome.unseen) == (4, 4, 8, 0)


@pytest.mark.parametrize("missing", range(4))
def test_what_was_not_told_is_lost(folder: Path, missing: int) -> None:
    book = all_of_it()
    del book[missing]
    assert len(judged(folder, *book).lost) == len(CHANNELS)


def test_what_came_and_went_while_nobody_looked_is_told_as_one(folder: Path) -> None:
    outcome = judged(folder, taken("1", FIRST), taken("2", over(AGAIN)), looks="1700000160000\n")
    assert outcome.is_good
    assert outcome.unseen == len(CHANNELS)


def test_a_summary_tells_of_the_beginning_of_what_is_over(folder: Path) -> None:
    assert judged(folder, taken("summary-1-9", over(FIRST), over(AGAIN))).is_good
    assert not judged(folder, taken("1-9", over(FIRST), over(AGAIN))).is_good


def test_what_was_told_under_two_keys_was_told_twice(folder: Path) -> None:
    assert len(judged(folder, *all_of_it(), taken("other", over(AGAIN))).twice) == len(CHANNELS)


def test_what_is_said_to_fire_after_its_end_is_out_of_order(folder: Path) -> None:
    first, ended, *rest = all_of_it()
    assert judged(folder, ended, first, *rest).out_of_order == len(CHANNELS)


def test_a_repetition_needs_a_reason(folder: Path) -> None:
    book = all_of_it()
    assert not judged(folder, *book, book[-1]).is_good
    assert judged(folder, *book, book[-1]._replace(life=1)).is_good
    lost = [*book[:-1], book[-1]._replace(mood="lost"), book[-1]]
    assert judged(folder, *lost).repeats == {"the service took it and cut the connection": len(CHANNELS)}
    slow = [one._replace(key="slow") if one is book[-1] else one for one in book]
    assert judged(folder, *slow, slow[-1]).is_good
