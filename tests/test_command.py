"""The command line as a person uses it: real processes, real exit statuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import PASSWORD, ROOT, RunningServer, free_port


def run(*arguments: str, data_dir: Path, within: float = 30, **settings: str) -> subprocess.CompletedProcess[str]:
    """``python app.py …`` to its end, in its own data folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAKELESS_")}
    environment = {**inherited, "WAKELESS_DATA_DIR": str(data_dir), **{f"WAKELESS_{k}": v for k, v in settings.items()}}
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )


def test_help_lists_the_commands(tmp_path: Path) -> None:
    shown = run("--help", data_dir=tmp_path)
    assert shown.returncode == 0
    for name in ("serve", "check-config", "check-rules", "export", "token", "user"):
        assert re.search(rf"^  {name} ", shown.stdout, re.M), name


@pytest.mark.parametrize("command", ["serve", "check-config", "token"])
def test_a_mistake_in_the_settings_ends_with_one_line_and_status_2(tmp_path: Path, command: str) -> None:
    arguments = [command, "list"] if command == "token" else [command]
    ended = run(*arguments, data_dir=tmp_path, SERVER__PORT="many")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "server.port" in ended.stderr
    assert "many" in ended.stderr


def test_a_broken_rule_file_stops_the_start_with_one_line_and_status_2(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: Broken, expr: 'up =='}]}]")
    for command in ("serve", "check-config"):
        ended = run(command, data_dir=tmp_path / "data", ALERTS__RULES=str(rules), SERVER__PORT=str(free_port()))
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.strip().count("\n") == 0, ended.stderr
        assert "rules.yml" in ended.stderr
        assert "Broken" in ended.stderr


def test_it_refuses_to_be_reachable_from_elsewhere_without_a_password(tmp_path: Path) -> None:
    ended = run("serve", data_dir=tmp_path, SERVER__HOST="0.0.0.0", SERVER__PORT=str(free_port()))
    assert ended.returncode == 2
    assert "WAKELESS_ADMIN_PASSWORD" in ended.stderr


def test_a_password_that_is_too_short_is_said_without_repeating_it(tmp_path: Path) -> None:
    ended = run("serve", data_dir=tmp_path, ADMIN_PASSWORD="secret7", SERVER__PORT=str(free_port()))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "admin_password" in ended.stderr
    assert "secret7" not in ended.stderr


def test_a_channel_that_cannot_work_is_found_before_it_is_needed(tmp_path: Path) -> None:
    ended = run("check-config", data_dir=tmp_path, ALERTS__CHANNELS="json://127.0.0.1:9/hook htps://oops/typo")
    assert ended.returncode == 2
    assert "alerts.channels, entry 2" in ended.stderr
    assert "oops" not in ended.stderr


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        ended = run("serve", data_dir=tmp_path / "other", SERVER__PORT=str(server.port))
    assert ended.returncode == 2
    assert f"server.port {server.port}: another program uses it" in ended.stderr


def test_a_data_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("serve", data_dir=tmp_path / "file" / "data")
    assert ended.returncode == 2
    assert "data_dir" in ended.stderr


def test_a_new_token_is_printed_alone_and_opens_the_api_while_the_server_runs(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        token = run("token", "create", "ci", "--role", "viewer", data_dir=server.data_dir).stdout
        assert re.fullmatch(r"\S+\n", token)
        assert server.get("/api/alerts")[0] == 401
        assert server.get("/api/alerts", Authorization=f"Bearer {token.strip()}")[0] == 200
        assert run("token", "revoke", "ci", data_dir=server.data_dir).returncode == 0
        assert server.get("/api/alerts", Authorization=f"Bearer {token.strip()}")[0] == 401


def test_the_shell_exports_what_the_api_exports(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        headers = server.token("viewer")
        window = ("--start", "0", "--end", "1")
        assert run("export", *window, data_dir=server.data_dir).returncode == 0
        shown = run("export", "--match", "process_threads", "--format", "long", data_dir=server.data_dir).stdout
        header, *rows = shown.splitlines()
        assert header == "time,series,value"
        _, body = server.get("/api/export.csv?match[]=process_threads&format=long", **headers)
        assert set(rows) <= set(body.decode().splitlines())
        assert rows


def test_an_export_with_a_bad_selector_says_so(tmp_path: Path) -> None:
    ended = run("export", "--match", "up{", data_dir=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("wakeless: ")


def test_people_are_added_listed_and_get_links(tmp_path: Path) -> None:
    added = run("user", "add", "anna", "--role", "operator", "--password", PASSWORD, data_dir=tmp_path)
    assert added.returncode == 0, added.stderr
    assert "anna\toperator" in run("user", "list", data_dir=tmp_path).stdout
    assert re.fullmatch(
        r"http://127.0.0.1:8000/login/link/\S+\n", run("user", "link", "anna", data_dir=tmp_path).stdout
    )
    assert run("user", "link", "bert", data_dir=tmp_path).returncode == 2


def test_the_rules_of_the_first_scene_are_right_and_their_doubtful_one_is_named(tmp_path: Path) -> None:
    checked = run("check-rules", "examples/s1/alert_rules.yml", data_dir=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "HighFailureRate" in checked.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]")
    assert run("check-rules", str(broken), data_dir=tmp_path).returncode == 2
