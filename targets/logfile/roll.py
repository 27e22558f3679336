"""Which sources are followed: those that the settings name, and the files that their patterns stand for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection

from collectors.sample import Sample, make_labels
from config_target import LogTarget
from storage.engine import Database
from targets.logfile.container import ContainerSource
from targets.logfile.entry import EntryMatcher, LogState, MakeMatcher
from targets.logfile.file import FileSource
from targets.logfile.following import Following, framer_maker
from targets.logfile.journal import JournalSource
from targets.logfile.piece import Unreadable, look_at
from targets.logfile.place import MOST_FILES, expand, is_glob
from targets.logfile.source import Count, Source
from targets.logfile.store import Key, Stored, load, save
from targets.target import Target

logger = structlog.get_logger(__name__)

#: How often patterns of paths are expanded anew, unless something woke the reader.
EXPAND_MS = 5_000
#: A file of a pattern that is gone is let go after this time; what was read of it stays known.
GONE_MS = 3_600_000


@dataclass(slots=True)
class _Asked:
    """One entry of the settings, and what is followed because of it."""

    target: str
    settings: LogTarget
    followings: dict[str, Following] = field(default_factory=dict)
    error: str | None = None
    expanded_ms: int | None = None
    folder_ns: int = -1
    is_marked: bool = False  #: a pattern: whether the database knows that it was expanded

    @property
    def name(self) -> str:
        settings = self.settings
        return settings.path or (
            f"journal:{settings.journal}" if settings.journal else f"container:{settings.container}"
        )

    @property
    def is_pattern(self) -> bool:
        return self.settings.path is not None and is_glob(self.settings.path)


class Roll:
    """All sources that are followed. Used by the reader's thread."""

    def __init__(self, database: Database, matcher: MakeMatcher) -> None:
        self._database = database
        self._matcher = matcher
        self._asked: list[_Asked] = []

    @property
    def followings(self) -> list[Following]:
        """All sources."""
        return [following for asked in self._asked for following in asked.followings.values()]

    @property
    def folders(self) -> set[str]:
        """The directories in which files may come and go."""
        paths = [asked.settings.path for asked in self._asked if asked.settings.path is not None]
        return {os.path.dirname(path) or "." for path in paths if not is_glob(os.path.dirname(path))}

    def replace(self, targets: Sequence[Target]) -> None:
        """Follow what these name. What is named as before goes on as it was."""
        before = {(asked.target, asked.name): asked for asked in self._asked}
        self._asked = []
        for target in targets:
            for settings in target.settings.log:
                asked = _Asked(target.name, settings)
                if any((target.name, asked.name) == (other.target, other.name) for other in self._asked):
                    logger.warning("log_named_twice", target=target.name, source=asked.name)
                    continue
                known = before.get((target.name, asked.name))
                if known is not None and known.settings == settings:
                    before.pop((target.name, asked.name))
                    asked = known
                self._asked.append(asked)
        for gone in before.values():
            for following in gone.followings.values():
                following.source.close()

    def refresh(self, now_ms: int) -> None:
        """Begin to follow what is not followed yet. Raises :class:`storage.error.StorageError`."""
        for asked in self._asked:
            if asked.is_pattern:
                self._expand(asked, now_ms)
            elif not asked.followings:
                self._follow(asked, asked.name, is_new=False)

    def _expand(self, asked: _Asked, now_ms: int) -> None:
        pattern = asked.settings.path or ""
        folder_ns = _folder_ns(pattern)
        is_due = asked.expanded_ms is None or not 0 <= now_ms - asked.expanded_ms < EXPAND_MS
        if not is_due and folder_ns == asked.folder_ns:
            return
        is_new = asked.expanded_ms is not None
        if not is_new:
            is_new = asked.is_marked = load(self._database, (asked.target, asked.name)) is not None
        for name, following in list(asked.followings.items()):
            if following.missing_ms is not None and now_ms - following.missing_ms > GONE_MS:
                following.source.close()
                del asked.followings[name]
        asked.error = None
        for path in expand(pattern, set(asked.followings)):
            if path not in asked.followings and not self._is_held(asked, path):
                if len(asked.followings) >= MOST_FILES:
                    asked.error = f"stands for more than {MOST_FILES} files: the others are not followed"
                    break
                self._follow(asked, path, is_new=is_new)
        asked.expanded_ms, asked.folder_ns = now_ms, folder_ns

    def _is_held(self, asked: _Asked, path: str) -> bool:
        """Whether the file is another source's, which it was renamed from."""
        try:
            file = look_at(path).file
        except Unreadable:
            return False
        sources = [following.source for following in asked.followings.values()]
        return any(isinstance(source, FileSource) and file in source.files for source in sources)

    def _follow(self, asked: _Asked, name: str, *, is_new: bool) -> None:
        key = (asked.target, name)
        stored = load(self._database, key)
        try:
            matcher = self._matcher(asked.target, name, asked.settings)
            source = _make_source(asked.settings, name, matcher, stored, is_new=is_new)
        except ValueError as error:  # an expression that is none
            if asked.error is None:
                logger.warning("log_not_followed", target=asked.target, source=name, reason=str(error))
            asked.error = str(error)
            return
        asked.error = None
        following = Following(key, source, matcher, stored)
        if asked.is_pattern:  # which of the files that match are its own is told by those that it holds
            source.look(0)
        asked.followings[name] = following

    def save(self, connection: Connection, now_ms: int) -> None:
        """Note that patterns were expanded: what matches from now on is new, and read from its beginning."""
        for asked in self._asked:
            if asked.is_pattern and asked.expanded_ms is not None and not asked.is_marked:
                save(connection, (asked.target, asked.name), {"parts": [], "done": []}, Count(), {}, now_ms)

    def settled(self) -> None:
        """That is committed."""
        for asked in self._asked:
            asked.is_marked = asked.is_marked or asked.expanded_ms is not None

    @property
    def keys(self) -> set[Key]:
        """All that is kept in the database for what is followed."""
        named = {(asked.target, asked.name) for asked in self._asked}
        return named | {following.key for following in self.followings}

    def states(self) -> list[LogState]:
        """Of patterns for which there is no file, and of what cannot be followed at all."""
        return [
            LogState(asked.target, asked.name, False, asked.error or "no file matches", 0, 0, 0, 0, None)
            for asked in self._asked
            if asked.error is not None or (asked.is_pattern and not asked.followings)
        ]

    def samples(self) -> list[Sample]:
        """The same as series."""
        return [
            Sample("log_up", make_labels(target=state.target, source=state.source), 0.0)
            for state in self.states()
        ]  # fmt: skip

    def close(self) -> None:
        """Let go of everything."""
        for following in self.followings:
            following.source.close()


def _folder_ns(pattern: str) -> int:
    try:
        return os.stat(os.path.dirname(pattern) or ".").st_mtime_ns
    except OSError:
        return -1


def _make_source(
    settings: LogTarget, name: str, matcher: EntryMatcher, stored: Stored | None, *, is_new: bool
) -> Source:
    make = framer_maker(matcher, settings.max_line_bytes)
    position = None if stored is None else stored.position
    count = Count() if stored is None else Count(stored.count.lines, stored.count.bytes, stored.count.gaps)
    begin = "start" if is_new else settings.begin
    if settings.journal is not None:
        return JournalSource(settings.journal, make, begin=begin, stored=position, count=count)
    if settings.container is not None:
        return ContainerSource(
            settings.container, settings.socket, make, begin=begin, stored=position, count=count
        )  # fmt: skip
    return FileSource(name, make, begin=begin, stored=position, count=count)
