"""The way back to the last good version, for a process without a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from model.logbook import FILE_NAME, Logbook, Page
from model.release import NoSwitch, Releases
from model.retreat import WHY, Rearguard, Retreat

NOW_MS = 1_000_000


def rearguard(tmp_path: Path, names: tuple[str, ...], edit: Callable[[Page], None]) -> tuple[Rearguard, Logbook]:
    """What a process in safe mode has: the folder, and what earlier processes remembered."""
    folder = tmp_path / "models" / "shop"
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "model.py").touch()
    folder.mkdir(parents=True, exist_ok=True)
    book = Logbook(tmp_path / FILE_NAME, str(folder))
    book.change(edit)
    return Rearguard(Releases(str(folder), book, lambda: NOW_MS), book, lambda: NOW_MS), book


def known(*good: str, chosen: str | None = None, trial: str | None = None) -> Callable[[Page], None]:
    def edit(page: Page) -> None:
        page.good, page.chosen, page.trial, page.starts = list(good), chosen, trial, 2 if trial else 0

    return edit


@pytest.mark.parametrize(
    ("names", "edit", "way"),
    [
        (("1", "2"), known("1"), Retreat("2", "1")),
        (("1", "2", "3"), known("2", "1"), Retreat("3", "2")),
        # It was good for long, and now it crashes: that one is what has to go.
        (("1", "2"), known("2", "1"), Retreat("2", "1")),
        (("1", "2", "3"), known("2", "1", chosen="1"), Retreat("1", "2")),
        # What was good and has been deleted is no way back.
        (("2", "3"), known("1", "2"), Retreat("3", "2")),
        (("1",), known("1"), Retreat("1", None, "No version but 1 has ever proved itself here.")),
        (("1", "2"), known(), Retreat("2", None, "No version but 2 has ever proved itself here.")),
        ((), known(), Retreat(None, None, "There is one model only: its folder holds no versions to go back to.")),
    ],
)
def test_it_leads_to_the_latest_version_that_was_good_and_is_not_the_one_that_would_start(
    tmp_path: Path, names: tuple[str, ...], edit: Callable[[Page], None], way: Retreat
) -> None:
    found, _ = rearguard(tmp_path, names, edit)
    assert found.way() == way


def test_the_next_process_starts_with_it_and_remembers_why(tmp_path: Path) -> None:
    found, book = rearguard(tmp_path, ("1", "2"), known("1", trial="2"))
    assert found.step_back() == Retreat("2", "1")
    again = Logbook(tmp_path / FILE_NAME, book.page.path)
    assert (again.page.chosen, again.page.trial, again.page.starts) == ("1", None, 0)
    assert (again.page.notes["2"].state, again.page.notes["2"].reason) == ("rolled_back", WHY)
    targets = Releases(book.page.path, again, lambda: NOW_MS).at_start()
    assert [Path(target.path).name for target in targets] == ["1"]


def test_where_there_is_no_way_back_nothing_changes(tmp_path: Path) -> None:
    found, book = rearguard(tmp_path, ("1",), known("1"))
    before = book.page
    with pytest.raises(NoSwitch, match="No version but 1"):
        found.step_back()
    assert book.page == before
