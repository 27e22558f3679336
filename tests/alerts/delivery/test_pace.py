"""How fast a channel may be asked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from alerts.delivery.pace import Limit, Pace, limits, rate
from alerts.delivery.spec import ChannelSpec


def of(url: str, per_minute: float = 0.0) -> tuple[Limit, ...]:
    return limits(ChannelSpec("x", "apprise", SecretStr(url), per_minute=per_minute))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wecombot://KEY", (Limit(20, 60),)),
        ("dingtalk://secret@token", (Limit(20, 60),)),
        ("feishu://token", (Limit(5, 1), Limit(100, 60))),
        ("tgram://bot/chat", (Limit(1, 1), Limit(20, 60))),
        ("https://hooks.slack.com/services/A/B/C", (Limit(1, 1),)),
        ("https://discord.com/api/webhooks/1/token", (Limit(5, 2), Limit(30, 60))),
        ("json://example.com", ()),
        ("https://[bad", ()),
    ],
)
def test_the_service_is_known_by_its_scheme_or_its_address(url: str, expected: tuple[Limit, ...]) -> None:
    assert of(url) == expected


def test_a_channels_own_rate_comes_before_what_is_known_and_may_be_less_than_one_a_minute() -> None:
    assert of("wecombot://KEY", per_minute=5) == (Limit(5, 60),)
    assert of("json://x", per_minute=0.5) == (Limit(1, 120),)
    assert rate(of("json://x", per_minute=2.5)) == 2.5
    assert rate(()) is None


def test_a_webhook_has_no_rate_of_its_own() -> None:
    assert limits(ChannelSpec("x", "webhook", SecretStr("https://hooks.slack.com/x"))) == ()


def test_the_next_may_go_when_the_oldest_leaves_the_window() -> None:
    pace, bounds = Pace([1_000, 2_000]), (Limit(3, 60),)
    assert pace.free_ms(bounds, 5_000) == 5_000
    pace.note(5_000)
    assert pace.free_ms(bounds, 6_000) == 61_000
    assert pace.room(bounds, 6_000) == 0
    assert pace.room((), 6_000) == math.inf


def test_a_limit_by_the_second_leaves_room_for_a_minute_of_it() -> None:
    pace = Pace([1_000, 2_000])
    assert pace.room((Limit(1, 1),), 2_000) == 60
    assert pace.room((Limit(1, 1), Limit(20, 60)), 2_000) == 18


def test_moments_from_before_the_clock_was_set_back_count_for_nothing() -> None:
    assert Pace([9_000_000]).free_ms((Limit(1, 60),), 5_000) == 5_000


@given(
    st.lists(st.integers(0, 5_000), max_size=60),
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([1.0, 2.0, 10.0, 60.0])), min_size=1, max_size=3, unique=True
    ),
)
def test_who_waits_for_it_never_exceeds_any_limit(gaps: list[int], pairs: list[tuple[int, float]]) -> None:
    bounds, pace, now_ms = [Limit(*pair) for pair in pairs], Pace(), 1_000_000
    sent: list[int] = []
    for gap in gaps:
        now_ms = max(now_ms + gap, pace.free_ms(bounds, now_ms + gap))
        pace.note(now_ms)
        sent.append(now_ms)
    for limit in bounds:
        for first, beyond in zip(sent, sent[limit.most :], strict=False):
            assert beyond - first >= limit.seconds * 1000
