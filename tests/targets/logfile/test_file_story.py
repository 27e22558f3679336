"""Whatever a writer, rotation and kills do, in any order: every line is given out once."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.targets.logfile.reading import Reader


class LogStory(RuleBasedStateMachine):
    """A writer that appends, as most do; rotation by any means; a reader that is killed, or cannot commit."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="story-"))
        self.path = self.folder / "app.log"
        self.reader = Reader(self.path)
        self.expected: list[str] = []
        self.partial = ""
        self.number = 0
        self.reader_knows = True  # whether the reader has seen everything that is in the file

    def _line(self) -> str:
        self.number += 1
        return f"line {self.number:06d} of the story" + "." * (self.number % 50)

    def _append(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)
        self.reader_knows = False

    @initialize()
    def begin(self) -> None:
        self._append("")
        self.reader.round()  # what was rotated away before the first look is history

    @rule(count=st.integers(1, 300))
    def write(self, count: int) -> None:
        lines = [self._line() for _ in range(count)]
        first = self.partial + lines[0]
        self._append(first[len(self.partial) :] + "\n" + "".join(line + "\n" for line in lines[1:]))
        self.expected += [first, *lines[1:]]
        self.partial = ""

    @rule()
    def write_half_a_line(self) -> None:
        half = self._line()
        self._append(half)
        self.partial += half

    def _shift(self) -> None:
        copies = sorted(
            (one for one in self.folder.iterdir() if one.name.startswith("app.log.")),
            key=lambda one: -int(one.name.split(".")[2]),
        )
        for one in copies:
            parts = one.name.split(".")
            parts[2] = str(int(parts[2]) + 1)
            os.rename(one, self.folder / ".".join(parts))

    def _end_partial(self) -> None:
        if self.partial:
            self.expected.append(self.partial)
            self.partial = ""

    @rule()
    def rename(self) -> None:
        self._shift()
        os.rename(self.path, self.folder / "app.log.1")
        self._end_partial()
        self._append("")

    @rule()
    def copy_and_truncate(self) -> None:
        self._shift()
        shutil.copyfile(self.path, self.folder / "app.log.1")
        os.truncate(self.path, 0)
        self._end_partial()
        self.reader_knows = False

    @rule()
    def compress_the_copies(self) -> None:
        for one in self.folder.iterdir():
            if one.name.startswith("app.log.") and one.suffix != ".gz":
                facts = one.stat()
                packed = one.with_name(one.name + ".gz")
                with one.open("rb") as source, gzip.open(packed, "wb") as target:
                    shutil.copyfileobj(source, target)
                os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
                one.unlink()

    @precondition(lambda self: self.reader_knows and not self.partial)
    @rule()
    def truncate_what_was_read(self) -> None:
        os.truncate(self.path, 0)

    @precondition(lambda self: self.reader_knows and not self.partial)
    @rule()
    def replace_what_was_read(self) -> None:
        self.path.unlink()
        self._append("")

    @rule()
    def read_and_commit(self) -> None:
        self.reader.round()
        self.reader.round()
        self.reader_knows = True

    @rule(most=st.integers(1, 30_000))
    def read_a_little(self, most: int) -> None:
        self.reader.now_ms += 100
        self.reader.source.look(self.reader.now_ms)
        entries, _more = self.reader.source.read(self.reader.now_ms, most)
        self.reader._fresh += entries

    @rule()
    def commit(self) -> None:
        self.reader.commit()

    @rule()
    def fail_to_commit(self) -> None:
        self.reader.fail()
        self.reader_knows = False

    @rule()
    def kill(self) -> None:
        self.reader.kill()
        self.reader_knows = False

    @invariant()
    def nothing_is_given_out_twice(self) -> None:
        lines = self.reader.lines
        assert len(lines) == len(set(lines))

    def teardown(self) -> None:
        try:
            self.reader.finish()
            self._append("the last\n")
            self.reader.finish()
            expected = [*self.expected, self.partial + "the last"]
            assert sorted(self.reader.lines) == sorted(expected)
            assert self.reader.count.lines == len(expected)
        finally:
            self.reader.source.close()
            shutil.rmtree(self.folder)


TestLogStory = LogStory.TestCase
TestLogStory.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


def test_half_a_line_that_was_not_committed_is_found_in_the_copy_of_a_truncated_file() -> None:
    story = LogStory()
    story.begin()
    story.write_half_a_line()
    story.read_and_commit()
    story.copy_and_truncate()
    story.fail_to_commit()
    story.teardown()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_same_for_many_stories() -> None:
    run_state_machine_as_test(LogStory, settings=settings(max_examples=1000, stateful_step_count=50, deadline=None))
