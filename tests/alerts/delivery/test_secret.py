"""What a service says, and what was said to it, is read by people who must not have the keys or the links in it."""

from __future__ import annotations

import base64

import pytest

from alerts.delivery.outbox import Outbox
from alerts.delivery.receipt import Receipt
from alerts.delivery.secret import Secrets
from tests.alerts.delivery.box import Post
from tests.alerts.delivery.story import NOW_MS

TOKEN = "3-lL2uS6Kulugpvq_fYrNoLG.GWGYndLMoz6ZQTQYoqC3psovlSWG3ajjGlh7zjBcCVA"
LINK = f"https://watch.example.com/ack/{TOKEN}"


@pytest.mark.parametrize("spoken", ["robot:Pa55word!", "\0robot\0Pa55word!", "Pa55word!"])
def test_a_service_that_repeats_how_it_was_logged_in_to_gives_no_password_away(spoken: str) -> None:
    encoded = base64.b64encode(spoken.encode()).decode()
    said = Secrets("json://robot:Pa55word%21@example.com/hook").scrub(f"you sent Authorization: Basic {encoded}")
    assert encoded.rstrip("=") not in said
    assert said.startswith("you sent Authorization: Basic ***")


@pytest.mark.parametrize("link", [LINK, LINK.replace("/", "\\/")])
def test_a_service_that_repeats_a_notice_gives_no_link_away(link: str) -> None:
    said = Secrets("json://example.com/hook").scrub(f'{{"text": "Acknowledge: {link}\\nmore"}}')
    assert TOKEN not in said
    assert "\\nmore" in said


def test_what_a_service_says_cannot_play_tricks_where_it_is_read() -> None:
    said = Secrets("json://example.com/hook").scrub("no\x00\x1b[31m red \u202edesrever")
    assert said == "no\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m red \N{REPLACEMENT CHARACTER}desrever"


def test_a_link_in_a_notice_is_kept_nowhere_once_it_is_sent(outbox: Outbox, post: Post) -> None:
    post.put("box", "one")
    (entry,) = outbox.recent()
    outbox.mark_sent(entry, Receipt("one", f"It is down.\nAcknowledge: {LINK}\nMore follows.", "ok"), NOW_MS)
    (sent,) = outbox.recent()
    assert sent.body == "It is down.\nAcknowledge: https://watch.example.com/ack/***\nMore follows."
