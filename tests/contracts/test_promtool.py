"""promtool asks a real server, and prints what the API says."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.conftest import T0
from tests.contracts.peer import Peer
from tests.running import RunningServer, eventually

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROMTOOL or "", *arguments], capture_output=True, text=True, check=False, timeout=30)


def ask(*arguments: str) -> list[str]:
    done = promtool("query", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@cache
def takes_a_token() -> bool:
    """Whether this promtool has the option; Debian's 2.42 has not."""
    shown = promtool("query", "instant", "--help")
    return "--http.config.file" in shown.stdout + shown.stderr


def quoted(text: str) -> str:
    """A label's value as promtool prints it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def printed(metric: dict[str, str]) -> str:
    """A label set as promtool prints it."""
    pairs = ", ".join(f'{name}="{quoted(value)}"' for name, value in sorted(metric.items()) if name != "__name__")
    name = metric.get("__name__", "")
    return f"{name}{{{pairs}}}" if pairs or not name else name


def decimal(line: str) -> tuple[str, float, float]:
    """A printed point: what it belongs to, its value and its moment."""
    found = re.fullmatch(r"(?:(.*) => )?(\S+) @\[(\S+)\]", line)
    assert found, line
    return found[1] or "", float(found[2]), float(found[3])


@pytest.mark.parametrize("query", ["a", 'a{gpu="1"}', "sum(a)", "b_total", "big", "odd == -Inf", "rate(b_total[10s])"])
def test_instant(wakeless: RunningServer, ours: Peer, query: str) -> None:
    moment = f"{T0 + 31}.5"
    said = ours.get("query", query=query, time=moment).data["result"]
    assert said
    shown = sorted(map(decimal, ask("instant", f"--time={moment}", wakeless.url, query)))
    expected = sorted((printed(one["metric"]), float(one["value"][1]), float(one["value"][0])) for one in said)
    assert shown == expected


def test_a_scalar_and_a_string(wakeless: RunningServer) -> None:
    assert ask("instant", f"--time={T0}", wakeless.url, "1/3") == [f"scalar: 0.3333333333333333 @[{T0}]"]
    assert ask("instant", "--format=json", wakeless.url, "vector(1)") != []


@pytest.mark.parametrize("query", ["a", "sum by (gpu) (a)", "b_total", "1"])
def test_range(wakeless: RunningServer, ours: Peer, query: str) -> None:
    window: dict[str, Any] = {"start": T0, "end": T0 + 20, "step": "4s"}
    said = ours.get("query_range", query=query, **window).data["result"]
    assert said
    shown = ask("range", *(f"--{name}={value}" for name, value in window.items()), wakeless.url, query)
    expected: list[str | tuple[str, float, float]] = []
    for one in said:
        expected.append(f"{printed(one['metric']) or '{}'} =>")
        expected += [decimal(f"{value} @[{time}]") for time, value in one["values"]]
    assert [line if line.endswith("=>") else decimal(line) for line in shown] == expected


def test_series(wakeless: RunningServer, ours: Peer) -> None:
    for matchers in (["a"], ["a", 'odd{is="nan"}'], ["b_total"]):
        said = ours.get("series", match=matchers).data
        shown = ask(
            "series", *(f"--match={one}" for one in matchers), f"--start={T0}", f"--end={T0 + 60}", wakeless.url
        )
        assert shown == [
            "{" + ", ".join(f'{name}="{quoted(value)}"' for name, value in sorted(one.items())) + "}" for one in said
        ]
    # Without times promtool asks for 9999 hours, in which there is only what the server has measured itself.
    lately = eventually(lambda: ask("series", "--match={__name__=~'a|load1'}", wakeless.url), what="a first tick")
    assert lately == ['{__name__="load1"}']


def test_labels(wakeless: RunningServer, ours: Peer) -> None:
    for name in ("gpu", "__name__", "path"):
        shown = ask("labels", f"--start={T0}", f"--end={T0 + 60}", wakeless.url, name)
        said = ours.get(f"label/{name}/values", start=T0, end=T0 + 60).data
        assert said
        assert shown == said


def test_a_bad_query_is_told(wakeless: RunningServer) -> None:
    done = promtool("query", "instant", wakeless.url, "sum(")
    assert done.returncode != 0
    assert "bad_data" in done.stderr
    assert "parse error" in done.stderr


def test_a_token_comes_from_a_file(wakeless: RunningServer, token_file: Path) -> None:
    if not takes_a_token():
        pytest.skip("this promtool cannot send a token (from 2.43 on it can)")
    found = ask("instant", f"--http.config.file={token_file}", f"--time={T0}", wakeless.url, "1")
    assert found == [f"scalar: 1 @[{T0}]"]
