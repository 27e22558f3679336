"""Words reach every channel, in order, however often it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alerts.delivery.secret import channel_name as alerts_name
from supervisor.herald import ERRAND_SECONDS, GIVE_UP_SECONDS, Herald, channel_name
from tests.supervisor.clockwork import FakePost

URLS = ["json://one.example.com/a-secret", "json://two.example.com/b-secret"]


@pytest.fixture
def post() -> FakePost:
    return FakePost()


@pytest.fixture
def herald(tmp_path: Path, post: FakePost) -> Herald:
    return Herald(tmp_path, URLS, post, jitter=lambda: 0.5)


def test_a_word_goes_to_every_channel_at_once_and_is_done_when_taken(herald: Herald, post: FakePost) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    assert [errand.order["url"] for errand in post.sent] == URLS
    assert {errand.order["kind"] for errand in post.sent} == {"failure"}
    for errand in post.sent:
        errand.answer = ""
    herald.look(1.0, 1000)
    assert herald.waiting == 0
    herald.look(2.0, 2000)
    assert len(post.sent) == 2


def test_a_channel_that_fails_is_tried_again_with_growing_pauses_and_holds_up_no_other(
    herald: Herald, post: FakePost
) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    post.sent[1].answer = ""
    starts = []
    for second in range(400):
        before = len(post.sent)
        herald.look(float(second), second * 1000)
        if len(post.sent) > before:
            starts.append(second)
        post.sent[-1].answer = post.sent[-1].answer or "the service answers 500"
        post.sent[0].answer = "the service answers 500"
    assert starts[:4] == [11, 32, 73, 154]
    assert {errand.order["url"] for errand in post.sent[2:]} == {URLS[0]}


def test_an_errand_that_hangs_is_ended_and_tried_again(herald: Herald, post: FakePost) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    herald.look(ERRAND_SECONDS + 1, 0)
    assert herald.waiting == 2


def test_good_news_replaces_bad_news_that_nobody_has_got_yet(herald: Herald, post: FakePost) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    post.sent[0].answer = "no network"  # the other one is still under way
    herald.look(1.0, 1000)
    herald.tell("up", "it was down", good=True, now_ms=5000)
    post.sent[1].answer = ""
    for second in range(2, 60):
        herald.look(float(second), second * 1000)
        for errand in post.sent[2:]:
            errand.answer = ""
    assert [(errand.order["url"], errand.order["title"]) for errand in post.sent[2:]] == [
        (URLS[1], "up"),
        (URLS[0], "up"),
    ]
    assert herald.waiting == 0


def test_what_was_not_delivered_survives_the_supervisor_and_holds_no_secret(tmp_path: Path, herald: Herald) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    text = (tmp_path / "letters.json").read_text()
    assert "secret" not in text
    assert (tmp_path / "letters.json").stat().st_mode & 0o777 == 0o600
    post = FakePost()
    later = Herald(tmp_path, URLS[:1], post)
    later.resume()
    later.look(0.0, 1000)
    assert [errand.order["title"] for errand in post.sent] == ["down"]
    post.sent[0].answer = ""
    later.look(1.0, 2000)
    assert not (tmp_path / "letters.json").exists()


def test_a_record_that_makes_no_sense_is_forgotten(tmp_path: Path, post: FakePost) -> None:
    (tmp_path / "letters.json").write_text(json.dumps({"letters": [{"colour": "red"}]}))
    herald = Herald(tmp_path, URLS, post)
    herald.resume()
    assert herald.waiting == 0


def test_without_memory_for_a_child_the_word_waits(herald: Herald, post: FakePost) -> None:
    post.broken = True
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    post.broken = False
    herald.look(60.0, 60_000)
    assert len(post.sent) == 2


def test_after_a_day_it_is_given_up(herald: Herald, post: FakePost) -> None:
    herald.tell("down", "why", good=False, now_ms=0)
    herald.look(0.0, 0)
    for errand in post.sent:
        errand.answer = "no network"
    herald.look(1.0, int(GIVE_UP_SECONDS * 1000))
    assert herald.waiting == 0


def test_the_supervisor_calls_a_channel_as_the_alerts_do() -> None:
    for url in (*URLS, "mailto:nobody"):
        assert channel_name(url) == alerts_name(url)
