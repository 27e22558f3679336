"""Be told when files come, go or are renamed, instead of finding out a second later."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

logger = structlog.get_logger(__name__)

#: Directories that are watched; each takes two threads. Those beyond are looked at once a second, as all are.
MOST_FOLDERS = 16


class Waker:
    """Sets ``event`` when something happens to the names in some directories. Without inotify it never does.

    What is written to files is not asked for: a busy log would wake the reader thousands of times a second.
    """

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._observer: BaseObserver | None = None
        self._watches: dict[str, ObservedWatch] = {}
        self._failed: set[str] = set()

    def dispatch(self, _event: FileSystemEvent) -> None:
        """What the observer calls."""
        self._event.set()

    def watch(self, folders: set[str]) -> None:
        """Watch these from now on."""
        wanted = set(sorted(folder for folder in folders if os.path.isdir(folder))[:MOST_FOLDERS])
        for folder in self._watches.keys() - wanted:
            self._drop(folder)
        self._failed &= wanted
        for folder in wanted - self._watches.keys() - self._failed:
            self._add(folder)

    def _add(self, folder: str) -> None:
        from watchdog.events import FileCreatedEvent, FileDeletedEvent, FileMovedEvent
        from watchdog.observers import Observer

        try:
            if self._observer is None:
                self._observer = Observer()
                self._observer.daemon = True
                self._observer.start()
            self._watches[folder] = self._observer.schedule(
                self,  # type: ignore[arg-type] # its dispatch is all that is called
                folder,
                event_filter=[FileCreatedEvent, FileDeletedEvent, FileMovedEvent],
            )
        except OSError as error:  # no inotify, or no more watches: every directory is looked at anyway
            self._failed.add(folder)
            logger.info("log_folder_not_watched", folder=folder, error=str(error))

    def _drop(self, folder: str) -> None:
        watch = self._watches.pop(folder)
        if self._observer is not None:
            with suppress(KeyError, OSError):  # the directory is gone, and its watch with it
                self._observer.unschedule(watch)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(2.0)
            self._observer = None
        self._watches.clear()
