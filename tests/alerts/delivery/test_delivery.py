"""From an alert to a service that took its notice: nothing lost, nothing out of order, no channel in another's way."""

from __future__ import annotations

import logging
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from alerts.book import AlertBook
from alerts.delivery.channel import AppriseChannel, DeliveryError
from alerts.delivery.notice import Notices
from alerts.delivery.outbox import Notice, NoticeKind, Outbox
from alerts.delivery.sender import MAX_BACKOFF_SECONDS, Sender
from alerts.engine import AlertEngine
from alerts.state import AlertEvent
from promql import Engine
from storage.engine import open_database
from storage.error import StorageError
from tests.alerts.delivery.receiver import Receiver
from tests.alerts.world import START_MS, MemorySource, rules

# Apprise's plug-in for encrypted mail imports it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

RULE = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, annotations: {summary: It is bad}}]}]"


class Post:
    """A channel in memory that does what ``answer`` says for each title: None is taken, text is a refusal."""

    def __init__(self, name: str, answer: Callable[[str], str | None] = lambda title: None) -> None:
        self.name = name
        self.taken: list[str] = []
        self.asked: list[str] = []
        self._answer = answer

    def send(self, title: str, body: str, kind: NoticeKind) -> None:
        self.asked.append(title)
        refusal = self._answer(title)
        if refusal is not None:
            raise DeliveryError(refusal)
        self.taken.append(title)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def put(database: Database, outbox: Outbox) -> Callable[..., None]:
    """Enqueue notices by title."""

    def enqueue(channel: str, *titles: str, at_ms: int = START_MS) -> None:
        with database.begin() as connection:
            for title in titles:
                notice = Notice(f"{title}-{channel}", channel, title, "body", "info")
                assert outbox.enqueue(connection, notice, at_ms)

    return enqueue


