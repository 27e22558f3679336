"""Coming in by password or link, going out, and guessing."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from storage.error import StorageError
from tests.dashboard.house import PASSWORD, House, csrf_token, log_in


@pytest.fixture
def ada(house: House) -> House:
    """A house with one user, ``ada``."""
    house.services.accounts.create_user("ada", PASSWORD, "viewer")
    return house


def audit(house: House) -> list[tuple[str, str]]:
    """Who did what, in order."""
    return [(entry.actor, entry.action) for entry in house.services.audit.between(0, 1 << 50)]


def test_a_person_logs_in_and_comes_to_the_page_they_wanted(ada: House) -> None:
    client = ada.visitor()
    answer = log_in(client, "ada", PASSWORD, next="/alerts?state=firing")
    assert answer.status_code == 303
    assert answer.location == "/alerts?state=firing"
    assert client.get("/api/model").status_code == 200
    assert audit(ada) == [("ada", "login")]


def test_the_form_keeps_the_page_that_was_wanted_but_no_other_site(ada: House) -> None:
    client = ada.visitor()
    assert 'name="next" value="/alerts"' in client.get("/login?next=/alerts").text
    assert 'name="next" value="/"' in client.get("/login?next=https://evil.example").text
    assert log_in(client, "ada", PASSWORD, next="//evil.example").location == "/"


def test_the_form_works_without_scripts(ada: House) -> None:
    page = ada.visitor().get("/login").text
    assert '<form method="post" action="/login"' in page
    assert 'type="password"' in page


def test_who_is_logged_in_needs_no_form(ada: House) -> None:
    client = ada.person("viewer")
    assert client.get("/login?next=/alerts").location == "/alerts"


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "x" * 100_000)]
)
def test_a_wrong_name_and_a_wrong_password_look_alike(ada: House, name: str, password: str) -> None:
    client = ada.visitor()
    answer = log_in(client, name, password)
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert client.get("/api/model").status_code == 401


def test_a_failed_login_is_audited_without_what_may_be_a_password(ada: House) -> None:
    client = ada.visitor()
    log_in(client, "ada", "wrong")
    log_in(client, "my secret password", "")
    assert audit(ada) == [("ada", "login.failed"), ("unknown", "login.failed")]


def test_a_form_of_another_site_cannot_log_anybody_in(ada: House) -> None:
    client = ada.visitor()
    answer = client.post("/login", data={"name": "ada", "password": PASSWORD})
    assert answer.status_code == 403
    assert answer.mimetype == "text/html"
    token = csrf_token(client.get("/login").text)
    form = {"csrf_token": token, "name": "ada", "password": PASSWORD}
    assert client.post("/login", data=form, headers={"Origin": "https://evil.example"}).status_code == 403


def test_what_is_typed_into_the_form_is_shown_as_text(ada: House) -> None:
    answer = log_in(ada.visitor(), '"><script>alert(1)</script>', "wrong")
    assert "<script>alert" not in answer.text


def test_guessing_one_account_is_stopped_from_everywhere(ada: House) -> None:
    statuses = []
    for guess in range(7):
        client = ada.visitor()
        client.environ_base["REMOTE_ADDR"] = f"203.0.113.{guess}"
        answer = log_in(client, "ADA " if guess % 2 else "ada", f"guess {guess}")
        statuses.append(answer.status_code)
    assert statuses == [401] * 5 + [429] * 2
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Try again in" in answer.text
    late = log_in(ada.visitor(), "ada", PASSWORD)
    assert late.status_code == 429, "the right password must not tell a guesser that it is right"


def test_guessing_from_one_address_is_stopped_whatever_the_account(ada: House) -> None:
    client = ada.visitor()
    token = csrf_token(client.get("/login").text)
    statuses = [
        client.post("/login", data={"csrf_token": token, "name": f"user{n}", "password": "x"}).status_code
        for n in range(32)
    ]
    assert statuses == [401] * 30 + [429] * 2
    other = ada.visitor()
    other.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    assert log_in(other, "ada", PASSWORD).status_code == 303


def test_neighbours_in_one_ipv6_network_count_as_one(ada: House) -> None:
    client = ada.visitor()
    token = csrf_token(client.get("/login").text)
    for guess in range(31):
        peer = {"REMOTE_ADDR": f"2001:db8:1:2::{guess:x}"}
        form = {"csrf_token": token, "name": f"user{guess}", "password": "x"}
        answer = client.post("/login", data=form, environ_overrides=peer)
    assert answer.status_code == 429


def test_a_login_that_succeeds_forgives_the_failures_before_it(ada: House) -> None:
    client = ada.visitor()
    for _ in range(3):
        for _ in range(4):
            assert log_in(client, "ada", "wrong").status_code == 401
        assert log_in(ada.visitor(), "ada", PASSWORD).status_code == 303


def test_a_full_disk_keeps_nobody_out_and_the_log_has_what_the_audit_lacks(
    ada: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("the database cannot grow: the disk is full", permanent=False)

    monkeypatch.setattr(ada.services.audit, "add", full)
    client = ada.visitor()
    assert log_in(client, "ada", "wrong").status_code == 401
    with capture_logs() as lines:
        assert log_in(client, "ada", PASSWORD).status_code == 303
    assert ("audit_not_written", "ada", "login") in [
        (line["event"], line.get("actor"), line.get("action")) for line in lines
    ]
    assert client.get("/api/model").status_code == 200
    token = csrf_token(client.get("/login/link/x").text)
    assert client.post("/logout", data={"csrf_token": token}).location == "/login"
    assert client.get("/api/model").status_code == 401


# --- one-time links ---------------------------------------------------------------------------------------------


def test_a_link_logs_in_once(ada: House) -> None:
    link = f"/login/link/{ada.services.accounts.create_link('ada', time.time_ns() // 1_000_000)}"
    client, late = ada.visitor(), ada.visitor()
    answer = client.post(link, data={"csrf_token": csrf_token(client.get(link).text)})
    assert answer.status_code == 303
    assert answer.location == "/"
    assert client.get("/api/model").status_code == 200
    second = late.post(link, data={"csrf_token": csrf_token(late.get(link).text)})
    assert second.status_code == 410
    assert "python app.py user link admin" in second.text
    assert audit(ada) == [("ada", "login.link"), ("anonymous", "login.link_failed")]


def test_looking_at_a_link_neither_uses_it_nor_tells_whether_it_is_good(ada: House) -> None:
    accounts = ada.services.accounts
    link = f"/login/link/{accounts.create_link('ada', time.time_ns() // 1_000_000)}"
    for _ in range(3):
        preview = ada.visitor().get(link)
        assert preview.status_code == 200
        assert "ada" not in preview.text.replace(link, "")
    assert ada.visitor().head(link).status_code == 200
    assert ada.visitor().get("/login/link/nonsense").status_code == 200
    client = ada.visitor()
    assert client.post(link, data={"csrf_token": csrf_token(client.get(link).text)}).status_code == 303


def test_a_link_that_has_expired_says_so(ada: House) -> None:
    old_ms = time.time_ns() // 1_000_000 - 48 * 3600 * 1000
    link = f"/login/link/{ada.services.accounts.create_link('ada', old_ms)}"
    client = ada.visitor()
    answer = client.post(link, data={"csrf_token": csrf_token(client.get(link).text)})
    assert answer.status_code == 410
    assert "used or has expired" in answer.text


def test_links_cannot_be_guessed_fast(ada: House) -> None:
    client = ada.visitor()
    token = csrf_token(client.get("/login").text)
    for number in range(31):
        answer = client.post(f"/login/link/{number}", data={"csrf_token": token})
    assert answer.status_code == 429


# --- going out --------------------------------------------------------------------------------------------------


def test_logging_out_ends_the_session(ada: House) -> None:
    client = ada.visitor()
    log_in(client, "ada", PASSWORD)
    token = csrf_token(client.get("/login/link/x").text)
    assert client.post("/logout").status_code == 403, "another site could log people out"
    answer = client.post("/logout", data={"csrf_token": token})
    assert answer.status_code == 302
    assert answer.location == "/login"
    assert client.get("/api/model").status_code == 401
    assert audit(ada)[-1] == ("ada", "logout")


def test_a_link_opens_the_door_while_passwords_are_being_guessed_from_the_same_address(ada: House) -> None:
    guesser = ada.visitor()
    answers = [log_in(guesser, f"nobody{number}", "wrong password").status_code for number in range(40)]
    assert 429 in answers
    link = ada.services.accounts.create_link("ada", int(time.time() * 1000))
    owner = ada.visitor()
    page = owner.get(f"/login/link/{link}").text
    assert owner.post(f"/login/link/{link}", data={"csrf_token": csrf_token(page)}).status_code == 303


def test_an_unknown_token_at_an_unknown_address_is_no_error_of_the_server(house: House) -> None:
    answer = house.visitor().get("/nowhere", headers={"Authorization": "Bearer wl_unknown"})
    assert answer.status_code == 404
    assert "Request" in answer.text
