"""A person with a phone and no login acknowledges what a notice told of."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from storage.error import StorageError
from tests.dashboard.house import House, MakeHouse
from tests.dashboard.test_access import ELSEWHERE
from tests.dashboard.test_alertmanager import alert, at, post

HOUR_MS = 3_600_000


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house that people reach from elsewhere, in which two alerts fire."""
    found = make_house(server={"host": "0.0.0.0", "public_url": "https://gpu.example"})
    post(found, alert("Down", service="db"), alert("Slow", service="<web>"))
    return found


@pytest.fixture
def path(house: House) -> str:
    """The path of a link that acknowledges both."""
    return link(house)


def link(house: House, age_ms: int = 0) -> str:
    engine = house.services.alerts
    now_ms = max(one.seen_ms for one in engine.current())
    url = house.services.quieting.links.make([one.id for one in engine.current()], now_ms - age_ms)
    assert url is not None
    assert url.startswith("https://gpu.example/ack/")
    return url.removeprefix("https://gpu.example")


def get(house: House, path: str, **headers: str) -> TestResponse:
    return house.visitor().get(path, headers=headers, environ_overrides=ELSEWHERE)


def acknowledge(house: House, path: str, **form: str) -> TestResponse:
    wanted = {"name": "Ada", "reason": "I am looking into it"} | form
    # What a browser sends with a form of a page that is to tell nobody of its address.
    headers = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    return house.visitor().post(path, data=wanted, headers=headers, environ_overrides=ELSEWHERE)


def states(house: House) -> dict[str, tuple[str, str | None, str | None]]:
    return {one.rule: (one.state, one.ack_by, one.ack_reason) for one in house.services.alerts.current()}


def heading(answer: TestResponse) -> str:
    found = re.search(r'<h1 id="heading">([^<]+)</h1>', answer.text)
    assert found, answer.text
    return found[1]


def test_the_page_shows_what_would_be_acknowledged_and_changes_nothing(house: House, path: str) -> None:
    for _ in range(3):  # a chat app looks, and looks again
        answer = get(house, path)
        assert answer.status_code == 200
        assert heading(answer) == "Acknowledge 2 alerts?"
        assert "Down!" in answer.text
        assert "Slow!" in answer.text
    assert get(house, path).text.count('type="radio"') == 4
    assert {state for state, _, _ in states(house).values()} == {"firing"}


def test_it_acknowledges_with_a_name_and_a_reason_once(house: House, path: str) -> None:
    answer = acknowledge(house, path, name="  Ada   Lovelace ", note="disk 3")
    assert (answer.status_code, heading(answer)) == (200, "Acknowledged")
    assert set(states(house).values()) == {("acknowledged", "Ada Lovelace", "I am looking into it: disk 3")}
    again = acknowledge(house, path, name="Eve")
    assert (again.status_code, heading(again)) == (410, "This link has been used")
    assert "Ada Lovelace acknowledged with it" in again.text
    assert {by for _, by, _ in states(house).values()} == {"Ada Lovelace"}
    entries = [(one.actor, one.action) for one in house.services.audit.between(0, 1 << 50)]
    assert entries == [("link:Ada Lovelace", "alert.ack")] * 2


def test_nobody_is_told_of_the_address(house: House, path: str) -> None:
    for answer in (get(house, path), acknowledge(house, path), get(house, "/ack/nothing")):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert get(house, "/login").headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("form", [{"name": " "}, {"name": "x" * 65}, {"reason": ""}, {"note": "x" * 600}])
