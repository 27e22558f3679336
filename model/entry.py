"""What is written into the logbook's page: each function changes it for one thing that has happened to a version."""

from __future__ import annotations

from model.logbook import KEPT, Baseline, Note, Page


def choose(page: Page, version: str) -> None:
    """Somebody switched to it."""
    page.chosen = version


def count_start(page: Page) -> None:
    """A process begins with the version on probation."""
    page.starts += 1


def forgive_start(page: Page) -> None:
    """That process ended in order."""
    page.starts = max(0, page.starts - 1)


def installed(page: Page, version: str, note: Note) -> None:
    """It serves; ``note`` says whether on probation."""
    if page.trial not in (None, version) and (left := page.notes.get(page.trial)) is not None:
        left.state = "unknown"  # another one took its place before there was a verdict
    page.notes[version] = note
    if page.canary == version:
        page.canary = None
    if note.state == "good":
        prove(page, version)
    elif page.trial != version:
        page.trial, page.starts, page.before = version, 1, None


def remember(page: Page, before: Baseline) -> None:
    """What the version on probation is measured by."""
    page.before = before


def failed(page: Page, version: str, note: Note) -> None:
    """It could not be loaded, or was refused."""
    page.notes[version] = note
    page.good = [name for name in page.good if name != version]


def prove(page: Page, version: str) -> None:
    """It is good."""
    page.good = [version, *(name for name in page.good if name != version)][:KEPT]
    page.trial, page.starts, page.before = None, 0, None
    if version in page.notes:
        page.notes[version].state = "good"


def begin_canary(page: Page, version: str, note: Note, serving: str | None) -> None:
    """It answers a share of the requests beside the one that serves, with which a next process starts.

    Without that a process that the canary has ended would be followed by one that starts with it, if it is the newest.
    """
    page.canary, page.notes[version], page.chosen = version, note, serving


def end_canary(page: Page, version: str, why: str | None, now_ms: int, *, failed: bool) -> None:
    """It does so no more: it ``failed``, or somebody or something else ended it."""
    page.canary = None
    if failed:
        page.good = [name for name in page.good if name != version]
    before = page.notes.get(version, Note())
    state = "rolled_back" if failed else "good" if version in page.good else "unknown"
    page.notes[version] = before.model_copy(update={"state": state, "at_ms": now_ms, "reason": why})
