"""Memory stays bounded while nothing can be sealed: the oldest sections are left to the journal alone."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from storage.backlog import Backlog
from storage.head import Section
from storage.journal import Segment, State, replay, segment_path
from storage.timeline import Timeline

logger = structlog.get_logger(__name__)

#: What cannot be sealed may take so much memory: seven hours of 300 series at one second.
UNSEALED_BYTES = 64 * 1024 * 1024
_SAMPLE_BYTES = 8


class Shelf:
    """Answers leave out what lies here until it can be sealed. Used by one thread at a time."""

    def __init__(self, journal: Backlog) -> None:
        self._journal = journal
        self._numbers: list[int] = []

    def __len__(self) -> int:
        """The sections that lie here."""
        return len(self._numbers)

    def relieve(self, timeline: Timeline) -> int:
        """Take the oldest sections off ``timeline`` while all take too much; returns the ticks lost with them.

        Only what the disk has refused to the journal as well is lost.
        """
        *ended, current = timeline.unsealed()
        samples = current.samples + sum(section.samples for section in ended)
        lost = 0
        for section in ended:
            if samples * _SAMPLE_BYTES <= UNSEALED_BYTES:
                break
            samples -= section.samples
            missing = self._journal.forget(section.number)
            timeline.leave(section)
            self._numbers.append(section.number)
            logger.warning("history_left_memory", segment=section.number, ticks_lost=missing)
            lost += missing
        return lost

    def sections(self, identity: str) -> Iterator[Section]:
        """What lies here, one after the other, oldest first; each is off the shelf when the next is asked for."""
        for number in list(self._numbers):
            segment = Segment(number, segment_path(self._journal.folder, number))
            if segment.path.exists():
                section = Section(number)
                for record in replay(segment, identity):
                    for row in [] if isinstance(record, State) else record:
                        section.push(row)
                yield section
            self._numbers.remove(number)
