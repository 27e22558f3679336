"""The settings: where they come from, and what a person reads when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import Settings, SettingsError, is_loopback, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "wakeless.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_and_variables_the_defaults_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}) == Settings()
    assert load_settings(environment={}).server.port == 8000


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "server: {port: 9000, host: 127.0.0.2}\n")
    settings = load_settings(path, {"WAKELESS_SERVER__PORT": "9001", "HOME": "/"})
    assert (settings.server.port, settings.server.host) == (9001, "127.0.0.2")


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "name: cards\n")
    assert load_settings(environment={"WAKELESS_CONFIG": str(path)}).name == "cards"


def test_lists_of_files_are_relative_to_the_settings_file_and_comma_separated_in_the_environment(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "alerts: {rules: [rules/a.yml]}\n")
    assert load_settings(path, {}).alerts.rules == [tmp_path / "rules/a.yml"]
    assert load_settings(path, {"WAKELESS_ALERTS__RULES": "b.yml, /c.yml"}).alerts.rules == [
        tmp_path / "b.yml",
        Path("/c.yml"),
    ]


def test_a_section_left_empty_means_its_defaults(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "server:\n"), {}).server == Settings().server


@pytest.mark.parametrize(
    ("text", "environment", "parts"),
    [
        ("sever: {port: 1}", {}, ["wakeless.yaml", "'sever'", "server"]),
        ("server: {prt: 1}", {}, ["'server.prt'", "port"]),
        ("server: {port: 70000}", {}, ["server.port", "70000", "65535"]),
        ("", {"WAKELESS_SERVER__PORT": "many"}, ["WAKELESS_SERVER__PORT", "server.port", "'many'", "integer"]),
        ("", {"WAKELESS_SEVER__PORT": "1"}, ["WAKELESS_SEVER__PORT", "unknown setting"]),
        ("auth: {anonymous: admin}", {}, ["auth.anonymous", "'admin'", "'none' or 'viewer'"]),
        ("a: [", {}, ["not valid YAML"]),
        ("- a", {}, ["must hold keys and values"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key_the_value_and_what_is_allowed(
    tmp_path: Path, text: str, environment: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text), environment)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_file_that_was_named_but_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the settings file"):
        load_settings(tmp_path / "missing.yaml", {})


@pytest.mark.parametrize(
    "environment",
    [
        {"WAKELESS_ADMIN_PASSWORD": "geheim"},
        {"WAKELESS_ADMIN_PASSWORD__X": "geheim"},
        {"WAKELESS_ALERTS__CHANNELS__X": "json://geheim"},
    ],
)
def test_a_mistake_in_a_secret_does_not_repeat_it(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, ""), environment)
    assert "geheim" not in str(caught.value)


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""), {"WAKELESS_ADMIN_PASSWORD": "geheimnis"})
    assert "geheimnis" not in repr(settings)


def test_an_empty_password_is_none_and_channels_in_the_environment_are_separated_by_spaces(tmp_path: Path) -> None:
    environment = {"WAKELESS_ADMIN_PASSWORD": "", "WAKELESS_ALERTS__CHANNELS": "json://a/b,c  json://d"}
    settings = load_settings(write(tmp_path, ""), environment)
    assert settings.admin_password is None
    assert [url.get_secret_value() for url in settings.alerts.channels] == ["json://a/b,c", "json://d"]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("gpu1", False)],
)
def test_it_knows_which_addresses_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_every_setting_is_described() -> None:
    for section in [Settings, *(field.annotation for field in Settings.model_fields.values())]:
        for name, field in getattr(section, "model_fields", {}).items():
            nested = hasattr(field.annotation, "model_fields")
            assert nested or field.description, name
