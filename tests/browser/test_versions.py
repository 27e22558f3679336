"""Another version is put into service from the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, logged_in, start_server, stop_server
from tests.running import eventually

CODE = """
from model import Model

class Echo(Model):
    name = "echo"
    classes = {classes!r}

    def load(self, device):
        pass

    def predict(self, batch):
        return [dict(version={version}, said=said) for said in batch]

    def golden(self):
        return [("hello", lambda answer: answer["version"] == {version})]
"""


@pytest.fixture
def versioned(chromium: str, tmp_path: Path) -> Iterator[Server]:
    """A server with version 1 of a model, and 2 and 3 beside it; 3 names other classes."""
    folder = tmp_path / "models" / "echo"
    for version, classes in ((3, ["dog"]), (2, ["cat"]), (1, ["cat"])):
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "model.py").write_text(CODE.format(version=version, classes=classes))
    (folder / "3").rename(folder / ".3")
    (folder / "2").rename(folder / ".2")
    started = start_server(tmp_path, WAKELESS_MODEL__PATH=str(folder), WAKELESS_MODEL__DEVICE="cpu")
    try:
        started.wait("/health/ready")
        (folder / ".2").rename(folder / "2")
        (folder / ".3").rename(folder / "3")
        yield started
    finally:
        stop_server(started)


def test_a_version_is_switched_to_and_one_that_differs_only_when_it_is_meant(
    browser: Browser, versioned: Server
) -> None:
    with logged_in(browser, versioned.url, 1500, 950) as page:
        page.goto(f"{versioned.url}/model")
        rows = page.locator("#versions li")
        expect(rows).to_have_count(3)
        expect(rows.nth(2)).to_contain_text("serves · good")
        _switch(page, 1, "Switch")
        expect(rows.nth(1)).to_contain_text("serves · on probation")
        expect(rows.nth(2)).to_contain_text("the last good one")
        _switch(page, 0, "Switch")
        expect(rows.nth(0)).to_contain_text("differs: no class cat any more; a new class dog")
        expect(rows.nth(1)).to_contain_text("serves")
        _switch(page, 0, "Switch all the same")
        expect(rows.nth(0)).to_contain_text("serves · on probation")
        expect(rows.nth(1)).to_contain_text("no verdict yet")
        expect(page.locator("h1")).to_have_text("echo 3")


def _settled(page: Page) -> bool:
    """Whether the last switch has ended: the page shows a version as soon as it serves, which is a moment before."""
    answer = page.request.get(page.url.replace("/model", "/api/model/versions"))
    assert answer.ok
    switch = answer.json()["switch"]
    return switch is None or switch["state"] != "loading"


def _switch(page: Page, row: int, words: str) -> None:
    eventually(lambda: _settled(page), what="the end of the last switch")
    page.locator("#versions li").nth(row).get_by_role("button", name=words, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=words, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
