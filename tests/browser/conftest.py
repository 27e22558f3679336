"""A real server process and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

#: What takes a moment takes many on a machine that has other things to do.
expect.set_options(timeout=20_000)

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-for-tests"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

RULES = """
groups:
  - name: test
    rules:
      - alert: AlwaysFires
        expr: vector(1)
        labels: { severity: warning }
        annotations: { summary: Something to acknowledge, summary_zh: 有事要确认 }
"""


@dataclass
class Server:
    """One supervised server: ``url`` to reach it, ``process`` is the supervisor."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def child(self) -> psutil.Process:
        """The server process itself."""
        return psutil.Process(self.process.pid).children()[0]

    def wait(self, path: str, seconds: float = 120) -> None:
        """Until the path answers 200."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            try:
                with urllib.request.urlopen(self.url + path, timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise AssertionError(f"{path} did not answer 200 within {seconds} s: {self.log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(folder: Path, **settings: str) -> Server:
    """Start the real program with a data folder of its own."""
    rules, log, port = folder / "rules.yml", folder / "log.txt", free_port()
    rules.write_text(RULES, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAKELESS_")} | {
        "WAKELESS_DATA_DIR": str(folder / "data"),
        "WAKELESS_SERVER__PORT": str(port),
        "WAKELESS_ADMIN_PASSWORD": PASSWORD,
        "WAKELESS_COLLECTORS__SIMULATED_GPUS": "1",
        "WAKELESS_ALERTS__RULES": str(rules),
        "WAKELESS_ALERTS__EVALUATION_INTERVAL_SECONDS": "1",
        **settings,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "serve"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    return Server(f"http://127.0.0.1:{port}", process, log)


def stop_server(server: Server) -> None:
    """End it in order."""
    server.process.terminate()
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait(5)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium; without it these tests are skipped, which CI does not allow."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        assert os.environ.get("CI") != "true", "Chromium is missing, and CI must not skip the browser tests"
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("server"))
    try:
        started.wait("/health/ready")
        yield started
    finally:
        stop_server(started)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


def log_in(page: Page, url: str) -> None:
    """Through the form, as a person does."""
    page.goto(f"{url}/login")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url(f"{url}/")


@contextmanager
def logged_in(browser: Browser, url: str, width: int, height: int) -> Iterator[Page]:
    """A page of one who has logged in at ``url``; fails on errors in its scripts."""
    opened = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
    opened.set_default_timeout(20_000)
    errors: list[str] = []
    opened.on("weberror", lambda error: errors.append(str(error.error)))
    page = opened.new_page()
    log_in(page, url)
    yield page
    opened.close()
    assert errors == []


@pytest.fixture(scope="session")
def login(browser: Browser, server: Server) -> StorageState:
    """The cookies of a person who logged in through the form."""
    opened = browser.new_context()
    log_in(opened.new_page(), server.url)
    state = opened.storage_state()
    opened.close()
    return state


@pytest.fixture
def context(browser: Browser, login: StorageState) -> Iterator[BrowserContext]:
    """A visitor who is logged in, with a desktop's window; fails on errors in the page's scripts."""
    opened = browser.new_context(
        viewport={"width": 1500, "height": 950}, locale="en-GB", color_scheme="dark", storage_state=login
    )
    opened.set_default_timeout(20_000)
    errors: list[str] = []
    opened.on("weberror", lambda error: errors.append(str(error.error)))
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
