"""A phone opens the link of a notice and acknowledges, without login and without scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from tests.dashboard.house import House, open_house
from tests.dashboard.test_alertmanager import alert, at, post
from tests.running import free_port


@dataclass
class Home:
    """A house with an address."""

    house: House

    def link(self) -> str:
        """A new link for all that fires."""
        alerts = self.house.services.alerts.current()
        url = self.house.services.quieting.links.make([one.id for one in alerts], max(one.seen_ms for one in alerts))
        assert url is not None
        return url


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    port = free_port()
    with open_house(tmp_path / "data", server={"public_url": f"http://127.0.0.1:{port}"}) as house:
        post(house, alert("Down", severity="critical") | {"startsAt": at(-90)}, alert("Slow", severity="warning"))
        server = make_server("127.0.0.1", port, house.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Home(house)
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_phone_acknowledges_without_scripts(browser: Browser, home: Home) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700}, java_script_enabled=False)
    with context:
        page, link = context.new_page(), home.link()
        page.goto(link)
        expect(page.get_by_role("heading")).to_have_text("Acknowledge 2 alerts?")
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Planned work").check()
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.get_by_role("heading")).to_have_text("Acknowledged")
        expect(page.locator(".ack-state")).to_have_text(["Acknowledged by Ada"] * 2)
        page.goto(link)
        expect(page.get_by_role("heading")).to_have_text("This link has been used")
    said = {(one.state, one.ack_by, one.ack_reason) for one in home.house.services.alerts.current()}
    assert said == {("acknowledged", "Ada", "Planned work")}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(browser: Browser, home: Home, theme: str) -> None:
    for width, language in ((320, "zh-CN"), (1440, "en-US")):
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            locale=language,
            color_scheme="dark" if theme == "dark" else "light",
        )
        with context:
            page, errors = context.new_page(), list[str]()
            page.on("console", lambda line: errors.append(line.text))  # noqa: B023 - called before the next round
            page.goto(home.link())
            found = [
                violation["id"]
                for violation in Axe().run(page).response["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert found == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert errors == []
