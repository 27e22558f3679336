"""The same history twice: in Wakeless, and where it is installed in Prometheus itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.sample import Sample, Tick
from tests.contracts.peer import Peer
from tests.dashboard.house import open_house
from tests.running import RunningServer, eventually, free_port

T0 = 1_700_000_000

#: Time in milliseconds after T0, and then each series with its value.
HISTORY: list[tuple[int, dict[tuple[tuple[str, str], ...], float]]] = [
    (
        second * 1000 + (250 if second % 7 == 3 else 0),
        {
            (("__name__", "a"), ("gpu", "0")): 10.0 ** (second - 12),
            (("__name__", "a"), ("gpu", "1")): second / 3,
            (("__name__", "b_total"), ("path", 'say "hi"\\ <&>')): 7.0 * second,
            (("__name__", "big"),): 123456789012345680.0 + 4e20 * second,
            (("__name__", "odd"), ("is", "nan")): float("nan"),
            (("__name__", "odd"), ("is", "inf")): float("-inf"),
        },
    )
    for second in range(0, 60, 2)
]


@pytest.fixture(scope="session")
def wakeless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server with that history, which anyone may read."""
    folder = tmp_path_factory.mktemp("contract") / "data"
    with open_house(folder) as house:
        house.services.store.append(
            [
                Tick(
                    "t", T0 * 1000 + ms, tuple(Sample(labels[0][1], labels[1:], value) for labels, value in row.items())
                )
                for ms, row in HISTORY
            ]
        )
    with RunningServer(
        folder, AUTH__ANONYMOUS="viewer", MODEL__ENABLED="false", STORAGE__RETENTION_DAYS="3650"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Prometheus itself with the same history."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "history.om").write_text(_openmetrics())
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "history.om", "tsdb"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1m}\n")
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=tsdb",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        cwd=folder,
    )
    peer = Peer(f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: peer.is_ready("/-/ready"), what="Prometheus")
        yield peer
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def ours(wakeless: RunningServer) -> Peer:
    """Wakeless, asked as Prometheus is."""
    return Peer(wakeless.url)


@pytest.fixture
def token_file(wakeless: RunningServer, tmp_path: Path) -> Path:
    """promtool's settings with a token of a viewer."""
    file = tmp_path / "http.yml"
    token = wakeless.token("viewer")["Authorization"].removeprefix("Bearer ")
    file.write_text(f"authorization: {{credentials: {token}}}\n")
    return file


def _openmetrics() -> str:
    """The history as OpenMetrics text, one family after the other."""
    lines: dict[str, list[str]] = {}
    for ms, row in HISTORY:
        for labels, value in row.items():
            name = labels[0][1]
            pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels[1:])
            line = f"{name}{{{pairs}}} {value!r} {(T0 * 1000 + ms) / 1000:.3f}"
            lines.setdefault(name, []).append(line)
    found = []
    for name, rows in lines.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        found += [f"# TYPE {name.removesuffix('_total')} {kind}", *rows]
    return "\n".join([*found, "# EOF", ""]).replace(" nan ", " NaN ").replace(" -inf ", " -Inf ")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
