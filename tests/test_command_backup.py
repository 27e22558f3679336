"""``backup`` and ``restore`` as a person uses them: beside a server that runs, and where none does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

import command_backup
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.store import ChannelStore
from alerts.delivery.vault import FILE_NAME, Vault
from command import main
from storage.backup import set_aside
from storage.engine import open_database
from tests.running import ROOT, RunningServer, eventually

T0 = 1_795_248_000  # 2026-11-21T08:00:00Z
DUMP = "".join(f'cpu{{core="{core}"}} {second / 7} {T0 + second}\n' for core in range(4) for second in range(50))


def run(data_dir: Path, *arguments: str) -> Result:
    """``python app.py …`` in this process."""
    return CliRunner().invoke(main, list(arguments), env={"WAKELESS_DATA_DIR": str(data_dir)})


def dump(data_dir: Path, end: float = T0 + 1000, match: str = '{__name__=~".+"}') -> str:
    """All samples up to a moment, bit by bit."""
    shown = run(data_dir, "export", "--format", "openmetrics", "--match", match, "--start", "0", "--end", str(end))
    assert shown.exit_code == 0, shown.output
    return shown.stdout


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with some history that no server uses."""
    folder = tmp_path / "data"
    (tmp_path / "dump.prom").write_text(DUMP + "# EOF\n")
    taken = run(folder, "import", str(tmp_path / "dump.prom"))
    assert taken.exit_code == 0, taken.output
    return folder


@pytest.fixture
def backup(data_dir: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    made = run(data_dir, "backup", str(tmp_path / "backup.db"))
    assert made.exit_code == 0, made.output
    return tmp_path / "backup.db"


def test_a_backup_restored_into_another_folder_has_the_same_samples(
    data_dir: Path, backup: Path, tmp_path: Path
) -> None:
    restored = run(tmp_path / "elsewhere", "restore", str(backup))
    assert (restored.exit_code, restored.stderr) == (0, "")
    assert restored.stdout == f"{backup} is restored\n"
    assert dump(tmp_path / "elsewhere") == dump(data_dir)
    assert dump(data_dir).count("\n") == 4 * 50 + 1
    assert (tmp_path / "elsewhere/wakeless.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o700


def test_a_backup_says_what_it_made_and_is_for_its_owner_only(data_dir: Path, tmp_path: Path) -> None:
    made = run(data_dir, "backup", str(tmp_path / "b.db"), "--progress")
    assert re.fullmatch(rf"{tmp_path}/b\.db: [\d,]+ bytes in \d+\.\d s, checked\n", made.stdout)
    assert made.stderr.splitlines()[-1] == "backup to b.db: 100 % done"
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.db", "data", "dump.prom"]


def test_a_file_that_is_there_stays_unless_force_is_given(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "b.db").write_text("last week's")
    refused = run(data_dir, "backup", str(tmp_path / "b.db"))
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.endswith("b.db exists already; --force replaces it\n")
    assert (tmp_path / "b.db").read_text() == "last week's"
    assert run(data_dir, "backup", str(tmp_path / "b.db"), "--force").exit_code == 0
    assert run(tmp_path / "elsewhere", "restore", str(tmp_path / "b.db")).exit_code == 0


def test_what_was_there_is_kept_and_the_last_line_says_where(data_dir: Path, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "more.prom").write_text(f"later 1 {T0 + 500}\n# EOF\n")
    run(data_dir, "import", str(tmp_path / "more.prom"))
    restored = run(data_dir, "restore", str(backup))
    (before,) = set_aside(data_dir / "wakeless.db")
    assert restored.stdout == f"{backup} is restored; the database before it is {before}\n"
    assert "later" not in dump(data_dir)
    undone = run(data_dir, "restore", str(before))
    assert undone.exit_code == 0
    assert dump(data_dir).count("later") == 1
    assert len(set_aside(data_dir / "wakeless.db")) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.db", "there is no file"),
        ("dump.prom", "is not a SQLite database"),
        ("torn.db", "damaged"),
        ("data/wakeless.db", "is the database itself"),
    ],
)
def test_a_file_that_cannot_be_restored_is_refused_in_one_line_and_changes_nothing(
    data_dir: Path, backup: Path, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "torn.db").write_bytes(backup.read_bytes()[:-5000])
    before = dump(data_dir)
    refused = run(data_dir, "restore", str(tmp_path / name))
    assert refused.exit_code == 2
    assert refused.stderr.startswith("wakeless: nothing was restored: ")
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert dump(data_dir) == before
    assert [path.name for path in data_dir.iterdir() if "re" in path.suffix] == []


