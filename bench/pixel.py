"""Measures the delay from sample to pixel: from the moment a tick's collection begins to the moment its point is drawn.

    python -m bench.pixel [--seconds 60] [--range 5m]

It starts the real program with two simulated GPUs and Debian's Chromium on the same machine, so that both ends read the
same clock. A chart notes in ``data-drawn-ms`` when it was drawn, in ``data-sample-ms`` the time of its newest sample.
What is measured is the end of Plotly's drawing; the compositor shows it with the next refresh (at most 17 ms later).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "bench-password"
CHART = "gpu_memory"

WATCH = """
(chart) => {
  window.delays = [];
  window.drawing = [];
  const plot = document.querySelector(`[data-chart="${chart}"] .plot`);
  let last = plot.dataset.sampleMs;
  new MutationObserver(() => {
    const { sampleMs, drawnMs, tookMs } = plot.dataset;
    window.drawing.push(Number(tookMs));
    if (sampleMs === last) return;
    last = sampleMs;
    window.delays.push(Number(drawnMs) - Number(sampleMs));
  }).observe(plot, { attributes: true, attributeFilter: ["data-took-ms"] });
}
"""


def main() -> None:
    """Start everything, measure, print, clean up."""
    options = _options()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is missing (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        url, process = _start(Path(folder))
        try:
            _wait(url)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1600, "height": 1000})
                _open(page, url, options.range)
                page.evaluate(WATCH, CHART)
                page.wait_for_timeout(options.seconds * 1000)
                _report(page, options)
                browser.close()
        finally:
            process.terminate()
            process.wait(30)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure")
    parser.add_argument("--range", default="5m", choices=["5m", "15m", "1h"], help="the shown time range")
    return parser.parse_args()


def _start(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "WAKELESS_DATA_DIR": str(folder / "data"),
        "WAKELESS_SERVER__PORT": str(port),
        "WAKELESS_ADMIN_PASSWORD": PASSWORD,
        "WAKELESS_COLLECTORS__SIMULATED_GPUS": "2",
    }
    command = [sys.executable, str(ROOT / "app.py"), "serve"]
    process = subprocess.Popen(
        command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    return f"http://127.0.0.1:{port}", process


def _wait(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server did not become ready within a minute")


def _open(page: Page, url: str, shown: str) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url(f"{url}/")
    page.click(f'#ranges [data-range="{shown}"]')
    page.wait_for_selector(f'[data-chart="{CHART}"] .plot[data-drawn-ms]')


def _report(page: Page, options: argparse.Namespace) -> None:
    delays = sorted(page.evaluate("window.delays"))
    drawing = sorted(page.evaluate("window.drawing"))
    if len(delays) < 5:
        sys.exit(f"only {len(delays)} ticks were drawn; measure for longer")
    visible = page.evaluate("[...document.querySelectorAll('.plot')].filter((plot) => plot.dataset.drawnMs).length")
    print(f"range {options.range}, {len(delays)} ticks, {visible} charts drawn in a window of 1600 x 1000")
    median, late = statistics.median(delays), _share(delays, 0.95)
    print(f"sample to pixel: median {median:.0f} ms, p95 {late:.0f} ms, worst {delays[-1]:.0f} ms")
    print(f"drawing one chart: median {statistics.median(drawing):.1f} ms, p95 {_share(drawing, 0.95):.1f} ms")


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
