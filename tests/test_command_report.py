"""``python app.py report --log FILE`` as it is called."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from command import main

LINES = "".join(
    json.dumps({"timestamp": f"2026-11-21T0{hour}:00:00Z", "duration_ms": 10 * hour, "status": "ok", "class": "a"})
    + "\n"
    for hour in range(1, 6)
)


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["report", *arguments], input=stdin)
    return result.exit_code, result.output


def test_a_file_a_packed_file_and_stdin_say_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.log", tmp_path / "a.log.gz"
    plain.write_text(LINES)
    packed.write_bytes(gzip.compress(LINES.encode()))
    found = run("--log", str(plain), "--tz", "UTC")
    assert found == run("--log", str(packed), "--tz", "UTC") == run("--log", "-", "--tz", "UTC", stdin=LINES)
    assert found[0] == 0
    assert "Requests      5" in found[1]
    assert "duration_ms (milliseconds)" in found[1]
    figures = json.loads(run("--log", str(plain), "--json", "--tz", "UTC")[1])
    assert (figures["total"], figures["mean_seconds"], figures["max_seconds"]) == (5, pytest.approx(0.03), 0.05)
    assert [one["hour"] for one in figures["busiest_hours"]] == [1, 2, 3]
    assert "成功率" in run("--log", str(plain), "--language", "zh")[1]


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "b.gz"
    broken.write_bytes(gzip.compress(LINES.encode() * 100)[:-20])
    status, said = run("--log", str(broken))
    assert (status, said.count("\n")) == (2, 1)
    status, said = run("--log", str(tmp_path / "none"))
    assert status == 2
    assert "No such file" in said
    assert run("--log", "-", "--tz", "Mars/X", stdin="")[0] == 2


def test_a_bundle_is_packed_without_a_server(tmp_path: Path) -> None:
    out = tmp_path / "support.zip"
    environment = {"WAKELESS_DATA_DIR": str(tmp_path / "data"), "WAKELESS_ADMIN_PASSWORD": "hunter2-of-the-admin"}
    result = CliRunner(env=environment).invoke(main, ["bundle", str(out), "--check"])
    assert (result.exit_code, "look it through" in result.output) == (0, True), result.output
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as archive:
        assert "README.txt" in archive.namelist()
        assert b"hunter2" not in b"".join(map(archive.read, archive.namelist()))
    result = CliRunner(env=environment).invoke(main, ["bundle", str(tmp_path / "none" / "x.zip")])
    assert (result.exit_code, "No such file" in result.output) == (2, True)
