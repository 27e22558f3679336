"""The outbox: what is put in stays until it is over, and people can look at it and change its fate."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from alerts.delivery.entry import Entry, kind_of
from alerts.delivery.message import Message
from alerts.delivery.outbox import Outbox
from alerts.delivery.receipt import Receipt
from storage.engine import open_database
from storage.error import StorageError
from tests.alerts.delivery.box import Box, Post, down, fact, message, sender, states
from tests.alerts.world import START_MS

TAKEN = Receipt("title", "body", "200 OK")


def test_a_notice_is_there_once_however_often_it_is_put_in(outbox: Outbox, post: Post) -> None:
    assert post.message("box", "key", message(fact()))
    assert not post.message("box", "key", message(fact(2)))
    (entry,) = outbox.recent()
    assert entry.read() == message(fact())


def test_it_is_there_if_and_only_if_what_it_tells_is_committed(outbox: Outbox, database: Database) -> None:
    with suppress(OSError), database.begin() as connection:
        outbox.enqueue(connection, "key", "box", message(fact()), START_MS)
        raise OSError("the power went out")
    assert outbox.recent() == []


@pytest.mark.parametrize("value", [None, math.inf, -math.inf, 0.5])
def test_any_value_of_an_alert_survives(outbox: Outbox, post: Post, value: float | None) -> None:
    for number in range(5):
        post.message("box", str(number), message(fact(number + 1, value=value)))
    assert outbox.crowd("box").count == 5
    head = outbox.head("box")
    assert head is not None
    assert head.read().alerts[0].value == value


def test_a_list_of_notices_holds_no_more_of_each_than_it_shows(outbox: Outbox, post: Post) -> None:
    post.message("box", "key", message(fact(1, rule="First"), *(fact(number) for number in range(2, 50))))
    (entry,) = outbox.recent()
    assert entry.headline == "First it is"
    assert len((entry.message or {})["alerts"]) == 1


def test_its_colour_is_that_of_the_worst_that_fires() -> None:
    assert kind_of(message(fact(1, level=3), fact(2, level=1))) == "failure"
    assert kind_of(message(fact(1, level=3, firing=False), fact(2))) == "warning"
    assert kind_of(message(fact(1, level=3, firing=False))) == "success"
    assert kind_of(message(fact(1), kind="acknowledged")) == "info"


def test_a_dead_letter_is_sent_when_a_person_says_so_before_what_waits(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    (entry,) = outbox.recent()
    outbox.mark_failed(entry, "403")
    post.put("box", "two")
    assert outbox.retry(entry.id, START_MS + 1)
    box = Box("box")
    sender(outbox, box).deliver(START_MS + 1)
    assert box.taken == ["one", "two"]
    assert not outbox.retry(entry.id, START_MS), "it is sent"


def test_a_person_need_not_wait_for_the_next_attempt(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    box = Box("box", down)
    sending = sender(outbox, box)
    sending.deliver(START_MS)
    assert outbox.retry(outbox.recent()[0].id, START_MS + 1)
    box.answer = lambda title: None
    assert sending.deliver(START_MS + 1) == 1


def test_what_is_discarded_is_gone_and_what_is_sent_stays(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two", "three")
    three, two, one = outbox.recent()
    outbox.mark_failed(one, "no")
    outbox.mark_sent(three, TAKEN, START_MS)
    assert [outbox.discard(entry.id) for entry in (one, two, three)] == [True, True, False]
    assert states(outbox) == {"three-box": "sent"}
    assert outbox.find(one.id) is None


def test_what_was_taken_out_while_it_was_being_merged_spoils_the_merge(outbox: Outbox, post: Post) -> None:
    for number in range(3):
        post.message("box", str(number), message(fact(number + 1)))
    victim = outbox.recent()[0]

    def tell(entries: object) -> object:
        list(entries)  # type: ignore[call-overload]
        outbox.discard(victim.id)
        return message(fact(1), kind="summary")

    assert not outbox.merge("box", tell, START_MS)  # type: ignore[arg-type]
    assert states(outbox) == {"0-box": "waiting", "1-box": "waiting"}


def test_a_summary_never_comes_after_what_is_newer_than_all_that_it_tells(
    outbox: Outbox, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        post.message("box", str(number), message(fact(number + 1)))
    real, late = Outbox.merge, [message(fact(1, firing=False))]

    def merge(self: Outbox, channel: str, tell: Callable[[Iterable[Entry]], Message], now_ms: int) -> bool:
        def slow(entries: Iterable[Entry]) -> Message:
            told = tell(entries)
            if late:
                post.message("box", "late", late.pop())
            return told

        return real(self, channel, slow, now_ms)

    monkeypatch.setattr(Outbox, "merge", merge)
    box = Box("box")
    sender(outbox, box).deliver(START_MS + 3_600_000)
    assert box.taken == ["summary of 6"]
    assert [one.id for one in box.messages[0].resolved] == [1]


def test_it_says_how_each_channel_stands(outbox: Outbox, post: Post) -> None:
    post.put("a", "one", "two", "three")
    post.put("b", "one")
    first, second = (entry for entry in reversed(outbox.recent(channel="a")[1:]))
    outbox.mark_sent(first, TAKEN, START_MS)
    outbox.mark_retry(second, START_MS + 9000, "502", unclear=False)
    (only,) = outbox.recent(channel="b")
    outbox.mark_failed(only, "403 no such key")
    a, b = outbox.lanes(START_MS + 1)
    assert (a.waiting, a.failed, a.sent_24h, a.resting_until_ms, a.last_error) == (2, 0, 1, START_MS + 9000, "502")
    assert (b.waiting, b.failed, b.sent_24h, b.resting_until_ms, b.last_error) == (0, 1, 0, None, "403 no such key")
    assert outbox.lanes(START_MS + 90_000_000)[0].sent_24h == 0


def test_it_counts_how_notices_ended_from_zero_on(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    assert set(outbox.totals().values()) == {0}
    outbox.mark_sent(outbox.recent()[0], TAKEN, START_MS)
    assert outbox.totals()["box", "sent"] == 1


def test_old_notices_expire_but_never_those_that_wait(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    sender(outbox, Box("box")).deliver(START_MS)
    post.put("other", "two")
    assert outbox.expire(START_MS + 1) == 1
    assert [entry.channel for entry in outbox.recent()] == ["other"]


def test_a_locked_database_is_told_in_the_stores_own_words(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page then answers 503 and when to come back, not 500."""
    monkeypatch.setattr("storage.engine.BUSY_SECONDS", 0.01)
    path = Path(str(database.url.database))
    impatient = open_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked by another program"):
            Outbox(impatient).abandon(["post"], "gone")
    impatient.dispose()