class NoJitter(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return 1.0


def sender(outbox: Outbox, *channels: Post | AppriseChannel, **options: float) -> Sender:
    return Sender(outbox, channels, jitter=NoJitter(), **options)


# --- end to end --------------------------------------------------------------------------------------------------


def test_an_alert_reaches_a_webhook_that_refuses_twice_exactly_once_and_in_order(
    database: Database, outbox: Outbox
) -> None:
    with Receiver(500, 500) as receiver:
        channel = AppriseChannel(receiver.url())
        source = MemorySource()
        notices = Notices(outbox, [channel.name], service="photo-service", zone=UTC)
        engine = AlertEngine(database, Engine(source, lookback_ms=4_000), rules(RULE), outbox=notices)
        sending = sender(outbox, channel)

        source.set("bad", 1.0)
        source.tick(START_MS)
        engine.evaluate(START_MS)
        assert sending.deliver(START_MS) == 0
        (entry,) = outbox.recent()
        assert (entry.state, entry.attempts, entry.next_ms) == ("waiting", 1, START_MS + 10_000)
        assert "500" in str(entry.error)

        source.set("bad", 0.0)
        source.tick(START_MS + 5_000)
        engine.evaluate(START_MS + 5_000)
        assert sending.deliver(START_MS + 5_000) == 0, "the resolved notice must not overtake the firing one"
        assert len(receiver.refused) == 1

        assert sending.deliver(START_MS + 10_000) == 0
        assert sending.deliver(START_MS + 29_999) == 0
        assert sending.deliver(START_MS + 30_000) == 2
        assert sending.deliver(START_MS + 3_600_000) == 0
        assert receiver.titles() == ["[FIRING] It is bad", "[RESOLVED] It is bad"]
        assert [body["type"] for body in receiver.got] == ["warning", "success"]
        assert "Service: photo-service" in receiver.got[0]["message"]
        assert len(receiver.refused) == 2
    assert outbox.figures() == ({"waiting": 0, "sent": 2, "failed": 0}, None)


def test_an_alert_and_its_notice_are_written_together_or_not_at_all(database: Database, outbox: Outbox) -> None:
    class Torn(Notices):
        def write(self, connection: Connection, event: AlertEvent) -> None:
            super().write(connection, event)
            raise OSError("the power went out")

    source = MemorySource()
    source.set("bad", 1.0)
    source.tick(START_MS)
    promql = Engine(source)
    with pytest.raises(OSError, match="power"):
        AlertEngine(database, promql, rules(RULE), outbox=Torn(outbox, ["a"], service="s")).evaluate(START_MS)
    assert outbox.recent() == []

    engine = AlertEngine(database, promql, rules(RULE), outbox=Notices(outbox, ["a"], service="s"))
    engine.load()
    assert [event.kind for event in engine.evaluate(START_MS)] == ["fired"]
    assert len(outbox.recent()) == 1


def test_a_restart_between_firing_and_sending_loses_nothing(
    database: Database, outbox: Outbox, put: Callable[..., None]
) -> None:
    put("post", "one", "two")
    post = Post("post")
    assert sender(Outbox(database), post).deliver(START_MS) == 2
    assert post.taken == ["one", "two"]


# --- retries -----------------------------------------------------------------------------------------------------


def test_the_wait_doubles_up_to_a_limit_and_then_the_notice_is_given_up(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put("post", "one")
    sending = sender(outbox, Post("post", lambda title: "no"), give_up_seconds=3600.0)
    waits: list[float] = []
    now_ms = START_MS
    while (last := outbox.recent()[0]).state == "waiting":
        now_ms = max(last.next_ms, now_ms + 10_000 if waits else 0)  # after a failure the channel rests
        sending.deliver(now_ms)
        waits.append((outbox.recent()[0].next_ms - now_ms) / 1000)
    assert waits[:6] == [10, 20, 40, 80, 160, MAX_BACKOFF_SECONDS]
    (entry,) = outbox.recent()
    assert (entry.state, entry.error, entry.attempts) == ("failed", "no", len(waits))
    assert now_ms == START_MS + 3_600_000


def test_a_notice_that_is_always_refused_lets_the_next_ones_pass(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "too long", "critical")
    post = Post("post", lambda title: "413 too large" if title == "too long" else None)
    sending = sender(outbox, post)
    delivered_at = [second for second in range(60) if sending.deliver(START_MS + second * 1000)]
    assert post.taken == ["critical"]
    assert delivered_at == [10], "one refusal, a rest, and then the one that has been due for longer"
    assert post.asked.count("too long") == 3


def test_many_that_are_always_refused_do_not_starve_a_new_one(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", *(f"bad {number}" for number in range(60)))
    post = Post("post", lambda title: "no" if title.startswith("bad") else None)
    sending = sender(outbox, post)
    for second in range(0, 3600, 10):
        sending.deliver(START_MS + second * 1000)
    put("post", "critical", at_ms=START_MS + 3_600_000)
    for second in range(3600, 4300, 10):
        sending.deliver(START_MS + second * 1000)
    assert post.taken == ["critical"]


def test_what_follows_about_the_same_alert_waits_for_what_came_before(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "7-fired", "7-resolved", "8-fired")
    broken = [True]
    post = Post("post", lambda title: "no" if title == "7-fired" and broken else None)
    sending = sender(outbox, post)
    for second in range(25):
        sending.deliver(START_MS + second * 1000)
    assert post.taken == ["8-fired"]
    broken.clear()
    for second in range(25, 60):
        sending.deliver(START_MS + second * 1000)
    assert post.taken == ["8-fired", "7-fired", "7-resolved"]


def test_a_service_that_is_down_is_not_asked_for_every_notice(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", *(f"notice {number}" for number in range(100)))
    post = Post("post", lambda title: "502")
    sending = sender(outbox, post)
    for second in range(60):
        sending.deliver(START_MS + second * 1000)
    assert len(post.asked) == 6


def test_after_one_is_given_up_the_next_gets_its_turn(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "7-fired", "7-resolved")
    post = Post("post", lambda title: "no" if title == "7-fired" else None)
    sending = sender(outbox, post, give_up_seconds=60.0)
    for second in (0, 60, 70):
        sending.deliver(START_MS + second * 1000)
    assert post.taken == ["7-resolved"]


def test_retries_are_spread(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "one")
    Sender(outbox, [Post("post", lambda title: "no")], jitter=random.Random(1)).deliver(START_MS)
    wait_ms = outbox.recent()[0].next_ms - START_MS
    assert 8_000 <= wait_ms <= 12_000
    assert wait_ms != 10_000


def test_a_clock_set_back_does_not_make_a_notice_wait_for_hours(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "one")
    post = Post("post")
    assert sender(outbox, post).deliver(START_MS - 3 * 3_600_000) == 1


def test_a_channel_that_is_gone_from_the_settings_gives_up_its_notices(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    put("old", "one")
    put("post", "two")
    assert sender(outbox, Post("post")).deliver(START_MS) == 1
    assert {entry.channel: entry.state for entry in outbox.recent()} == {"old": "failed", "post": "sent"}


# --- independence ------------------------------------------------------------------------------------------------


def test_a_channel_that_hangs_holds_up_no_other_and_its_attempt_times_out(
    outbox: Outbox, put: Callable[..., None]
) -> None:
    release = threading.Event()

    def hang(title: str) -> None:
        release.wait(20)

    put("stuck", "one")
    put("post", "one", "two")
    stuck, post = Post("stuck", hang), Post("post")
    sending = sender(outbox, stuck, post, timeout_seconds=0.05)
    assert sending.deliver(START_MS) == 2
    assert post.taken == ["one", "two"]
    waiting = next(entry for entry in outbox.recent() if entry.channel == "stuck")
    assert (waiting.state, waiting.error) == ("waiting", "no answer within 0.05 s")
    release.set()


def test_while_a_channel_is_at_work_the_next_round_serves_the_others(outbox: Outbox, put: Callable[..., None]) -> None:
    release, entered = threading.Event(), threading.Event()

    def slow(title: str) -> None:
        entered.set()
        release.wait(20)

    put("slow", "one")
    slow_post, post = Post("slow", slow), Post("post")
    sending = sender(outbox, slow_post, post, patience_seconds=0.01)
    assert sending.deliver(START_MS) == 0
    assert entered.wait(20)
    put("post", "two")
    while not post.taken:
        sending.deliver(START_MS + 1)
    assert slow_post.asked == ["one"], "it is not asked again while it is at work"
    release.set()


def test_attempts_that_hang_do_not_pile_up(outbox: Outbox, put: Callable[..., None]) -> None:
    release = threading.Event()

    def hang(title: str) -> None:
        release.wait(20)

    put("stuck", "one")
    stuck = Post("stuck", hang)
    sending = sender(outbox, stuck, timeout_seconds=0.01)
    for round_ in range(6):
        sending.deliver(START_MS + round_ * 3_600_000)
    release.set()
    assert len(stuck.asked) == 3
    assert outbox.recent()[0].error == "3 earlier attempts still hang"


def test_whatever_a_channel_raises_is_a_failed_attempt(outbox: Outbox, put: Callable[..., None]) -> None:
    def crash(title: str) -> str | None:
        raise RuntimeError("https://example.com/secret-token")

    put("post", "one")
    sender(outbox, Post("post", crash)).deliver(START_MS)
    assert outbox.recent()[0].error == "the channel failed with RuntimeError"


def test_old_notices_expire_but_never_those_that_wait(outbox: Outbox, put: Callable[..., None]) -> None:
    put("post", "one")
    sender(outbox, Post("post")).deliver(START_MS)
    put("other", "two")
    assert outbox.expire(START_MS + 1) == 1
    assert [entry.channel for entry in outbox.recent()] == ["other"]


# --- secrets -----------------------------------------------------------------------------------------------------


def test_a_channels_name_says_what_it_is_and_holds_no_secret() -> None:
    url = "slack://TokenA/TokenB/TokenC/#general"
    name = AppriseChannel(url).name
    assert name.startswith("slack-")
    assert AppriseChannel(url).name == name
    assert AppriseChannel(url + "x").name != name
    assert "Token" not in name + repr(AppriseChannel(url))
    assert AppriseChannel("no url").name.startswith("unknown-")


def test_a_refusal_gives_a_reason_without_the_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(403) as receiver:
        channel = AppriseChannel(receiver.url("a-secret-hook") + "?+X-Api-Key=another-secret")
        with pytest.raises(DeliveryError, match="403") as caught:
            channel.send("title", "body", "info")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert "secret" not in caplog.text


def test_a_server_that_is_not_there_is_a_reason_too() -> None:
    with Receiver() as receiver:
        url = receiver.url()
    with pytest.raises(DeliveryError, match=r"Connection error .*\[address\]"):
        AppriseChannel(url).send("title", "body", "info")


@pytest.mark.parametrize("url", ["nonsense://x", "no url", "tgram://bad"])
def test_a_url_that_apprise_does_not_know_is_said_so(url: str) -> None:
    assert "Apprise" in str(AppriseChannel(url).check())
    with pytest.raises(DeliveryError):
        AppriseChannel(url).send("title", "body", "info")


def test_a_good_url_passes_the_check() -> None:
    assert AppriseChannel("json://127.0.0.1/x").check() is None


def test_apprise_is_not_loaded_before_a_channel_needs_it() -> None:
    code = (
        "import sys, alerts.engine, alerts.delivery.sender, alerts.delivery.channel; sys.exit('apprise' in sys.modules)"
    )
    command: Sequence[str] = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 0


# --- a database that cannot be used ------------------------------------------------------------------------------


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
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE alerts RENAME TO elsewhere")
    with pytest.raises(StorageError, match="no such table"):
        AlertBook(database).find(1)
