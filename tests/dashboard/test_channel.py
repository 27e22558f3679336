"""Admins add, try and remove channels; nobody reads where one leads, in answers, in the audit or in errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alerts.delivery.receivers.http import Reply, Service
from tests.dashboard.house import House, MakeHouse

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

URL = "json://hooks.example.com/very-secret-hook"


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(alerts={"stock_rules": False, "channels": ["slack://TokenA/TokenB/TokenC"]})


def call(house: House, method: str, path: str, body: Any = None, role: str = "admin") -> Any:
    return house.visitor().open(f"/api/channels{path}", method=method, json=body, headers=house.token(role))


def test_a_channel_is_added_changed_and_removed_and_its_url_never_shown(house: House) -> None:
    added = call(house, "POST", "", {"name": "ward", "url": URL, "language": "zh", "least_level": 3})
    assert added.status_code == 201, added.text
    changed = call(house, "PUT", "/ward", {"picture": False})
    assert changed.status_code == 200, changed.text
    listed = call(house, "GET", "", role="viewer")
    first, second = listed.json["channels"]
    assert (first["scheme"], first["origin"]) == ("slack", "settings")
    assert second == {
        "name": "ward",
        "kind": "apprise",
        "scheme": "json",
        "origin": "page",
        "language": "zh",
        "least_level": 3,
        "per_minute": 0.0,
        "picture": False,
        "send_resolved": True,
        "max_alerts": 0,
        "created_by": "token:program-admin",
        "created_ms": second["created_ms"],
        "problem": None,
    }
    assert house.services.channels.stored("ward").spec.url.get_secret_value() == URL
    assert call(house, "DELETE", "/ward").json == {"removed": "ward"}
    audit = house.services.audit.between(0, 2**53)
    assert [entry.action for entry in audit] == ["channel.add", "channel.change", "channel.remove"]
    for text in (added.text, changed.text, listed.text, str(audit)):
        assert "very-secret" not in text
        assert "TokenB" not in text


def test_what_a_change_leaves_out_stays(house: House) -> None:
    hook = {"name": "hook", "kind": "webhook", "url": "https://x.example.com/a", "headers": {"X-Key": "very-secret"}}
    assert call(house, "POST", "", hook).status_code == 201

    def secret() -> tuple[str, dict[str, str]]:
        spec = house.services.channels.stored("hook").spec
        return spec.url.get_secret_value(), {name: value.get_secret_value() for name, value in spec.headers}

    assert call(house, "PUT", "/hook", {"max_alerts": 5}).json["channel"]["kind"] == "webhook"
    assert secret() == ("https://x.example.com/a", {"X-Key": "very-secret"})
    call(house, "PUT", "/hook", {"url": "https://x.example.com/b"})
    assert secret() == ("https://x.example.com/b", {"X-Key": "very-secret"})
    call(house, "PUT", "/hook", {"headers": {"X-Key": "other-secret"}})
    assert secret() == ("https://x.example.com/b", {"X-Key": "other-secret"})
    assert call(house, "PUT", "/hook", {"kind": "apprise"}).status_code == 422
    assert call(house, "GET", "").json["channels"][-1]["max_alerts"] == 5


def test_a_test_shows_the_services_own_answer_saved_or_not(house: House) -> None:
    with Service(Reply(200, "thank you"), Reply(401, "key very-secret-hook is unknown")) as service:
        url = f"json://{service.address}/very-secret-hook"
        unsaved = call(house, "POST", "/test", {"url": url})
        call(house, "POST", "", {"name": "ward", "url": url})
        saved = call(house, "POST", "/ward/test")
    assert (unsaved.json["ok"], unsaved.json["answer"]) == (True, "HTTP 200: thank you")
    assert (saved.json["ok"], saved.json["answer"]) == (False, "HTTP 401: key *** is unknown")
    assert saved.json["seconds"] >= 0
    details = [entry.detail for entry in house.services.audit.between(0, 2**53) if entry.action == "channel.test"]
    assert [detail["ok"] for detail in details] == [True, False]
    assert "very-secret" not in str(details)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"name": "ward"}, 422),
        ("POST", "", {"name": "ward", "url": "nosuch://very-secret"}, 422),
        ("POST", "", {"name": "a/b", "url": URL}, 422),
        ("POST", "", {"name": "ward", "url": URL, "least_level": 4}, 422),
        ("POST", "", {"name": "ward", "url": "very-secret", "kind": "webhook"}, 422),
        ("POST", "", {"name": "ward", "url": URL, "unknown": 1}, 422),
        ("POST", "/test", {"url": "nosuch://very-secret"}, 422),
        ("POST", "/nobody/test", None, 404),
        ("PUT", "/nobody", {"picture": True}, 404),
        ("DELETE", "/nobody", None, 404),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_repeated(
    house: House, method: str, path: str, body: Any, status: int
) -> None:
    answer = call(house, method, path, body)
    assert answer.status_code == status, answer.text
    assert "very-secret" not in answer.text
    assert len(call(house, "GET", "").json["channels"]) == 1


def test_a_name_is_given_once_and_the_settings_channels_are_not_changed_here(house: House) -> None:
    (fixed,) = call(house, "GET", "").json["channels"]
    assert call(house, "POST", "", {"name": "ward", "url": URL}).status_code == 201
    assert call(house, "POST", "", {"name": "ward", "url": URL}).status_code == 409
    assert call(house, "POST", "", {"name": fixed["name"], "url": URL}).status_code == 409
    assert call(house, "PUT", f"/{fixed['name']}", {"picture": False}).status_code == 404
    assert call(house, "DELETE", f"/{fixed['name']}").status_code == 404


@pytest.mark.parametrize("url", ["json://[::1/very-secret-hook", "feishu://[x/very-secret-hook?secret=y"])
def test_a_url_that_cannot_be_taken_apart_is_the_callers_mistake(house: House, url: str) -> None:
    for path, body in (("", {"name": "odd", "url": url}), ("/test", {"url": url})):
        answer = call(house, "POST", path, body)
        assert answer.status_code == 422
        assert "very-secret" not in answer.text
