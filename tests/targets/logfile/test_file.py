"""One path is followed, whatever becomes of the files that it leads to."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from targets.logfile import chain
from targets.logfile.place import expand
from targets.logfile.rotation import Sibling, siblings
from tests.targets.logfile.reading import Reader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "app.log"
    found.touch()
    return found


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_file_is_followed_from_its_end_by_default(path: Path) -> None:
    append(path, "old\nhalf")
    reader = Reader(path, begin="end")
    reader.round()
    append(path, " is whole\nnew\n")
    reader.finish()
    assert reader.lines == ["half is whole", "new"]


def test_a_file_that_comes_late_is_read_from_its_beginning(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "none" / "app.log", begin="end")
    reader.round()
    assert reader.source.up is False
    assert "no directory" in (reader.source.error or "")
    (tmp_path / "none").mkdir()
    append(reader.path, "first\n")
    reader.finish()
    assert reader.lines == ["first"]
    assert reader.source.up is True


def test_what_was_written_before_a_truncation_is_read_from_the_copy(path: Path, tmp_path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n")
    reader.round(2)
    append(path, "two\n")
    shutil.copyfile(path, tmp_path / "app.log.1")
    os.truncate(path, 0)
    append(path, "three\n")
    reader.finish()
    assert reader.lines == ["one", "two", "three"]
    assert reader.count.gaps == 0


def test_a_file_that_was_written_anew_and_is_longer_than_before_is_noticed(path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n")
    reader.round(2)
    path.write_text("a much longer first line\nand a second one\n")
    reader.finish()
    assert reader.lines == ["one", "a much longer first line", "and a second one"]


def test_a_deleted_file_is_read_to_its_end_and_let_go(path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n")
    reader.round(2)
    append(path, "two\nhalf")
    path.unlink()
    reader.finish()
    assert reader.lines == ["one", "two", "half"]
    assert reader.source.files == set()
    append(path, "three\n")
    reader.finish()
    assert reader.lines[-1] == "three"


def test_a_renamed_file_is_read_on_while_its_writer_stays_with_it(path: Path, tmp_path: Path) -> None:
    reader = Reader(path)
    with path.open("a") as writer:
        writer.write("one\n")
        writer.flush()
        reader.round(2)
        path.rename(tmp_path / "app.log.1")
        path.touch()
        reader.round(5, seconds=40.0)
        writer.write("two\n")
    reader.finish()
    assert reader.lines == ["one", "two"]


def test_what_was_compressed_while_nobody_looked_is_read_from_its_offset(path: Path, tmp_path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n" * 50)
    reader.round(2)
    append(path, "two\n")
    with path.open("rb") as source, gzip.open(tmp_path / "app.log.1.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    path.unlink()
    append(path, "three\n")
    reader.kill()
    reader.finish()
    assert reader.lines == ["one"] * 50 + ["two", "three"]
    assert reader.count.gaps == 0


def test_what_cannot_be_found_is_said(path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n")
    reader.round(2)
    append(path, "two\n")
    reader.source.close()
    path.rename(path.parent / "elsewhere")
    append(path, "three\n")
    reader.kill()
    reader.finish()
    assert reader.lines == ["one", "three"]
    assert reader.count.gaps == 1


def test_another_file_that_was_given_the_same_number_is_not_taken_for_it(path: Path) -> None:
    reader = Reader(path)
    append(path, "one\n")
    reader.round(2)
    path.write_text("another\n")  # in place: device and inode stay
    reader.kill()
    reader.finish()
    assert reader.lines == ["one", "another"]


def test_a_file_that_lost_its_end_is_not_read_again(path: Path) -> None:
    lines = [f"line {number:05d}\n" for number in range(1000)]
    append(path, "".join(lines))
    reader = Reader(path)
    reader.round(3)
    os.truncate(path, 545 * len(lines[0]))  # as after a power cut
    reader.kill()
    reader.round()
    append(path, "new\n")
    reader.finish()
    assert len(reader.lines) == 1001
    assert len(set(reader.lines)) == 1001


def test_links_are_followed_to_where_they_lead_now(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(path)
    reader = Reader(link)
    append(path, "one\n")
    reader.round(2)
    append(tmp_path / "next.log", "two\n")
    link.unlink()
    link.symlink_to(tmp_path / "next.log")
    reader.finish()
    assert reader.lines == ["one", "two"]


@pytest.mark.parametrize(("kind", "reason"), [("fifo", "a FIFO"), ("folder", "a directory"), ("device", "a device")])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / "app.log"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    reader = Reader(path)
    reader.round()
    assert reader.source.up is False
    assert reason in (reader.source.error or "")


def test_a_file_that_may_not_be_read_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, "one\n")
    reader = Reader(path)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:  # root may read everything
        patched.setattr("targets.logfile.piece.os.open", refuse)
        reader.round()
    assert reader.source.up is False
    assert "permission" in (reader.source.error or "")
    reader.finish()
    assert reader.source.up is True
    assert reader.lines == ["one"]


def test_a_file_of_proc_does_no_harm() -> None:
    reader = Reader(Path("/proc/uptime"))
    reader.round(3)
    assert reader.source.up is True
    assert reader.lines == []


def test_what_is_written_between_looking_and_reading_is_no_truncation(path: Path) -> None:
    append(path, "one\n")
    reader = Reader(path)
    reader.round(2)
    append(path, "two\n")
    reader.source.look(reader.now_ms)
    append(path, "three\n")
    for _ in range(3):
        reader.source.read(reader.now_ms, 1 << 20)
    reader.finish()
    assert reader.source.count.lines == 3
    assert len(reader.source._chain.parts) == 1


def test_a_flood_is_read_in_bounded_stretches(path: Path) -> None:
    append(path, "a line of some length\n" * 200_000)
    reader = Reader(path)
    reader.source.look(0)
    _entries, more = reader.source.read(0, 500_000)
    assert more
    assert 400_000 < reader.source.count.bytes <= 500_000


@pytest.mark.parametrize("options", ["create", "create\ncompress", "copytruncate", "copytruncate\ncompress", "dateext"])
@pytest.mark.parametrize("dead", [False, True])
def test_what_logrotate_rotates_is_read_once(path: Path, tmp_path: Path, options: str, dead: bool) -> None:
    configuration = tmp_path / "logrotate.conf"
    how = options + ("\ndateformat -%Y%m%d-%s" if "dateext" in options else "")
    configuration.write_text(f"{path} {{\nsu root root\nrotate 9\nmissingok\n{how}\n}}\n")
    reader = Reader(path)
    reader.round()
    expected = []
    for turn in range(1 if "dateext" in options else 3):  # two of one second would have one name
        for number in range(100):
            expected.append(f"turn {turn} line {number}")
        append(path, "".join(line + "\n" for line in expected[-100:]))
        if turn != 1:
            reader.round()
        if dead:
            reader.source.close()
        command = ["/usr/sbin/logrotate", "--force", "--state", str(tmp_path / "state"), str(configuration)]
        subprocess.run(command, check=True)
        if dead:
            reader.kill()
        path.touch()
    reader.finish()
    assert sorted(reader.lines) == sorted(expected)
    assert reader.count.gaps == 0


def test_older_copies_are_no_logs_of_their_own(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log-20260131", "a.log.2.gz", "b.log", "gone.log.1"):
        (tmp_path / name).touch()
    (tmp_path / "link.log").symlink_to(tmp_path / "b.log")
    found = [os.path.basename(one) for one in expand(f"{tmp_path}/*.log*", {f"{tmp_path}/gone.log"})]
    assert found == ["a.log", "b.log"]


def test_a_copy_that_is_renamed_while_it_is_looked_for_is_read_all_the_same(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was empty at the last look: nothing but the copies tells what was written to it and truncated."""
    reader = Reader(path)
    reader.round()
    append(path, "one\n")
    shutil.copyfile(path, tmp_path / "app.log.1")
    os.truncate(path, 0)
    append(path, "two\n")
    left = [tmp_path / "app.log.2", tmp_path / "app.log.1"]

    def late(of: str) -> list[Sibling]:
        """The copies as they were a moment ago: one of them is renamed right after it was listed."""
        found = siblings(of)
        if len(left) > 1:
            left.pop().rename(left[-1])
        return found

    monkeypatch.setattr(chain, "siblings", late)
    reader.finish()
    assert reader.lines == ["one", "two"]
    assert reader.count.gaps == 0
