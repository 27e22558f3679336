"""From the outbox to the services: in order, nothing lost, nothing twice, no channel in another's way."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from alerts.delivery.outbox import Outbox
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.sender import MAX_BACKOFF_SECONDS, MAX_CRASHES, Sender
from storage.engine import open_database
from storage.error import StorageError
from tests.alerts.delivery.box import Answer, Box, Boxes, Post, down, fact, message, run, sender, states
from tests.alerts.world import START_MS

HOUR = 3600


def hang_until(release: threading.Event) -> Answer:
    """A service that says nothing for so long."""

    def hang(title: str) -> None:
        release.wait(20)

    return hang


# --- order -------------------------------------------------------------------------------------------------------


def test_what_waits_goes_in_the_order_in_which_it_was_put_in(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two", "three")
    box = Box("box")
    assert sender(outbox, box).deliver(START_MS) == 3
    assert box.taken == ["one", "two", "three"]
    assert {entry.title for entry in outbox.recent(state="sent")} == {"one", "two", "three"}


def test_a_service_that_fails_for_a_while_gets_all_of_it_in_order_later(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    box = Box("box", down)
    sending = sender(outbox, box)
    assert run(sending, range(12)) == []
    assert box.asked == ["one", "one"], "the second does not overtake the first"
    box.answer = lambda title: None
    assert run(sending, range(12, 60)) == [30]
    assert box.taken == ["one", "two"]


def test_what_is_refused_for_good_is_given_up_at_once_and_the_next_goes(outbox: Outbox, post: Post) -> None:
    post.put("box", "too long", "critical")
    box = Box("box", lambda title: DeliveryError("413 too large", permanent=True) if title == "too long" else None)
    assert sender(outbox, box).deliver(START_MS) == 1
    assert box.asked == ["too long", "critical"]
    (dead,) = outbox.recent(state="failed")
    assert (dead.error, dead.attempts) == ("413 too large", 1)


# --- waiting -----------------------------------------------------------------------------------------------------


def test_the_wait_doubles_up_to_a_limit_and_then_the_notice_is_given_up(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    sending = sender(outbox, Box("box", down), give_up_seconds=HOUR)
    waits: list[float] = []
    now_ms = START_MS
    while (last := outbox.recent()[0]).state == "waiting":
        now_ms = last.next_ms
        sending.deliver(now_ms)
        waits.append((outbox.recent()[0].next_ms - now_ms) / 1000)
    assert waits[:6] == [10, 20, 40, 80, 160, MAX_BACKOFF_SECONDS]
    (entry,) = outbox.recent()
    assert (entry.state, entry.error, entry.attempts) == ("failed", "502 Bad Gateway", len(waits))
    assert now_ms == START_MS + HOUR * 1000


def test_a_restart_does_not_forget_that_the_channel_rests(outbox: Outbox, post: Post, database: Database) -> None:
    post.put("box", "one", "two")
    box = Box("box", down)
    run(sender(outbox, box), [0, 10, 30])
    assert len(box.asked) == 3
    assert run(sender(Outbox(database), box), range(31, 70)) == []
    assert len(box.asked) == 3
    assert run(sender(Outbox(database), Box("box")), range(70, 72)) == [70]


def test_the_service_itself_says_when_to_come_back(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    box = Box("box", lambda title: DeliveryError("429", retry_after_seconds=33.0))
    sending = sender(outbox, box)
    run(sending, [0])
    box.answer = lambda title: None
    assert run(sending, range(1, 60)) == [33]


def test_an_absurd_retry_after_is_an_hour(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    sender(outbox, Box("box", lambda title: DeliveryError("429", retry_after_seconds=1e9))).deliver(START_MS)
    assert outbox.recent()[0].next_ms == START_MS + HOUR * 1000


def test_retries_are_spread(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    sender(outbox, Box("box", down), jitter=random.Random(1)).deliver(START_MS)
    wait_ms = outbox.recent()[0].next_ms - START_MS
    assert 8_000 <= wait_ms <= 12_000
    assert wait_ms != 10_000


def test_a_service_that_is_down_is_not_asked_for_every_notice(outbox: Outbox, post: Post) -> None:
    post.put("box", *(f"notice {number}" for number in range(100)))
    box = Box("box", down)
    run(sender(outbox, box), range(60))
    assert len(box.asked) == 3


def test_after_one_is_given_up_by_age_the_channel_rests_before_the_next(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    box = Box("box", lambda title: down(title) if title == "one" else None)
    sending = sender(outbox, box, give_up_seconds=60.0)
    run(sending, [0, 60, 61])
    assert box.asked == ["one", "one"]
    assert run(sending, range(62, 90)) == [80]
    assert box.taken == ["two"]


def test_a_clock_set_back_does_not_make_a_notice_wait_for_hours(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    assert sender(outbox, Box("box")).deliver(START_MS - 3 * HOUR * 1000) == 1


def test_a_clock_set_back_makes_no_channel_rest_for_longer(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    box = Box("box", down)
    sending = sender(outbox, box)
    run(sending, [0])
    run(sending, range(-1800, -1780))
    assert len(box.asked) == 2, "nor is it asked more often"
    box.answer = lambda title: None
    assert run(sending, range(-1780, -1760)) == [-1770]


def test_what_is_under_way_to_a_channel_that_is_removed_counts(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    release = threading.Event()
    box = Box("box", hang_until(release))
    boxes = Boxes(box)
    sending = Sender(outbox, boxes, patience_seconds=0.0)
    sending.deliver(START_MS)
    boxes.remove("box")
    sending.deliver(START_MS + 1000)
    release.set()
    sending.close()
    assert states(outbox)["one-box"] == "sent"
    assert Sender(outbox, boxes).deliver(START_MS + 2000) == 0
    assert states(outbox) == {"one-box": "sent", "two-box": "failed"}


def test_a_channel_that_is_gone_gives_up_its_notices(outbox: Outbox, post: Post) -> None:
    post.put("old", "one")
    post.put("box", "two")
    assert sender(outbox, Box("box")).deliver(START_MS) == 1
    assert states(outbox) == {"one-old": "failed", "two-box": "sent"}
    assert outbox.recent(state="failed")[0].error == "the channel is not configured any more"


def test_what_was_put_in_is_sent_at_once_when_the_sender_is_woken(outbox: Outbox, post: Post) -> None:
    there = threading.Event()
    box = Box("box", lambda title: there.set())
    sending = sender(outbox, box, clock=lambda: START_MS)
    post.put("box", "one")
    sending.wake()
    assert there.wait(20)


def test_what_is_put_in_while_the_lane_is_at_work_goes_with_it(outbox: Outbox, post: Post) -> None:
    entered, go, there = threading.Event(), threading.Event(), threading.Event()

    def slow(title: str) -> None:
        if title == "one":
            entered.set()
            go.wait(20)
        else:
            there.set()

    box = Box("box", slow)
    sending = sender(outbox, box, clock=lambda: START_MS)
    post.put("box", "one")
    sending.wake()
    assert entered.wait(20)
    post.put("box", "two")
    sending.wake()
    go.set()
    assert there.wait(20)


# --- once --------------------------------------------------------------------------------------------------------


def test_an_attempt_is_written_down_before_it_begins(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    seen: list[int | None] = []
    box = Box("box", lambda title: seen.append(outbox.recent()[0].attempt_ms))
    sender(outbox, box).deliver(START_MS)
    assert seen == [START_MS]
    assert outbox.recent()[0].attempt_ms is None


def test_what_a_dead_process_was_sending_goes_again_under_the_same_key(
    outbox: Outbox, post: Post, database: Database
) -> None:
    post.put("box", "one", "two")
    head = outbox.head("box")
    assert head is not None
    outbox.begin(head, START_MS)
    box = Box("box")
    assert sender(Outbox(database), box).deliver(START_MS + 5000) == 2
    assert box.keys == ["one-box", "two-box"]


def test_when_the_database_takes_no_word_of_it_nothing_is_sent_twice(
    outbox: Outbox, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.put("box", "one", "two")
    box = Box("box")
    sending = sender(outbox, box)
    real = Outbox.mark_sent

    def locked(*_: object) -> None:
        raise StorageError("locked", permanent=False)

    monkeypatch.setattr(Outbox, "mark_sent", locked)
    run(sending, range(5))
    assert box.asked == ["one"]
    monkeypatch.setattr(Outbox, "mark_sent", real)
    run(sending, [5])
    assert box.asked == ["one", "two"]
    assert states(outbox) == {"one-box": "sent", "two-box": "sent"}


def test_an_answer_that_comes_after_its_time_still_counts(outbox: Outbox, post: Post) -> None:
    release = threading.Event()
    post.put("box", "one")
    box = Box("box", hang_until(release))
    sending = sender(outbox, box, timeout_seconds=0.05)
    run(sending, [0])
    assert outbox.recent()[0].error == "no answer within 0.05 s"
    release.set()
    for thread in threading.enumerate():
        if thread.name == "attempt-one-box":
            thread.join(20)
    run(sending, [10])
    assert box.asked == ["one"]
    assert states(outbox) == {"one-box": "sent"}


def test_an_orderly_end_lets_what_is_under_way_end_and_begins_nothing_more(outbox: Outbox, post: Post) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(title: str) -> None:
        entered.set()
        release.wait(20)

    post.put("box", "one", "two")
    sending = sender(outbox, Box("box", slow), clock=lambda: START_MS)
    sending.wake()
    assert entered.wait(20)
    sending.close(within_seconds=0.0)
    release.set()
    sending.close(within_seconds=20.0)
    assert states(outbox) == {"one-box": "sent", "two-box": "waiting"}
    assert sending.deliver(START_MS + 1000) == 0


def test_a_notice_that_was_taken_out_is_not_sent(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    box = Box("box")
    head = outbox.head("box")
    assert head is not None
    assert outbox.discard(head.id)
    sender(outbox, box).deliver(START_MS)
    assert box.taken == ["two"]


# --- independence ------------------------------------------------------------------------------------------------


def test_a_channel_that_hangs_holds_up_no_other_and_its_attempt_times_out(outbox: Outbox, post: Post) -> None:
    release = threading.Event()
    post.put("stuck", "one")
    post.put("box", "one", "two")
    stuck, box = Box("stuck", hang_until(release)), Box("box")
    assert sender(outbox, stuck, box, timeout_seconds=0.05).deliver(START_MS) == 2
    assert box.taken == ["one", "two"]
    (waiting,) = outbox.recent(channel="stuck")
    assert (waiting.state, waiting.error) == ("waiting", "no answer within 0.05 s")
    release.set()


def test_attempts_that_hang_do_not_pile_up(outbox: Outbox, post: Post) -> None:
    release = threading.Event()
    post.put("stuck", "one")
    stuck = Box("stuck", hang_until(release))
    run(sender(outbox, stuck, timeout_seconds=0.01), range(0, 6 * HOUR, HOUR))
    release.set()
    assert len(stuck.asked) == 3
    assert outbox.recent()[0].error == "3 earlier attempts still hang"


def test_a_channel_whose_own_code_fails_with_a_notice_gives_it_up_and_goes_on(outbox: Outbox, post: Post) -> None:
    def crash(title: str) -> DeliveryError | None:
        if title == "one":
            raise RuntimeError("https://example.com/secret-token")
        return None

    post.put("box", "one", "two")
    box = Box("box", crash)
    run(sender(outbox, box), range(0, HOUR, 10))
    assert box.asked == ["one"] * MAX_CRASHES + ["two"]
    assert outbox.recent(state="failed")[0].error == "the channel failed with RuntimeError"


def test_data_that_cannot_be_read_are_given_up(outbox: Outbox, post: Post, database: Database) -> None:
    post.put("box", "one", "two")
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET message = '{\"kind\": \"alerts\"}' WHERE key = 'one-box'")
    box = Box("box")
    sender(outbox, box).deliver(START_MS)
    assert box.taken == ["two"]
    assert "cannot be read" in str(outbox.recent(state="failed")[0].error)


def test_data_that_cannot_be_read_spoil_no_summary_of_the_others(
    outbox: Outbox, post: Post, database: Database
) -> None:
    for number in range(6):
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}")))
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET message = '{\"alerts\": 5}' WHERE key = '1-box'")
    box = Box("box")
    assert sender(outbox, box).deliver(START_MS + HOUR * 1000) == 2
    assert box.taken == ["+R0", "summary of 4"]
    assert [entry.key for entry in outbox.recent(state="failed")] == ["1-box"]


# --- rates -------------------------------------------------------------------------------------------------------


def test_a_channel_gets_no_more_in_a_minute_than_it_takes_also_after_a_restart(
    outbox: Outbox, post: Post, database: Database
) -> None:
    post.put("box", "1", "2")
    box = Box("box", per_minute=3)
    assert run(sender(outbox, box), [0]) == [0]
    restarted = sender(Outbox(database), box)
    post.put("box", "3", at_ms=START_MS + 1000)
    assert run(restarted, [1]) == [1]
    post.put("box", "4", at_ms=START_MS + 2000)
    assert run(restarted, range(2, 70)) == [60]
    assert box.taken == ["1", "2", "3", "4"]


def test_more_than_the_rate_allows_becomes_one_summary(outbox: Outbox, post: Post) -> None:
    box = Box("box", per_minute=3)
    sending = sender(outbox, box)
    for number in range(8):
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}")))
    assert run(sending, [0]) == [0]
    assert box.taken == ["summary of 8"]
    assert [one.rule for one in box.messages[0].firing] == [f"R{number}" for number in range(8)]
    assert "faster than this channel" in box.messages[0].note


# --- catching up -------------------------------------------------------------------------------------------------


def test_after_an_outage_what_waited_is_told_in_one(outbox: Outbox, post: Post) -> None:
    box = Box("box", down)
    sending = sender(outbox, box)
    for number in range(10):
        at_ms = START_MS + number * 60_000
        post.message("box", f"f{number}", message(fact(number + 1, rule=f"R{number}"), time_ms=at_ms), at_ms)
        run(sending, range(number * 60, number * 60 + 60))
    run(sending, range(600, 1200))
    box.answer = lambda title: None
    run(sending, range(1200, 1600))
    assert box.taken == ["summary of 10"]
    assert "10 notices could not be sent since" in box.messages[0].note
    counts = outbox.figures().counts
    assert (counts["waiting"], counts["sent"], counts["failed"]) == (0, 1, 0)


def test_a_few_are_told_one_by_one_however_late(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two", "three")
    box = Box("box")
    run(sender(outbox, box), [HOUR])
    assert box.taken == ["one", "two", "three"]


def test_without_catch_up_each_is_told_by_itself(outbox: Outbox, post: Post) -> None:
    post.put("box", *"abcdefgh")
    box = Box("box")
    run(sender(outbox, box, catch_up_seconds=0), [HOUR])
    assert box.taken == list("abcdefgh")


def test_what_the_service_may_have_taken_goes_again_as_it_was_before_the_summary(outbox: Outbox, post: Post) -> None:
    for number in range(6):
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}")))
    box = Box("box", lambda title: DeliveryError("the connection was reset"))
    sending = sender(outbox, box)
    run(sending, [0])
    box.answer = lambda title: None
    run(sending, [HOUR])
    assert box.asked == ["+R0", "+R0", "summary of 5"]
    assert box.keys[0] == box.keys[1]


def test_a_refusal_says_nothing_of_the_attempt_before_it(outbox: Outbox, post: Post) -> None:
    for number in range(6):
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}")))
    box = Box("box", lambda title: DeliveryError("the connection was reset"))
    sending = sender(outbox, box)
    run(sending, [0])
    box.answer = down
    run(sending, [10])
    box.answer = lambda title: None
    run(sending, [HOUR])
    assert box.asked == ["+R0", "+R0", "+R0", "summary of 5"]


def test_a_dead_letter_that_may_have_been_taken_is_sent_again_as_it_was(outbox: Outbox, post: Post) -> None:
    for number in range(6):
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}")))
    box = Box("box", lambda title: DeliveryError("the connection was reset"))
    sending = sender(outbox, box, give_up_seconds=5.0)
    run(sending, [0, 5])
    (dead,) = outbox.recent(state="failed")
    outbox.retry(dead.id, START_MS + HOUR * 1000)
    box.answer = lambda title: None
    run(sending, [HOUR])
    assert box.asked == ["+R0", "+R0", "+R0", "summary of 5"]


def test_even_two_are_merged_when_one_is_refused_again_and_again(outbox: Outbox, post: Post) -> None:
    post.message("box", "1", message(fact(1, rule="R1")))
    post.message("box", "2", message(fact(2, rule="R2")))
    box = Box("box", lambda title: down(title) if title == "+R1" else None)
    run(sender(outbox, box), range(HOUR))
    assert box.taken == ["summary of 2"]


def test_a_summary_that_is_refused_takes_in_what_comes_later_and_is_as_fresh_as_that(
    outbox: Outbox, post: Post
) -> None:
    box = Box("box", down)
    sending = sender(outbox, box, give_up_seconds=2 * HOUR)
    for number in range(4 * 6):
        at_ms = START_MS + number * 600_000
        post.message("box", str(number), message(fact(number + 1, rule=f"R{number}"), time_ms=at_ms), at_ms)
        run(sending, range(number * 600, number * 600 + 600, 10))
    assert outbox.figures().counts["failed"] == 0, "the newest of what it tells is not too old"
    assert outbox.figures().oldest_waiting_ms == START_MS
    box.answer = lambda title: None
    run(sending, range(4 * HOUR, 4 * HOUR + 600, 10))
    assert box.taken == ["summary of 24"]


# --- an older database -------------------------------------------------------------------------------------------


def test_notices_of_an_older_version_keep_their_words(outbox: Outbox, database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO outbox (key, channel, title, body, kind, state, created_ms, next_ms, attempts) "
            "VALUES ('7-fired-box', 'box', '[FIRING] It is bad', 'Service: x', 'warning', 'waiting', ?, ?, 0)",
            (START_MS, START_MS),
        )
    box = Box("box")
    assert sender(outbox, box).deliver(START_MS) == 1
    assert box.taken == ["[FIRING] It is bad\nService: x"]
    assert outbox.recent()[0].title == "[FIRING] It is bad"


def test_a_locked_database_ends_no_thread_with_a_crash(
    database: Database, monkeypatch: pytest.MonkeyPatch, post: Post
) -> None:
    post.put("box", "one")
    monkeypatch.setattr("storage.engine.BUSY_SECONDS", 0.01)
    impatient = open_database(Path(str(database.url.database)))
    box = Box("box")
    sending = Sender(Outbox(impatient), Boxes(box))
    with database.begin():
        assert sending.deliver(START_MS) == 0
    assert box.asked == []
    assert sending.deliver(START_MS) == 1
    impatient.dispose()


# --- a machine that has nothing left --------------------------------------------------------------------------


def without_threads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As when the system lets the process have no more threads."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(name):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_lane_that_got_no_thread_is_walked_when_there_is_one(
    outbox: Outbox, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.put("box", "one")
    box = Box("box")
    sending = sender(outbox, box)
    with monkeypatch.context() as none_left:
        without_threads(none_left, "notice-")
        with pytest.raises(RuntimeError, match="can't start new thread"):
            sending.deliver(START_MS)
    assert sending.deliver(START_MS + 1000) == 1


def test_an_attempt_that_got_no_thread_was_none_and_says_why(
    outbox: Outbox, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.put("box", "one")
    box = Box("box")
    sending = sender(outbox, box)
    with monkeypatch.context() as none_left:
        without_threads(none_left, "attempt-")
        run(sending, range(3))
    (entry,) = outbox.recent()
    assert (entry.error, entry.attempts, entry.attempt_ms) == ("nothing was sent: can't start new thread", 1, None)
    assert run(sending, range(3, 12)) == [10]


# --- words that are none ----------------------------------------------------------------------------------------


def test_half_a_character_in_a_refusal_keeps_no_lane_from_going_on(outbox: Outbox, post: Post) -> None:
    post.put("box", "one", "two")
    box = Box("box", lambda title: DeliveryError("bad \ud83d", permanent=True) if title == "one" else None)
    assert sender(outbox, box).deliver(START_MS) == 1
    assert [(entry.state, entry.error) for entry in outbox.recent()] == [("sent", None), ("failed", "bad ?")]


def test_half_a_character_in_what_was_sent_is_no_reason_to_send_it_again(outbox: Outbox, post: Post) -> None:
    post.message("box", "one", message(note="one \ud83d"))
    box = Box("box")
    assert run(sender(outbox, box), range(3)) == [0]
    assert outbox.recent()[0].title == "one ?"
