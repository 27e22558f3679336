"""Where the files of one log went, and which were written between those that are known."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from targets.logfile.part import MakeFramer, Part
from targets.logfile.piece import Facts, File, Unreadable, digest, head_of, look_at, open_piece
from targets.logfile.rotation import Sibling, siblings

logger = structlog.get_logger(__name__)

#: Files that were read to their end, as far as they are remembered so as not to be taken for new ones.
MOST_DONE = 32
SECOND_NS = 1_000_000_000
#: Looks in a row for copies that are renamed meanwhile.
MOST_LOOKS = 5


class Chain:
    """The files that ``path`` led to and that are not read to their end yet, the oldest first.

    A part without a ``piece`` is looked for among the copies beside the path. A file that stands between two that are
    known, or between one and the path, was rotated away before anybody saw it: it is taken up from its beginning.
    """

    def __init__(self, path: str, make: MakeFramer, gap: Callable[[str, int], None]) -> None:
        self.path = path
        self.parts: list[Part] = []
        self.done: list[dict[str, Any]] = []
        self._make = make
        self._gap = gap
        self._unwoven = False
        self._moved = False  # whether a copy was renamed or compressed between listing and opening it
        self._folder_ns = -1

    def restore(self, parts: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]]) -> None:
        """Go on from a position. The last one may have grown meanwhile."""
        self.parts = [Part.restore(part, self._make) for part in parts]
        self.done = list(done)
        if self.parts:
            self.parts[-1].uncertain = self.parts[-1].size > 0

    @property
    def last(self) -> Part | None:
        """Where the path led to when it was last looked at."""
        return self.parts[-1] if self.parts else None

    @property
    def files(self) -> set[File]:
        """The files that it holds."""
        return {part.file for part in self.parts if part.piece is not None}

    def append(self, part: Part) -> None:
        """The path leads to another file now."""
        self.parts.append(part)
        self._unwoven = True

    def find(self, part: Part) -> bool:
        """Look for a file that is known by its position only."""
        for path, file in self._candidates(part):
            if file in self.files or file in part.refused:
                continue
            if path == self.path and part.is_new and part is not self.last:
                continue  # its number was given to a newer file
            try:
                piece = open_piece(path)
            except Unreadable:
                continue
            try:
                # Nothing tells a file of which nothing was read from another that was given its number.
                is_another = part.is_new and (piece.compressed or self._was_seen(head_of(piece)))
                is_another = is_another or piece.facts.file in self.files  # renamed since it was listed
                found = not is_another and part.try_to_attach(piece)
            except Unreadable:
                found = False
            if found:
                logger.info("log_found_again", source=self.path, path=path, offset=part.framer.offset)
                self._unwoven = True
                return True
            piece.close()
        return False

    def _candidates(self, part: Part) -> list[tuple[str, File]]:
        """Where it may be, the likeliest first: the very file, then copies, plain ones before compressed ones."""
        found: list[tuple[str, Facts]] = []
        if not part.truncated:
            with suppress(Unreadable):  # it was renamed, if it is there at all
                found.append((self.path, look_at(self.path)))
        beside = siblings(self.path)
        found += [(sibling.path, sibling.facts) for sibling in reversed(beside) if not sibling.compressed]
        found.sort(key=lambda one: one[1].file != part.file)
        found += [(sibling.path, sibling.facts) for sibling in reversed(beside) if sibling.compressed]
        return [(path, facts.file) for path, facts in found]

    def give_up(self, part: Part, now_ms: int) -> None:
        """It cannot be found: what was held back of it is given out; what came after that is a gap."""
        unread = max(part.size - part.framer.read_to, 0)
        part.framer.finish(now_ms)
        part.finished = True
        if unread or part.uncertain:
            self._gap("a file is gone before it was read to its end", unread)
        self._unwoven = True

    def weave(self) -> None:
        """Take up what was written between the files that are known. Looks only when something has changed.

        What is renamed or compressed while it is looked at is looked for again at once: a part that is read meanwhile
        is not new any more, and what was written before it would never be missed.
        """
        for _ in range(MOST_LOOKS):
            folder_ns = self._look_at_folder()
            if not self.parts or (folder_ns == self._folder_ns and not self._unwoven):
                return
            self._folder_ns, self._unwoven, self._moved = folder_ns, False, False
            self._weave()
            if not self._moved and self._look_at_folder() == folder_ns:
                return
            self._unwoven = True

    def _weave(self) -> None:
        current = self._head_of_path()  # before the others are: see _is_new
        beside = siblings(self.path)
        places = {sibling.facts.file: place for place, sibling in enumerate(beside)}
        for index in range(len(self.parts) - 1, -1, -1):
            after = self._opened(self._after(index, beside, places), current)
            self.parts[index + 1 : index + 1] = after
            before = self._opened(self._before(index, beside, places), current)
            self.parts[index:index] = before

    def _before(self, index: int, beside: list[Sibling], places: dict[File, int]) -> list[Sibling]:
        """Copies of what a part held while nobody looked: it was empty then, and may have been truncated since."""
        part = self.parts[index]
        if not part.is_new or part.piece is None:
            return []
        older = beside[: places.get(part.file, len(beside))]
        return [sibling for sibling in older if _written(sibling) >= part.before_ns]

    def _look_at_folder(self) -> int:
        try:
            return os.stat(os.path.dirname(self.path) or ".").st_mtime_ns
        except OSError:
            return -1

    def _after(self, index: int, beside: list[Sibling], places: dict[File, int]) -> list[Sibling]:
        """The copies that are younger than a part, and older than the next one."""
        part = self.parts[index]
        if part.piece is None and not part.finished:
            return []
        following = self.parts[index + 1] if index + 1 < len(self.parts) else None
        end = len(beside) if following is None else places.get(following.file, len(beside))
        place = places.get(part.file) if part.piece is not None else None
        if place is not None:
            return beside[place + 1 : end]
        if following is None and not part.finished and not part.deleted:
            return []  # where the path leads to
        return [sibling for sibling in beside[:end] if _written(sibling) >= part.before_ns]

    def disown(self) -> None:
        """What is beside the path at the first look is history: it is not to be taken for new later."""
        for sibling in siblings(self.path)[-MOST_DONE:]:
            with suppress(Unreadable):
                piece = open_piece(sibling.path)
                try:
                    head = head_of(piece)
                finally:
                    piece.close()
                if head:
                    self.done.append({"head_bytes": len(head), "head": digest(head)})

    def _head_of_path(self) -> bytes:
        try:
            piece = open_piece(self.path)
        except Unreadable:
            return b""
        try:
            return head_of(piece)
        except Unreadable:
            return b""
        finally:
            piece.close()

    def _opened(self, fresh: list[Sibling], current: bytes) -> list[Part]:
        parts = []
        for sibling in fresh:
            if sibling.facts.file in self.files:
                continue
            try:
                part = Part.open(sibling.path, self._make)
            except Unreadable as error:
                self._moved = self._moved or error.missing
                logger.info("log_copy_unreadable", source=self.path, path=sibling.path, reason=str(error))
                continue
            is_held = part.file in self.files  # renamed since it was listed
            if part.piece is not None and not is_held and self._is_new(head_of(part.piece), current):
                logger.info("log_found_between", source=self.path, path=sibling.path)
                parts.append(part)
            else:
                part.close()
        return parts

    def _is_new(self, head: bytes, current: bytes) -> bool:
        """Whether a copy that begins so was never seen: no part, not done, not a copy in the making.

        ``current`` was read from the path before ``head`` was: if the path was truncated by then, the copy is whole.
        """
        if not head:
            return False
        if current[: len(head)] == head:
            self._unwoven = True  # look again when it is done
            return False
        return not self._was_seen(head)

    def _was_seen(self, head: bytes) -> bool:
        done = any(
            len(head) >= one["head_bytes"] and digest(head[: one["head_bytes"]]) == one["head"] for one in self.done
        )
        return done or any(part.knows(head) or part.holds(head) for part in self.parts)

    def all_done(self) -> list[dict[str, Any]]:
        """What was read to its end, also what is not committed yet."""
        heads = [part.head for part in self.parts if part.finished and not part.is_new]
        return [*self.done, *({"head_bytes": count, "head": head} for count, head in heads)][-MOST_DONE:]

    def drop_finished(self) -> None:
        """Let go of what was read to its end, once that is committed."""
        self.done = self.all_done()
        for part in self.parts:
            if part.finished:
                part.close()
        self.parts = [part for part in self.parts if not part.finished]

    def close(self) -> None:
        """Let go of all files."""
        for part in self.parts:
            part.close()


def _written(sibling: Sibling) -> int:
    """When it was written at the latest: some compressors keep whole seconds only."""
    written = sibling.facts.mtime_ns
    return written + SECOND_NS - 1 if sibling.compressed and written % SECOND_NS == 0 else written
