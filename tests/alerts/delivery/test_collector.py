"""How notices stand, as metrics."""

from __future__ import annotations

from alerts.delivery.collector import NoticeCollector
from alerts.delivery.outbox import Outbox
from alerts.delivery.receipt import Receipt
from collectors.sample import make_labels
from tests.alerts.delivery.box import Post
from tests.alerts.world import START_MS


def read(outbox: Outbox, now_ms: int) -> dict[str, float]:
    collector = NoticeCollector(outbox, clock=lambda: now_ms)
    return {" ".join([name, *dict(labels).values()]): value for name, labels, value in collector.collect()}


def test_it_counts_notices_by_state_and_says_how_long_the_oldest_has_waited(outbox: Outbox, post: Post) -> None:
    nothing = {f"wakeless_notices {state}": 0.0 for state in ("waiting", "sent", "failed", "merged")}
    assert read(outbox, START_MS) == {**nothing, "wakeless_notice_wait_seconds": 0.0}
    for number in range(4):
        post.put("box", str(number), at_ms=START_MS + number * 10_000)
    first, second, *_ = reversed(outbox.recent())
    outbox.mark_sent(first, Receipt("t", "b"), START_MS)
    outbox.mark_failed(second, "no")
    assert read(outbox, START_MS + 90_000) == {
        "wakeless_notices waiting": 2.0,
        "wakeless_notices sent": 1.0,
        "wakeless_notices failed": 1.0,
        "wakeless_notices merged": 0.0,
        "wakeless_notice_wait_seconds": 70.0,
        "wakeless_notice_outcomes_total box sent": 1.0,
        "wakeless_notice_outcomes_total box failed": 1.0,
        "wakeless_notice_outcomes_total box merged": 0.0,
        "wakeless_notice_outcomes_total box refused": 0.0,
    }


def test_a_clock_that_was_set_back_makes_no_negative_wait(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    samples = list(NoticeCollector(outbox, clock=lambda: START_MS - 5000).collect())
    assert ("wakeless_notice_wait_seconds", make_labels(), 0.0) in samples
