"""How notices stand, as metrics."""

from __future__ import annotations

from sqlalchemy import Engine as Database

from alerts.delivery.collector import NoticeCollector
from alerts.delivery.outbox import Notice, Outbox
from collectors.sample import make_labels
from tests.alerts.world import START_MS


def test_it_counts_notices_by_state_and_says_how_long_the_oldest_has_waited(database: Database) -> None:
    outbox = Outbox(database)
    collector = NoticeCollector(outbox, clock=lambda: START_MS + 90_000)

    def read() -> dict[str, float]:
        return {" ".join([name, *dict(labels).values()]): value for name, labels, value in collector.collect()}

    nothing = {f"wakeless_notices {state}": 0.0 for state in ("waiting", "sent", "failed")}
    assert read() == {**nothing, "wakeless_notice_wait_seconds": 0.0}
    with database.begin() as connection:
        for number in range(4):
            outbox.enqueue(connection, Notice(f"{number}-a", "a", "t", "b", "info"), START_MS + number * 10_000)
    oldest = outbox.next_due("a", START_MS, 600_000)
    assert oldest is not None
    outbox.mark_sent(oldest, START_MS)
    following = outbox.next_due("a", START_MS + 10_000, 600_000)
    assert following is not None
    outbox.mark_failed(following, "no")
    assert read() == {
        "wakeless_notices waiting": 2.0,
        "wakeless_notices sent": 1.0,
        "wakeless_notices failed": 1.0,
        "wakeless_notice_wait_seconds": 70.0,
    }


def test_a_clock_that_was_set_back_makes_no_negative_wait(database: Database) -> None:
    outbox = Outbox(database)
    with database.begin() as connection:
        outbox.enqueue(connection, Notice("1-a", "a", "t", "b", "info"), START_MS)
    samples = list(NoticeCollector(outbox, clock=lambda: START_MS - 5000).collect())
    assert samples[-1] == ("wakeless_notice_wait_seconds", make_labels(), 0.0)
