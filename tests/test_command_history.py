"""``import`` and ``export`` as they are called: what goes to stdout, what to stderr, and what is in the file then."""

from __future__ import annotations

import random
import re
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from command import main
from storage.importer import Importer

T0 = 1_795_248_000  # 2026-11-21T08:00:00Z
WINDOW = ("--start", str(T0 - 1000), "--end", str(T0 + 100_000))


def run(data_dir: Path, *arguments: str) -> Result:
    """``python app.py …`` in this process."""
    return CliRunner().invoke(main, list(arguments), env={"WAKELESS_DATA_DIR": str(data_dir)})


def take_in(data_dir: Path, text: str) -> Result:
    file = data_dir.with_suffix(".prom")
    file.write_text(text)
    return run(data_dir, "import", str(file))


def lines(data_dir: Path) -> list[str]:
    """All samples as OpenMetrics text."""
    shown = run(data_dir, "export", *WINDOW, "--format", "openmetrics")
    assert shown.exit_code == 0, shown.stderr
    return shown.stdout.splitlines()


def samples(text: list[str]) -> list[tuple[str, float, float]]:
    """Series, value and time of each line but the last."""
    parts = (line.strip().split(" ") for line in text if not line.startswith("#"))
    return [(series, float(value), float(time)) for series, value, time in parts]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_lines_may_come_in_any_order_and_twice(data_dir: Path) -> None:
    text = [f'x{{n="{number}"}} {second / 7} {T0 + second}\n' for number in range(5) for second in range(200)]
    shuffled = text * 2
    random.Random(1).shuffle(shuffled)
    taken = take_in(data_dir, "".join(shuffled) + "# EOF\n")
    assert taken.stdout.startswith("1,000 samples of 5 series in ")
    assert taken.stdout.endswith(" 1,000 skipped\n")
    assert samples(lines(data_dir)) == samples(text)


def test_a_bad_line_is_named_and_what_was_taken_in_before_it_stays_and_the_mended_file_adds_the_rest(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.openmetrics.PAGE_BYTES", 1000)
    monkeypatch.setattr(Importer.__init__, "__defaults__", (0, 1000))  # writes at once
    good = [f"x {second} {T0 + second}" for second in range(500)]
    refused = take_in(data_dir, "\n".join([*good[:400], "x four 1", *good[400:], "# EOF\n"]))
    assert refused.exit_code == 2
    assert re.search(r"data\.prom: line 401: .*four", refused.stderr), refused.stderr
    mended = take_in(data_dir, "\n".join([*good, "# EOF\n"]))
    assert mended.exit_code == 0
    before = re.search(r"; ([\d,]+) samples before it have been taken in", refused.stderr)
    assert before
    kept = int(before[1].replace(",", ""))
    assert 300 < kept <= 400
    assert mended.stdout.startswith(f"{500 - kept} samples of 1 series")
    assert mended.stdout.endswith(f" {kept} skipped\n")
    assert samples(lines(data_dir)) == samples(good)


def test_what_is_exported_as_openmetrics_and_imported_elsewhere_is_the_same_bit_by_bit(
    data_dir: Path, tmp_path: Path
) -> None:
    dice = random.Random(7)
    odd = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 2**53 + 1]
    values = odd + [struct.unpack("<d", dice.randbytes(8))[0] for _ in range(2000)]
    text = "".join(
        f'x{{a="é\\"\\\\\\n"}} {value!r} {T0 + second}.{second % 1000:03d}\n' for second, value in enumerate(values)
    )
    assert take_in(data_dir, text + "# EOF\n").exit_code == 0
    first = lines(data_dir)
    assert len(first) == len(values) + 1
    assert take_in(tmp_path / "else", "\n".join(first) + "\n").exit_code == 0
    assert lines(tmp_path / "else") == first
    assert raw(tmp_path / "else") == raw(data_dir)
    read = [float(line.split(" ")[1]) for line in first[:-1]]
    assert [struct.pack("<d", value) for value in read if value == value] == [
        struct.pack("<d", value) for value in values if value == value
    ]


def raw(data_dir: Path) -> list[bytes]:
    """Every chunk as it lies in the file."""
    with closing(sqlite3.connect(data_dir / "wakeless.db")) as connection:
        return [values for (values,) in connection.execute('SELECT "values" FROM chunks ORDER BY id')]


@pytest.mark.parametrize("layout", ["wide", "long", "openmetrics"])
def test_progress_goes_to_stderr_and_ends_with_all_of_it(data_dir: Path, layout: str) -> None:
    take_in(data_dir, "".join(f'x{{n="{n}"}} {s} {T0 + s}\n' for n in range(20) for s in range(50)) + "# EOF\n")
    plain = run(data_dir, "export", *WINDOW, "--format", layout)
    assert plain.stderr == ""
    told = run(data_dir, "export", *WINDOW, "--format", layout, "--progress")
    assert told.stdout == plain.stdout
    assert re.fullmatch(r"export of 20 series, about \S+ \w+: 100 %", told.stderr.splitlines()[-1])


def test_a_chunk_that_cannot_be_read_is_told_on_stderr_and_the_rest_is_exported_clean(data_dir: Path) -> None:
    take_in(data_dir, f"sick 1 {T0}\nsick 2 {T0 + 1}\nsound 1 {T0}\n# EOF\n")
    with closing(sqlite3.connect(data_dir / "wakeless.db")) as connection, connection:
        (sick,) = connection.execute("SELECT id FROM series WHERE name = 'sick'").fetchone()
        connection.execute("UPDATE chunks SET \"values\" = x'00' WHERE id & 0xFFFFFFFF = ?", (sick,))
    shown = run(data_dir, "export", *WINDOW, "--format", "long")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == ["time,series,value", "2026-11-21T08:00:00.000Z,sound,1"]
    assert "chunk_unreadable" in shown.stderr


def test_a_database_that_is_none_is_one_line_on_stderr(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "wakeless.db").write_bytes(b"not a database at all, but long enough to be taken for one " * 100)
    for command in (("export",), ("import", "-")):
        refused = run(data_dir, *command)
        assert refused.exit_code == 2
        assert refused.stdout == ""
        assert refused.stderr.count("\n") == 1
        assert "not a SQLite database" in refused.stderr