def test_it_asks_again_for_what_is_missing_and_keeps_the_rest(house: House, path: str, form: dict[str, str]) -> None:
    answer = acknowledge(house, path, **form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    if "name" not in form:
        assert 'value="Ada"' in answer.text
    assert acknowledge(house, path).status_code == 200


def test_what_a_person_wrote_is_text_and_no_markup(house: House, path: str) -> None:
    answer = acknowledge(house, path, name="<b>x</b>", note="<script>")
    assert "<b>x</b>" not in answer.text
    assert "<script>" not in answer.text.replace("<script src=", "")


def test_it_tells_no_more_than_the_notice_did(house: House) -> None:
    inside = {"annotations": {"summary": "Disk of 10.1.2.3 is full: /srv/secret/models"}}
    post(house, alert("Full") | inside)
    page = get(house, link(house)).text
    assert "Disk of [address] is full: [path]" in page
    assert "10.1.2.3" not in page


def test_it_speaks_the_browsers_language(house: House, path: str) -> None:
    answer = get(house, path, **{"Accept-Language": "zh-CN,zh;q=0.9"})
    assert 'lang="zh-CN"' in answer.text
    assert heading(answer) == "确认这 2 个告警？"
    assert "我正在处理" in answer.text


def test_what_is_over_is_left_alone(house: House, path: str) -> None:
    post(house, alert("Slow", service="<web>") | {"startsAt": at(-5), "endsAt": at(-1)})
    page = get(house, path)
    assert heading(page) == "Acknowledge this alert?"
    assert "It is over." in page.text
    assert heading(acknowledge(house, path)) == "Acknowledged"
    assert states(house) == {"Down": ("acknowledged", "Ada", "I am looking into it")}


def test_what_somebody_has_acknowledged_stays_theirs(house: House, path: str) -> None:
    [down] = [one for one in house.services.alerts.current() if one.rule == "Down"]
    house.services.alerts.acknowledge(down.id, "bob", "mine", down.seen_ms)
    assert "Acknowledged by bob" in get(house, path).text
    acknowledge(house, path)
    assert {rule: by for rule, (_, by, _) in states(house).items()} == {"Down": "bob", "Slow": "Ada"}


def test_where_nothing_fires_any_more_there_is_nothing_to_do(house: House, path: str) -> None:
    post(
        house,
        *(
            one | {"startsAt": at(-5), "endsAt": at(-1)}
            for one in (alert("Down", service="db"), alert("Slow", service="<web>"))
        ),
    )
    for answer in (get(house, path), acknowledge(house, path)):
        assert (answer.status_code, heading(answer)) == (200, "Nothing left to acknowledge")
        assert "<form" not in answer.text


def test_an_expired_link_says_so_and_shows_nothing(house: House) -> None:
    path = link(house, age_ms=13 * HOUR_MS)
    for answer in (get(house, path), acknowledge(house, path)):
        assert (answer.status_code, heading(answer)) == (410, "This link has expired")
        assert "Down!" not in answer.text
    assert {state for state, _, _ in states(house).values()} == {"firing"}


def test_a_link_that_nobody_made_is_not_known(house: House, path: str) -> None:
    for guess in ("/ack/nothing", path[:-1], path + "x", "/ack/" + "x" * 5000):
        for answer in (get(house, guess), acknowledge(house, guess)):
            assert (answer.status_code, heading(answer)) == (404, "This link is not known")
            assert "Down!" not in answer.text


def test_guessing_is_slow_and_keeps_nobody_else_out(house: House, path: str) -> None:
    answers = [get(house, f"/ack/{number}").status_code for number in range(40)]
    assert answers[:30] == [404] * 30
    assert answers[30:] == [429] * 10
    assert get(house, path).status_code == 200  # a true link is no guess
    other = house.visitor().post(
        path, data={"name": "Ada", "reason": "x"}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
    )
    assert other.status_code == 200


def test_of_two_at_once_one_acknowledges(house: House, path: str) -> None:
    gate, found = threading.Barrier(2), []

    def hurry(name: str) -> None:
        gate.wait()
        answer = acknowledge(house, path, name=name)
        found.append((heading(answer), name))

    threads = [threading.Thread(target=hurry, args=(name,)) for name in ("Ada", "Bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = {name for said, name in found if said == "Acknowledged"}
    assert len(winners) == 1
    assert {by for _, by, _ in states(house).values()} == winners


def test_a_link_that_did_no_good_is_not_used_up(house: House, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise StorageError("the disk is full", permanent=False)

    with monkeypatch.context() as patch:
        patch.setattr(house.services.alerts, "acknowledge", fail)
        assert acknowledge(house, path).status_code == 503
    assert heading(acknowledge(house, path)) == "Acknowledged"


def test_a_person_who_is_logged_in_need_not_give_a_name(house: House, path: str) -> None:
    page = house.person("viewer").get(path).text
    assert 'name="name" value="person-viewer"' in page


def test_the_page_needs_no_script(house: House, path: str) -> None:
    page = get(house, path).text
    assert re.findall(r"<script[^>]*>", page) == re.findall(r'<script src="/[^"]*theme\.js">', page)
    assert f'<form method="post" action="{path}">' in page


def test_there_is_no_link_where_nobody_could_follow_it(make_house: Callable[..., House]) -> None:
    assert make_house().services.quieting.links.make([1], 0) is None
