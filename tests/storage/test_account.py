from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from structlog.testing import capture_logs

from storage import password as password_module
from storage.account import AccountError, Accounts, TokenIdentity, UserIdentity
from storage.password import needs_rehash, verify_password

T0 = 1_795_000_000_000
GOOD = "correct horse"


class Clock:
    now = T0

    def __call__(self) -> int:
        return self.now


@pytest.fixture(autouse=True)
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that argon2 can do: the real cost is measured elsewhere and would be most of these tests' time."""
    monkeypatch.setattr(password_module, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(password_module, "_dummy", None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(engine: Engine, clock: Clock) -> Accounts:
    return Accounts(engine, clock)


def test_a_user_logs_in_with_the_right_password_only(accounts: Accounts) -> None:
    made = accounts.create_user("anna", GOOD, "operator")
    assert accounts.authenticate("anna", GOOD) == made == UserIdentity(made.id, "anna", "operator", 0)
    assert accounts.authenticate("anna", GOOD + "!") is None
    assert accounts.authenticate("anna", "") is None
    assert accounts.authenticate("anna", GOOD * 1000) is None
    assert accounts.authenticate("ben", GOOD) is None


def test_an_unknown_user_costs_as_many_hashes_as_a_known_one(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.create_user("anna", GOOD, "admin")
    accounts.create_user("off", GOOD, "viewer")
    accounts.set_disabled("off", True)
    accounts.authenticate("nobody", GOOD)  # makes the dummy
    hasher = password_module._HASHER
    verified: list[str] = []

    def verify(hash: str, password: str) -> bool:
        verified.append(password)
        return hasher.verify(hash, password)

    monkeypatch.setattr(password_module, "_HASHER", SimpleNamespace(verify=verify))
    for name in ("anna", "nobody", "off"):
        accounts.authenticate(name, "wrong password")
    assert verified == ["wrong password"] * 3
    assert accounts.authenticate("nobody", "no user has this password") is None  # nor is the dummy's a way in


def test_the_password_is_kept_as_argon2id(accounts: Accounts, path: Path, engine: Engine) -> None:
    accounts.create_user("anna", GOOD, "admin")
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT password_hash FROM users").scalar_one()
    assert kept.startswith("$argon2id$")
    assert GOOD not in kept


def test_the_parameters_are_those_that_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    kept = password_module.hash_password(GOOD)
    assert "$m=19456,t=4,p=1$" in kept
    assert verify_password(kept, GOOD)
    assert not verify_password("not a hash", GOOD)
    assert not needs_rehash(kept)


def test_a_login_moves_the_hash_to_todays_parameters(accounts: Accounts, engine: Engine) -> None:
    accounts.create_user("anna", GOOD, "admin")
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(GOOD)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET password_hash = ?", (old,))
    assert accounts.authenticate("anna", GOOD) is not None
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT password_hash FROM users").scalar_one()
    assert kept != old
    assert not needs_rehash(kept)
    assert accounts.authenticate("anna", GOOD) is not None


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a\n", "ü", "x" * 65, "<script>"])
def test_names_that_are_not_allowed_are_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="not allowed"):
        accounts.create_user(name, GOOD, "viewer")
    with pytest.raises(AccountError, match="not allowed"):
        accounts.create_token(name, "viewer")


def test_bad_passwords_roles_and_taken_names_are_refused(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    accounts.create_token("grafana", "viewer")
    with pytest.raises(AccountError, match="8 to 1024"):
        accounts.create_user("ben", "short", "viewer")
    with pytest.raises(AccountError, match="no role 'root'"):
        accounts.create_user("ben", GOOD, "root")
    with pytest.raises(AccountError, match="there is a user 'anna' already"):
        accounts.create_user("anna", GOOD, "viewer")
    with pytest.raises(AccountError, match="there is a token 'grafana' already"):
        accounts.create_token("grafana", "admin")
    with pytest.raises(AccountError, match="there is no user 'ben'"):
        accounts.set_password("ben", GOOD)
    with pytest.raises(AccountError, match="there is no user 'ben'"):
        accounts.remove_user("ben")
    with pytest.raises(AccountError, match="there is no token 'x'"):
        accounts.revoke_token("x")


def test_a_new_password_ends_sessions_and_unused_links(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    link = accounts.create_link("anna", T0)
    accounts.set_password("anna", "battery staple")
    assert accounts.authenticate("anna", GOOD) is None
    found = accounts.authenticate("anna", "battery staple")
    assert found is not None
    assert found.epoch == 1
    assert accounts.user(found.id) == accounts.user_named("anna") == found
    assert accounts.use_link(link, T0) is None


def test_a_disabled_user_is_nobody(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    ben = accounts.create_user("ben", GOOD, "viewer")
    link = accounts.create_link("ben", T0)
    accounts.set_disabled("ben", True)
    assert accounts.authenticate("ben", GOOD) is None
    assert accounts.user(ben.id) is None
    assert accounts.user_named("ben") is None
    assert accounts.use_link(link, T0) is None
    with pytest.raises(AccountError, match="no user 'ben' who may log in"):
        accounts.create_link("ben", T0)
    assert [(user.name, user.disabled) for user in accounts.users()] == [("anna", False), ("ben", True)]
    accounts.set_disabled("ben", False)
    assert accounts.authenticate("ben", GOOD) is not None


def test_the_last_admin_stays(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    accounts.create_user("ben", GOOD, "operator")
    with pytest.raises(AccountError, match="last admin"):
        accounts.remove_user("anna")
    with pytest.raises(AccountError, match="last admin"):
        accounts.set_disabled("anna", True)
    with pytest.raises(AccountError, match="last admin"):
        accounts.set_role("anna", "viewer")
    anna = accounts.authenticate("anna", GOOD)
    assert anna is not None
    assert (anna.role, anna.epoch) == ("admin", 0)
    accounts.set_role("ben", "admin")
    accounts.remove_user("anna")
    assert [user.name for user in accounts.users()] == ["ben"]


def test_two_admins_cannot_remove_each_other(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    accounts.create_user("ben", GOOD, "admin")
    refused: list[str] = []

    def remove(name: str) -> None:
        try:
            accounts.remove_user(name)
        except AccountError:
            refused.append(name)

    threads = [threading.Thread(target=remove, args=(name,)) for name in ("anna", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(accounts.users()) == 1


def test_sessions_can_be_ended(accounts: Accounts) -> None:
    before = accounts.create_user("anna", GOOD, "admin")
    accounts.end_sessions("anna")
    after = accounts.user(before.id)
    assert after is not None
    assert after.epoch == before.epoch + 1


def test_a_token_is_known_by_its_hash_and_can_be_revoked(accounts: Accounts, engine: Engine) -> None:
    text = accounts.create_token("grafana", "viewer")
    assert text.startswith("wl_")
    assert len(text) == 35
    with engine.connect() as connection:
        assert text not in str(connection.exec_driver_sql("SELECT * FROM tokens").all())
    assert accounts.token(text) == TokenIdentity("grafana", "viewer")
    assert accounts.token(text + "x") is None
    assert accounts.token("") is None
    accounts.revoke_token("grafana")
    assert accounts.token(text) is None
    assert accounts.tokens() == []


def test_the_use_of_a_token_is_noted_once_a_minute(accounts: Accounts, clock: Clock) -> None:
    text = accounts.create_token("grafana", "viewer")
    assert accounts.tokens()[0].used_ms is None
    noted = []
    for second in (1, 2, 60, 61, 62):
        clock.now = T0 + second * 1000
        accounts.token(text)
        noted.append(accounts.tokens()[0].used_ms)
    assert noted == [T0 + 1000, T0 + 1000, T0 + 1000, T0 + 61_000, T0 + 61_000]
    assert accounts.tokens()[0].created_ms == T0


def test_a_token_and_a_password_still_work_while_the_database_cannot_be_written(
    accounts: Accounts, clock: Clock, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.WRITER_WAIT_SECONDS", 0.0)
    accounts.create_user("anna", GOOD, "viewer")
    text = accounts.create_token("ci", "operator")
    monkeypatch.setattr(password_module, "_HASHER", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    with engine.begin(), capture_logs() as logs:
        for second in (0, 59, 60):
            clock.now = T0 + second * 1000
            assert accounts.token(text) == TokenIdentity("ci", "operator")
        assert accounts.authenticate("anna", GOOD) is not None
    events = [line["event"] for line in logs]
    assert events == ["token_use_not_noted"] * 2 + ["password_not_rehashed"], "one attempt a minute"
    clock.now = T0 + 120_000
    accounts.token(text)
    assert accounts.tokens()[0].used_ms == T0 + 120_000


def test_a_link_works_once_and_before_it_expires(accounts: Accounts) -> None:
    anna = accounts.create_user("anna", GOOD, "admin")
    link = accounts.create_link("anna", T0, lifetime_seconds=60)
    late = accounts.create_link("anna", T0, lifetime_seconds=60)
    assert accounts.use_link(link, T0 + 59_999) == anna
    assert accounts.use_link(link, T0 + 59_999) is None
    assert accounts.use_link(late, T0 + 60_000) is None
    assert accounts.use_link("made up", T0) is None


def test_of_many_who_use_a_link_at_once_one_gets_in(accounts: Accounts) -> None:
    accounts.create_user("anna", GOOD, "admin")
    link = accounts.create_link("anna", T0)
    results: list[UserIdentity | None] = []
    together = threading.Barrier(10)

    def use() -> None:
        together.wait()
        results.append(accounts.use_link(link, T0 + 1))

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([found for found in results if found is not None]) == 1
