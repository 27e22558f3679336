"""The command line as a person uses it: real processes, real exit statuses."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.running import PASSWORD, ROOT, RunningServer, eventually, free_port


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
    for name in ("serve", "check-config", "check-rules", "export", "import", "token", "user"):
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


DUMP = """# TYPE cpu_seconds_total counter
cpu_seconds_total{cpu="0"} 1.5 1795248000.123
cpu_seconds_total{cpu="0"} 2.5 1795248005.123
imported_up 1 1795248000
# EOF
"""
DUMPED = ("--start", "1795240000", "--end", "1795250000")


def test_an_export_without_a_place_to_write_to_says_so(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "app.py", "export"],
            cwd=ROOT,
            env=os.environ | {"WAKELESS_DATA_DIR": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == b"wakeless: the export cannot be written: No space left on device\n"


@pytest.mark.parametrize("step", ["nan", "0", "inf", "x"])
def test_a_step_that_is_none_is_named(tmp_path: Path, step: str) -> None:
    ended = run("export", "--step", step, data_dir=tmp_path)
    assert ended.returncode == 2
    assert "Invalid value for '--step'" in ended.stderr


def test_an_import_ends_with_one_line_and_what_was_exported_can_be_imported_elsewhere(tmp_path: Path) -> None:
    source = tmp_path / "dump.prom.gz"
    source.write_bytes(gzip.compress(DUMP.encode()))
    there = tmp_path / "there"
    first = run("import", str(source), data_dir=there)
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"3 samples of 2 series in \S+ s \(\S+ samples/s\), 0 skipped\n", first.stdout)
    assert "0 samples of 0 series" in run("import", str(source), data_dir=there).stdout
    wide = run("export", *DUMPED, "--progress", data_dir=there)
    assert wide.stdout.splitlines() == [
        'time,"cpu_seconds_total{cpu=""0""}",imported_up',
        "2026-11-21T08:00:00.000Z,,1",
        "2026-11-21T08:00:00.123Z,1.5,",
        "2026-11-21T08:00:05.123Z,2.5,",
    ]
    assert re.search(r"^export of 2 series, about \d+ bytes: 100 %$", wide.stderr, re.M)
    moved = run("export", *DUMPED, "--format", "openmetrics", data_dir=there).stdout
    (tmp_path / "moved.prom").write_text(moved)
    assert "3 samples of 2 series" in run("import", str(tmp_path / "moved.prom"), data_dir=tmp_path / "else").stdout
    assert run("export", *DUMPED, "--format", "openmetrics", data_dir=tmp_path / "else").stdout == moved


def test_an_import_while_the_server_runs_is_seen_by_it(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        headers = server.token("viewer")
        moment = int(time.time()) - 3600
        (tmp_path / "dump.prom").write_text(f"imported_up 7 {moment}\n# EOF\n")
        assert run("import", str(tmp_path / "dump.prom"), data_dir=server.data_dir).returncode == 0

        def seen() -> bool:
            window = f"start={moment - 1}&end={moment + 1}"
            _, body = server.get(f"/api/export.csv?match[]=imported_up&format=long&{window}", **headers)
            return body.decode().endswith("Z,imported_up,7\n")

        assert eventually(seen, within=10, what="what was imported")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\na{ 1 2\n# EOF\n", "line 2: a label should be written"),
        ("a 1\n# EOF\n", "line 1: the timestamp is missing"),
        ("a 1 2\na 1 3", "line 2: ends in its middle"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.prom").write_text(text)
    ended = run("import", str(tmp_path / "bad.prom"), data_dir=tmp_path / "data")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"bad.prom: {message}" in ended.stderr


def test_an_import_says_what_is_odd_about_a_file(tmp_path: Path) -> None:
    (tmp_path / "old.prom").write_text("a 1 1000\n")
    ended = run("import", str(tmp_path / "old.prom"), data_dir=tmp_path / "data")
    assert ended.returncode == 0
    assert "1 samples are older than storage.retention_days" in ended.stderr
    assert "does not end with # EOF" in ended.stderr
    missing = run("import", str(tmp_path / "nowhere.prom"), data_dir=tmp_path / "data")
    assert missing.returncode == 2
    assert "cannot be read: No such file or directory" in missing.stderr
    (tmp_path / "torn.prom.gz").write_bytes(gzip.compress(b"a 1 2\n" * 10_000)[:-20])
    assert run("import", str(tmp_path / "torn.prom.gz"), data_dir=tmp_path / "data").returncode == 2


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
