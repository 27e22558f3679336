"""The card to try the model with: it offers what the model takes, and shows what comes back as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.conftest import Server, logged_in, start_server, stop_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TELLING = f"""
from model import BadInput, Model, Schema, Step

class Teller(Model):
    name = "teller"

    def load(self, device):
        pass

    def predict(self, batch):
        if any(one["words"] == 13 for one in batch):
            raise BadInput("13 words bring bad luck.", 422)
        return [dict(words=one["words"], long="x" * 500, picture="{PIXEL}") for one in batch]

    def stream(self, input):
        for number in range(input["words"]):
            yield Step(number + 1, input["words"])
            yield dict(token="<b>word ")

    def schema(self):
        words = dict(type="integer", minimum=3)
        return Schema(
            request={{"application/json": dict(type="object", properties=dict(words=words), required=["words"])}},
            result=dict(type="object"),
        )
"""
SILENT = """
from model import Model

class Teller(Model):
    name = "teller"

    def load(self, device):
        pass

    def decode(self, body, content_type):
        return dict(size=len(body), type=content_type)

    def predict(self, batch):
        return list(batch)
"""


def put(folder: Path, version: int, code: str) -> None:
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.py").write_text(code)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server with the versions in ``folder / "models"``, of which there is one yet."""
    put(folder / "models", 1, TELLING)
    started = start_server(folder, WAKELESS_MODEL__PATH=str(folder / "models"))
    try:
        started.wait("/health/ready")
        yield started
    finally:
        stop_server(started)


@pytest.fixture(scope="module")
def teller(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("teller")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, teller: Server) -> Iterator[Page]:
    with visit(browser, teller) as found:
        yield found


@contextmanager
def visit(browser: Browser, teller: Server) -> Iterator[Page]:
    """The Model page on a phone; fails on errors in its scripts."""
    with logged_in(browser, teller.url, 390, 800) as found:
        found.goto(f"{teller.url}/model")
        yield found


@pytest.fixture
def card(page: Page) -> Locator:
    return page.locator(".try")


def test_a_model_of_json_gets_a_field_with_an_example_and_its_answer_is_read_easily(page: Page, card: Locator) -> None:
    words = card.get_by_label("Body as JSON")
    expect(words).to_have_value('{\n  "words": 3\n}')
    expect(card.locator("#drop")).to_be_hidden()
    expect(card.locator("#curl")).to_have_text(
        f"""curl --json '{{"words": 3}}' {page.url.removesuffix("/model")}/predict"""
    )
    words.fill('{"words": ')
    words.press("Control+Enter")
    expect(card.get_by_role("alert")).to_contain_text("This is not valid JSON")
    expect(words).to_have_attribute("aria-invalid", "true")
    expect(card.locator("#outcome")).to_have_text("")
    words.fill('{"words": 4}')
    expect(card.locator("#words-problem")).to_be_hidden()
    words.press("Control+Enter")
    expect(card.locator("#outcome")).to_contain_text("200 · ")
    expect(card.locator("#outcome")).to_contain_text("version 1")
    assert card.locator("#answer img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1
    card.get_by_text("The whole answer").click()
    fold = card.locator(".fold")
    expect(fold).to_have_count(1)
    expect(fold).to_contain_text("500 characters")
    fold.click()
    expect(fold).to_have_text(f'"{"x" * 500}"')
    words.fill('{"words": 13}')
    card.get_by_role("button", name="Send").click()
    expect(card.locator("#failure")).to_contain_text("The model did not answer this (422)13 words bring bad luck.")
    expect(card.locator("#answer")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_stream_is_shown_as_it_comes_and_can_be_stopped(page: Page, card: Locator) -> None:
    card.get_by_label("Stream").check()
    expect(card.locator("#curl")).to_contain_text("curl -N -H 'Accept: text/event-stream' --json")
    card.get_by_role("button", name="Send").click()
    expect(card.locator("#outcome")).to_contain_text("7 events · version 1")
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "3")
    expect(card.locator("#steps [data-field=step]")).to_have_text("Step 3 of 3")
    expect(card.locator("#steps [data-field=writing]")).to_have_text("<b>word <b>word <b>word")
    expect(card.get_by_role("listitem")).to_have_count(7)
    serious = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
    card.get_by_label("Body as JSON").fill('{"words": 100000000}')
    card.get_by_role("button", name="Send").click()
    expect(card.locator("#steps")).to_contain_text("of 100000000")
    card.get_by_role("button", name="Stop").click()
    expect(card.locator("#outcome")).to_contain_text("Stopped by you")
    expect(card.get_by_role("button", name="Stop")).to_be_hidden()
    page.wait_for_function("fetch('/api/model').then((answer) => answer.json()).then((it) => !it.status.streams_open)")


def test_who_is_refused_reads_why_and_when_to_come_again(page: Page, card: Locator) -> None:
    def refuse(route: Route) -> None:
        problem = {"status": 429, "detail": "The queue is full.", "suggestion": "Send less.", "request_id": "r-1"}
        route.fulfill(status=429, headers={"Retry-After": "7"}, json=problem)

    page.route("**/predict", refuse)
    card.get_by_role("button", name="Send").click()
    failure = card.get_by_role("alert").filter(has_text="429")
    for said in ("The queue is full. Send less.", "Try again in 7 s.", "Request id r-1"):
        expect(failure).to_contain_text(said)


def test_a_version_that_says_nothing_gets_a_switch_as_soon_as_it_serves(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as server, visit(browser, server) as page:
        card = page.locator(".try")
        expect(card.get_by_label("Body as JSON")).to_be_visible()
        put(tmp_path / "models", 2, SILENT)
        page.reload()
        page.locator("#versions li", has_text="2").get_by_role("button", name="Switch").click()
        page.get_by_role("dialog").get_by_role("button", name="Switch").click()
        switch = card.get_by_role("group", name="Form of the body")
        expect(switch).to_be_visible()
        expect(card.locator("#stream-choice")).to_be_hidden()
        switch.get_by_role("button", name="File").click()
        card.locator("#file").set_input_files({"name": "a b.npy", "mimeType": "", "buffer": b"12345"})
        expect(card.locator("#answer [data-field=json]")).to_contain_text('"size": 5')
        expect(card.locator("#curl")).to_contain_text("--data-binary '@a b.npy'")
        switch.get_by_role("button", name="JSON").click()
        card.get_by_role("button", name="Send").click()
        expect(card.locator("#answer [data-field=json]")).to_contain_text('"type": "application/json"')
        page.goto(f"{server.url}/language/zh?next=/model")
        card.get_by_role("button", name="JSON").click()
        expect(card.get_by_role("button", name="发送")).to_be_visible()