# --- channels ----------------------------------------------------------------------------------------------------


def add_channel(data_dir: Path, name: str) -> None:
    """As the page does."""
    spec = ChannelSpec(name, "webhook", SecretStr(f"http://hooks.example/{name}"), origin="page")
    database = open_database(data_dir / "wakeless.db")
    ChannelStore(database, Vault(data_dir / FILE_NAME)).add(spec, "ann", T0 * 1000)
    database.dispose()


def channels(data_dir: Path) -> dict[str, str]:
    """Where each channel leads, or why that is not known."""
    database = open_database(data_dir / "wakeless.db")
    found = ChannelStore(database, Vault(data_dir / FILE_NAME)).list()
    database.dispose()
    return {one.spec.name: one.problem or one.spec.url.get_secret_value() for one in found}


def test_a_backup_without_the_key_of_its_channels_says_so_and_so_does_restoring_it(
    data_dir: Path, tmp_path: Path
) -> None:
    add_channel(data_dir, "ward")
    made = run(data_dir, "backup", str(tmp_path / "b.db"))
    assert made.exit_code == 0
    assert f"addresses of 1 channels are in it encrypted, and {data_dir}/channels.key is not in it" in made.stderr
    assert "--with-key" in made.stderr
    assert b"hooks.example" not in (tmp_path / "b.db").read_bytes()
    restored = run(tmp_path / "elsewhere", "restore", str(tmp_path / "b.db"))
    assert restored.exit_code == 0
    assert "does not open the addresses of 1 channels (ward)" in restored.stderr
    assert "cannot be decrypted" in channels(tmp_path / "elsewhere")["ward"]


