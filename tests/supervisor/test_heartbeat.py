"""A service elsewhere hears that the server lives, and notices when it hears nothing."""

from __future__ import annotations

import pytest

from supervisor.heartbeat import Heartbeat, fail_url
from tests.supervisor.clockwork import FakePost

URL = "https://hc-ping.com/0000-1111"


def calls(heartbeat: Heartbeat, post: FakePost, states: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Drive it; each call is answered at once. Returns when it called which path."""
    found = []
    for moment, state in states:
        before = len(post.sent)
        heartbeat.look(moment, state, "segfault")  # type: ignore[arg-type]
        if len(post.sent) > before:
            found.append((moment, post.sent[-1].order["url"].removeprefix(URL)))
            post.sent[-1].answer = ""
            heartbeat.look(moment, state)  # type: ignore[arg-type]
    return found


def test_it_calls_the_url_in_its_rhythm_while_the_server_lives() -> None:
    post = FakePost()
    heartbeat = Heartbeat(URL, 60, post, jitter=lambda: 0.5)
    found = calls(heartbeat, post, [(float(second), "live") for second in range(0, 200, 5)])
    assert found == [(0, ""), (60, ""), (120, ""), (180, "")]
    assert {errand.order["body"] for errand in post.sent} == {""}


def test_a_change_is_told_at_once_and_a_short_restart_to_nobody() -> None:
    post = FakePost()
    heartbeat = Heartbeat(URL, 60, post, jitter=lambda: 0.5)
    states = [
        (0.0, "live"),
        (5.0, "unsure"),
        (10.0, "live"),
        (15.0, "unsure"),
        (75.0, "down"),
        (80.0, "down"),
        (90.0, "live"),
    ]
    assert calls(heartbeat, post, states) == [(0.0, ""), (75.0, "/fail"), (90.0, "")]
    assert post.sent[1].order["body"] == "segfault"


def test_calls_of_many_servers_are_spread() -> None:
    post = FakePost()
    jitter = iter([0.0, 1.0, 0.5])
    heartbeat = Heartbeat(URL, 60, post, jitter=lambda: next(jitter))
    found = calls(heartbeat, post, [(float(second), "live") for second in range(125)])
    assert [moment for moment, _ in found] == [0, 54, 120]


def test_a_service_that_does_not_answer_holds_nothing_up_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    post = FakePost()
    heartbeat = Heartbeat(URL, 60, post, jitter=lambda: 0.5)
    for second in range(200):
        heartbeat.look(float(second), "live")
        post.sent[-1].answer = "the service answers 503"
    assert 5 <= len(post.sent) <= 15
    assert len([record for record in caplog.records if "not heard" in record.message]) == 1
    assert URL not in caplog.text


@pytest.mark.parametrize(
    ("url", "failed"),
    [
        (URL, URL + "/fail"),
        (URL + "/", URL + "/fail"),
        ("https://example.com/ping/key/slug?create=1", "https://example.com/ping/key/slug/fail?create=1"),
    ],
)
def test_a_failure_has_a_path_of_its_own(url: str, failed: str) -> None:
    assert fail_url(url) == failed
