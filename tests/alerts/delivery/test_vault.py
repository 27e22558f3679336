"""Where channels lead is kept encrypted; a lost key loses no channel, and says whose it was."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Engine as Database
from sqlalchemy import text

from alerts.delivery.address import canonical
from alerts.delivery.channel import AppriseChannel, BrokenChannel, Channel, DeliveryError, Voice
from alerts.delivery.registry import ChannelRegistry, builder, settings_specs
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.store import ChannelError, ChannelStore, StoredChannel, check_spec
from alerts.delivery.switchboard import Switchboard
from alerts.delivery.vault import FILE_NAME, Vault, VaultError
from alerts.delivery.webhook import WebhookChannel
from tests.alerts.delivery.receivers.http import Reply, Service
from tests.alerts.delivery.story import NOW_MS, composer, message

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

URL = "json://hooks.example.com/very-secret-hook"


def spec(name: str = "ward", url: str = URL, **options: Any) -> ChannelSpec:
    return ChannelSpec(**{"name": name, "kind": "apprise", "url": SecretStr(url), "origin": "page", **options})


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / FILE_NAME)


@pytest.fixture
def store(database: Database, vault: Vault) -> ChannelStore:
    return ChannelStore(database, vault)


def switchboard(store: ChannelStore, *fixed: ChannelSpec) -> Switchboard:
    build = builder(Voice(composer()))
    return Switchboard(ChannelRegistry(build), store, build, fixed)


# --- the vault ---------------------------------------------------------------------------------------------------


def test_the_key_file_is_made_at_the_first_secret_and_is_its_owners_alone(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    assert not path.exists()
    sealed = vault.seal("very secret")
    assert b"secret" not in sealed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault(path).unseal(sealed) == "very secret"
    assert [one.name for one in tmp_path.iterdir() if FILE_NAME in one.name] == [FILE_NAME]


def test_nothing_is_encrypted_with_a_key_that_only_memory_has(vault: Vault, tmp_path: Path) -> None:
    vault.seal("x")
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(VaultError, match="bring it back"):
        vault.seal("y")


def test_a_key_that_others_can_read_is_closed_to_them(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.seal("x")
    (tmp_path / FILE_NAME).chmod(0o644)
    assert Vault(tmp_path / FILE_NAME).unseal(sealed) == "x"
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_many_who_make_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    vaults = [Vault(tmp_path / FILE_NAME) for _ in range(8)]
    sealed: list[bytes] = []
    threads = [threading.Thread(target=lambda one=one: sealed.append(one.seal("x"))) for one in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Vault(tmp_path / FILE_NAME).unseal(one) for one in sealed] == ["x"] * 8


def test_a_new_key_above_the_old_one_encrypts_and_the_old_one_still_decrypts(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    old = vault.seal("x")
    path.write_text(f"{Fernet.generate_key().decode()}\n{path.read_text()}")
    renewed = Vault(path)
    assert renewed.unseal(old) == "x"
    fresh = renewed.seal("y")
    with pytest.raises(VaultError):
        vault.unseal(fresh)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "channels.key is not in the data folder"),
        ("", "channels.key holds no key"),
        ("not a key\n", "channels.key holds a line that is not a key"),
        ("schlüssel\n", "channels.key cannot be used: it is not a key file"),
        ("x" * 43 + "=", "channels.key is not the key with which it was encrypted"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_to_be_so(content: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    sealed = Vault(path).seal("x")
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(VaultError) as caught:
        Vault(path).unseal(sealed)
    assert str(caught.value) == words


# --- the store ---------------------------------------------------------------------------------------------------


def test_a_channel_comes_back_as_it_was_kept(store: ChannelStore) -> None:
    kept = spec(language="zh", least_level=3, per_minute=2.5, picture=False, send_resolved=False)
    hook = spec("hook", "https://x.example.com/very-secret-hook", kind="webhook", max_alerts=5,
                headers=(("Authorization", SecretStr("Bearer very-secret")),))  # fmt: skip
    store.add(kept, "ada", NOW_MS)
    store.add(hook, "bob", NOW_MS)
    assert [one.spec for one in store.list()] == [kept, hook]
    assert [(one.scheme, one.created_by, one.created_ms) for one in store.list()] == [
        ("json", "ada", NOW_MS),
        ("https", "bob", NOW_MS),
    ]


def test_the_database_holds_no_secret_in_the_clear(store: ChannelStore, database: Database, tmp_path: Path) -> None:
    store.add(spec(headers=(("X", SecretStr("very-secret")),)), "ada", NOW_MS)
    with database.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert b"very-secret" not in (tmp_path / "wakeless.db").read_bytes()


@pytest.mark.parametrize("name", ["", " ", "-x", "x" * 41, "a/b", "a\nb", "<b>"])
def test_a_name_has_to_be_one(store: ChannelStore, name: str) -> None:
    with pytest.raises(ChannelError, match="a name is") as caught:
        store.add(spec(name), "ada", NOW_MS)
    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    ("url", "kind"), [("nosuch://very-secret", "apprise"), ("very-secret", "webhook"), ("ftp://very-secret", "webhook")]
)
def test_a_url_is_checked_when_it_is_given_and_not_repeated(store: ChannelStore, url: str, kind: str) -> None:
    with pytest.raises(ChannelError) as caught:
        store.add(spec(url=url, kind=kind), "ada", NOW_MS)
    assert caught.value.kind == "invalid"
    assert "secret" not in str(caught.value)
    assert store.list() == []


def test_a_lost_key_loses_no_channel_and_the_message_names_it(
    store: ChannelStore, database: Database, tmp_path: Path
) -> None:
    store.add(spec(), "ada", NOW_MS)
    key = (tmp_path / FILE_NAME).read_text()
    (tmp_path / FILE_NAME).unlink()
    (found,) = ChannelStore(database, Vault(tmp_path / FILE_NAME)).list()
    assert found.spec.url.get_secret_value() == ""
    assert found.problem is not None
    assert found.problem.startswith("the URL of channel 'ward' cannot be decrypted: channels.key is not in the data")
    (tmp_path / FILE_NAME).write_text(key)
    (found,) = ChannelStore(database, Vault(tmp_path / FILE_NAME)).list()
    assert found.spec == spec()


def test_a_change_without_a_url_keeps_where_it_leads(store: ChannelStore) -> None:
    store.add(spec(), "ada", NOW_MS)
    store.change(spec(url="", language="zh"))
    assert store.get("ward").spec == spec(language="zh")
    store.change(spec(url="json://other.example.com/x"))
    assert store.get("ward").spec.url.get_secret_value() == "json://other.example.com/x"
    store.remove("ward")
    for doing in (lambda: store.change(spec()), lambda: store.remove("ward"), lambda: store.get("ward")):
        with pytest.raises(ChannelError) as caught:
            doing()
        assert caught.value.kind == "not_found"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a-7xxx", "wecombot://693a-7xxx"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/b1ec-55d3", "feishu://b1ec-55d3"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/b1ec-55d3?secret=abc", "feishu://b1ec-55d3?secret=abc"),
        ("https://open.larksuite.com/open-apis/bot/v2/hook/b1ec-55d3", "lark://b1ec-55d3"),
        ("https://oapi.dingtalk.com/robot/send?access_token=56b1", "dingtalk://56b1"),
        (" https://oapi.dingtalk.com/robot/send?access_token=56b1&secret=SEC0 ", "dingtalk://SEC0@56b1"),
        ("https://hooks.slack.com/services/T1/B2/c3", "slack://T1/B2/c3"),
        ("https://discord.com/api/webhooks/417/JHM_js", "discord://417/JHM_js"),
        ("https://oapi.dingtalk.com.example.com/robot/send?access_token=56b1",) * 2,
        ("json://hooks.example.com/x",) * 2,
        ("http://[",) * 2,
    ],
)
def test_an_address_as_the_service_hands_it_out_will_do(given: str, meant: str) -> None:
    assert canonical(spec(url=given)).url.get_secret_value() == meant
    assert canonical(spec(url=given, kind="webhook")).url.get_secret_value() == given


# --- the registry and the switchboard ----------------------------------------------------------------------------


def test_channels_are_built_when_they_are_asked_for_and_kept_while_their_spec_is_the_same() -> None:
    built: list[str] = []

    def build(one: ChannelSpec) -> Channel:
        built.append(one.name)
        return BrokenChannel(one, "no")

    registry = ChannelRegistry(build, [spec("a"), spec("b"), replace(spec("a"), language="zh")])
    assert registry.names() == ("a", "b")
    assert built == []
    first, second = registry.get("a"), registry.get("b")
    assert registry.get("a") is first
    registry.replace([spec("b"), spec("a", language="en")])
    assert registry.get("b") is second
    assert registry.get("a") is not first
    assert registry.get("c") is None
    assert built == ["a", "b", "a"]
    assert registry.specs() == (spec("b"), spec("a", language="en"))


def test_a_webhook_is_a_webhook_and_the_settings_give_names() -> None:
    build = builder(Voice(composer()))
    assert isinstance(build(spec(kind="webhook", url="https://x.example.com")), WebhookChannel)
    (one,) = settings_specs([SecretStr("slack://TokenA/TokenB/TokenC")])
    assert one.name.startswith("slack-")
    assert one.origin == "settings"


def test_the_settings_come_before_routing_and_routing_before_the_page(store: ChannelStore) -> None:
    fixed = replace(spec("a"), origin="settings")
    board = switchboard(store, fixed)
    changes: list[tuple[str, ...]] = []
    board.on_change = lambda: changes.append(board.registry.names())
    board.add(spec("c"), "ada", NOW_MS)
    board.reroute([replace(spec("b"), origin="routing"), replace(spec("c", language="zh"), origin="routing")])
    assert [(one.name, one.origin) for one in board.list()] == [("a", "settings"), ("b", "routing"), ("c", "routing")]
    with pytest.raises(ChannelError, match="already") as caught:
        board.add(spec("a"), "ada", NOW_MS)
    assert caught.value.kind == "conflict"
    board.reroute([])
    board.change(spec("c", url="", least_level=3))
    board.remove("c")
    assert changes == [("a", "c"), ("a", "c"), ("a",)]


def test_what_is_for_a_channel_without_its_key_waits(store: ChannelStore, database: Database, tmp_path: Path) -> None:
    store.add(spec(), "ada", NOW_MS)
    (tmp_path / FILE_NAME).unlink()
    board = switchboard(ChannelStore(database, Vault(tmp_path / FILE_NAME)))
    channel = board.registry.get("ward")
    assert channel is not None
    with pytest.raises(DeliveryError, match="'ward' cannot be decrypted") as caught:
        channel.send(message(kind="test"), "key", NOW_MS)
    assert not caught.value.permanent
    (listed,) = board.list()
    assert (listed.name, listed.scheme) == ("ward", "json")
    assert listed.problem is not None


@pytest.mark.parametrize("foreign", [False, True])
def test_a_key_that_is_back_is_found_without_a_restart(
    store: ChannelStore, database: Database, tmp_path: Path, foreign: bool
) -> None:
    store.add(spec(), "ada", NOW_MS)
    path = tmp_path / FILE_NAME
    key = path.read_text()
    path.unlink()
    if foreign:
        path.write_text(Fernet.generate_key().decode())
    board = switchboard(ChannelStore(database, Vault(path)))
    assert board.list()[0].problem is not None
    path.write_text(key)
    assert board.list()[0].problem is None
    assert isinstance(board.registry.get("ward"), AppriseChannel)


def test_a_test_tells_what_the_service_answered(store: ChannelStore) -> None:
    with Service(Reply(200, "thank you"), Reply(403, "no very-secret-hook for you"), Reply(200, "again")) as service:
        board = switchboard(store)
        board.add(spec(url=f"json://{service.address}/very-secret-hook"), "ada", NOW_MS)
        good, bad = board.test("ward", NOW_MS), board.test("ward", NOW_MS)
        unsaved = board.test_spec(spec("test", f"json://{service.address}/x"), NOW_MS)
    assert (good.ok, good.answer) == (True, "HTTP 200: thank you")
    assert (bad.ok, bad.answer) == (False, "HTTP 403: no *** for you")
    assert (unsaved.ok, unsaved.answer) == (True, "HTTP 200: again")
    assert 0 <= good.seconds < 60
    with pytest.raises(ChannelError):
        board.test("nobody", NOW_MS)


def test_a_channel_that_is_added_while_others_are_read_is_not_lost_again(
    store: ChannelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = switchboard(store)
    check_spec(spec())  # loads Apprise, which takes a while
    adding = threading.Thread(target=lambda: board.add(spec(), "ann", NOW_MS))
    read = store.list

    def slow() -> list[StoredChannel]:
        found = read()
        monkeypatch.setattr(store, "list", read)
        adding.start()
        adding.join(0.3)  # ends only where nobody sees to it that one comes after the other
        return found

    monkeypatch.setattr(store, "list", slow)
    board.reroute([])
    adding.join()
    assert board.registry.names() == ("ward",)
