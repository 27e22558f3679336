"""Notices and dead letters over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.delivery.receipt import Receipt
from tests.alerts.delivery.box import Post, fact, message
from tests.alerts.world import START_MS
from tests.dashboard.house import House, MakeHouse

WEBHOOK = "json://127.0.0.1:9/secret-path"


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(alerts={"stock_rules": False, "channels": [WEBHOOK]})


@pytest.fixture
def channel(house: House) -> str:
    return house.services.channels.registry.names()[0]


@pytest.fixture
def post(house: House) -> Post:
    return Post(house.services.database, house.services.outbox)


def listed(house: House, query: str = "") -> dict[str, Any]:
    answer = house.visitor().get(f"/api/notices{query}", headers=house.token("viewer"))
    assert answer.status_code == 200, answer.text
    return answer.get_json()  # type: ignore[no-any-return]


def give_up(house: House, error: str = "403 no such key") -> int:
    entry = house.services.outbox.recent()[0]
    house.services.outbox.mark_failed(entry, error)
    return entry.id


def test_it_shows_what_waits_and_what_was_sent_and_how_the_channel_stands(
    house: House, post: Post, channel: str
) -> None:
    post.message(channel, "1", message(fact(1, rule="Bad", level=3)))
    house.services.outbox.mark_sent(house.services.outbox.recent()[0], Receipt("[DOWN] Bad", "Since 10:00"), START_MS)
    post.message(channel, "2", message(fact(2, rule="Worse"), time_ms=START_MS + 1000))
    found = listed(house)
    assert [(one["title"], one["body"], one["state"], one["kind"]) for one in found["notices"]] == [
        ("Worse it is", "", "waiting", "warning"),
        ("[DOWN] Bad", "Since 10:00", "sent", "failure"),
    ]
    (lane,) = found["channels"]
    assert (lane["name"], lane["is_configured"], lane["waiting"], lane["rate"]) == (channel, True, 1, None)
    assert "secret-path" not in str(found)


def test_it_can_be_asked_for_a_state_and_a_channel(house: House, post: Post, channel: str) -> None:
    post.put(channel, "one")
    give_up(house)
    post.put("gone", "two")
    assert [one["channel"] for one in listed(house, "?state=waiting")["notices"]] == ["gone"]
    assert [one["title"] for one in listed(house, f"?channel={channel}")["notices"]] == ["one"]
    assert {lane["name"]: lane["is_configured"] for lane in listed(house)["channels"]} == {channel: True, "gone": False}
    answer = house.visitor().get("/api/notices?state=lost", headers=house.token("viewer"))
    assert answer.status_code == 422


def test_an_operator_sends_a_dead_letter_again(house: House, post: Post, channel: str) -> None:
    post.put(channel, "one")
    dead = give_up(house)
    (lane,) = listed(house)["channels"]
    assert (lane["failed"], lane["last_error"]) == (1, "403 no such key")
    answer = house.visitor().post(f"/api/notices/{dead}/retry", headers=house.token("operator"))
    assert (answer.status_code, answer.get_json()["notice"]["state"]) == (200, "waiting")
    (entry,) = [one for one in house.services.audit.between(0, 1 << 60) if one.action == "notice.retry"]
    assert (entry.actor, entry.target) == ("token:program-operator", f"notice:{dead}")


def test_an_operator_discards_a_dead_letter(house: House, post: Post, channel: str) -> None:
    post.put(channel, "one")
    dead = give_up(house)
    answer = house.visitor().delete(f"/api/notices/{dead}", headers=house.token("operator"))
    assert answer.json == {"discarded": dead}
    assert listed(house)["notices"] == []
    assert [one.action for one in house.services.audit.between(0, 1 << 60)] == ["notice.discard"]


@pytest.mark.parametrize("method", ["post", "delete"])
def test_what_was_sent_cannot_be_sent_again_or_discarded(house: House, post: Post, channel: str, method: str) -> None:
    post.put(channel, "one")
    entry = house.services.outbox.recent()[0]
    house.services.outbox.mark_sent(entry, Receipt("t", "b"), START_MS)
    address = f"/api/notices/{entry.id}{'/retry' if method == 'post' else ''}"
    answer = house.visitor().open(address, method=method, headers=house.token("operator"))
    assert answer.status_code == 409
    assert house.services.audit.between(0, 1 << 60) == []


@pytest.mark.parametrize("notice_id", [1, 1 << 70])
def test_a_notice_that_is_not_there_is_not_found(house: House, notice_id: int) -> None:
    answer = house.visitor().delete(f"/api/notices/{notice_id}", headers=house.token("operator"))
    assert answer.status_code == 404