def test_a_backup_with_its_key_brings_the_channels_back_beside_those_that_are_there(
    data_dir: Path, tmp_path: Path
) -> None:
    add_channel(data_dir, "ward")
    made = run(data_dir, "backup", str(tmp_path / "b.db"), "--with-key")
    assert (made.exit_code, made.stderr) == (0, "")
    assert (tmp_path / "b.db.channels.key").stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "elsewhere"
    run(elsewhere, "import", str(tmp_path / "dump.prom"))
    add_channel(elsewhere, "other")  # with a key of its own
    restored = run(elsewhere, "restore", str(tmp_path / "b.db"))
    assert (restored.exit_code, restored.stderr) == (0, "")
    assert channels(elsewhere) == {"ward": "http://hooks.example/ward"}
    (before,) = set_aside(elsewhere / "wakeless.db")
    assert run(elsewhere, "restore", str(before)).exit_code == 0
    assert channels(elsewhere) == {"other": "http://hooks.example/other"}
    assert (elsewhere / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_key_beside_a_backup_stays_unless_force_is_given(data_dir: Path, tmp_path: Path) -> None:
    add_channel(data_dir, "ward")
    (tmp_path / "b.db.channels.key").write_text("last week's")
    refused = run(data_dir, "backup", str(tmp_path / "b.db"), "--with-key")
    assert refused.exit_code == 2
    assert "b.db.channels.key exists already; --force replaces it" in refused.stderr
    assert not (tmp_path / "b.db").exists()
    assert run(data_dir, "backup", str(tmp_path / "b.db"), "--with-key", "--force").exit_code == 0
    assert (tmp_path / "b.db.channels.key").read_bytes() == (data_dir / FILE_NAME).read_bytes()


def test_a_key_that_is_lost_already_is_no_key_to_keep(data_dir: Path, tmp_path: Path) -> None:
    add_channel(data_dir, "ward")
    (data_dir / FILE_NAME).unlink()
    made = run(data_dir, "backup", str(tmp_path / "b.db"), "--with-key")
    assert made.exit_code == 2
    assert "b.db is made, but not" in made.stderr


def test_what_is_no_key_file_beside_a_backup_spoils_no_key(data_dir: Path, backup: Path, tmp_path: Path) -> None:
    add_channel(data_dir, "ward")
    backup.with_name(f"{backup.name}.channels.key").write_text("no key")
    refused = run(data_dir, "restore", str(backup))
    assert refused.exit_code == 2
    assert "nothing was restored" in refused.stderr
    assert channels(data_dir) == {"ward": "http://hooks.example/ward"}


def test_before_the_first_start_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    refused = run(tmp_path / "data", "backup", str(tmp_path / "b.db"))
    assert refused.exit_code == 2
    assert "there is no database" in refused.stderr
    assert not (tmp_path / "b.db").exists()


def can_mount() -> bool:
    done = subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


needs_mount = pytest.mark.skipif(
    shutil.which("unshare") is None or not can_mount(), reason="needs a disk of its own to fill"
)

#: A disk of 32 kB that holds last week's backup; prints what it holds after a command has filled it.
ON_A_SMALL_DISK = """
mount -t tmpfs -o size=32k tmpfs "$0"
[ -z "$1" ] || printf %s "$1" > "$0/monday.db"
shift
"$@"
echo "status $?"
ls -A "$0"
head -c 50 "$0/monday.db"
"""


def on_a_small_disk(disk: Path, before: str, *command: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    disk.mkdir()
    return subprocess.run(
        ["unshare", "-Urm", "sh", "-c", ON_A_SMALL_DISK, str(disk), before, sys.executable, "app.py", *command],
        cwd=ROOT,
        env={**os.environ, "WAKELESS_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_mount
def test_a_disk_that_is_too_small_keeps_the_backup_that_is_there(data_dir: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    done = on_a_small_disk(disk, "last week's", "backup", "--force", str(disk / "monday.db"), data_dir=data_dir)
    assert done.stdout == "status 2\nmonday.db\nlast week's"
    assert "no backup was made" in done.stderr
    assert "disk is full" in done.stderr


@needs_mount
def test_a_disk_that_is_too_small_for_a_restore_keeps_what_is_there(backup: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    done = on_a_small_disk(disk, "kept", "restore", str(backup), data_dir=disk)
    assert done.stdout == "status 2\nmonday.db\nkept"
    assert "nothing was restored" in done.stderr
    assert "disk is full" in done.stderr


def test_a_server_that_does_not_restart_is_told_and_its_next_start_takes_the_backup_up(
    data_dir: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor is this process, which does not listen."""
    from supervisor import lock_data_folder

    heard: list[int] = []
    monkeypatch.setattr(command_backup, "RESTART_SECONDS", 0.0)
    monkeypatch.setattr(command_backup, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(os, "kill", lambda pid, _signal: heard.append(pid))
    with lock_data_folder(data_dir):
        told = run(data_dir, "restore", str(backup))
    assert heard == [os.getpid()]
    assert told.exit_code == 2
    assert "its next start takes the backup up" in told.stderr
    assert (data_dir / "wakeless.db.restore").exists()


def test_beside_a_running_server_a_backup_is_made_and_restored(tmp_path: Path) -> None:
    """The backup has all that the server had; the restart is in order, and what was there is kept."""
    data_dir, backup = tmp_path / "data", tmp_path / "backup.db"
    with RunningServer(data_dir, MODEL__ENABLED="false") as server:
        token = run(data_dir, "token", "create", "early", "--role", "admin").stdout.strip()
        eventually(lambda: len(moments(data_dir)) >= 2, what="some history")
        assert run(data_dir, "backup", str(backup)).exit_code == 0
        assert run(tmp_path / "else", "restore", str(backup)).exit_code == 0
        end = max(moments(tmp_path / "else"))
        assert dump(tmp_path / "else", end) == dump(data_dir, end)
        run(data_dir, "token", "create", "late")
        first = server.worker.pid
        restored = run(data_dir, "restore", str(backup))
        (before,) = set_aside(data_dir / "wakeless.db")
        assert restored.stderr == "the server restarts\n"
        assert restored.stdout == f"{backup} is restored; the database before it is {before}\n"
        server.wait_until_alive()
        assert server.worker.pid != first
        assert names_of_tokens(data_dir) == {"early"}
        header = {"Authorization": f"Bearer {token}"}
        incidents = eventually(lambda: server.json("/api/incidents", **header)["incidents"], what="the restart")
        assert {one["kind"] for one in incidents} == {"planned"}
        assert dump(data_dir, end) == dump(tmp_path / "else", end)
        eventually(lambda: max(moments(data_dir)) > end, what="history that goes on")
    assert run(tmp_path / "undone", "restore", str(before)).exit_code == 0
    assert names_of_tokens(tmp_path / "undone") == {"early", "late"}
    assert dump(tmp_path / "undone", end) == dump(tmp_path / "else", end)


def names_of_tokens(data_dir: Path) -> set[str]:
    return {line.split("\t")[0] for line in run(data_dir, "token", "list").stdout.splitlines()}


def moments(data_dir: Path) -> set[float]:
    """The times of a series that the server writes every second."""
    lines = dump(data_dir, time.time(), "process_threads").splitlines()[:-1]
    return {float(line.rpartition(" ")[2]) for line in lines}
