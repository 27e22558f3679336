"""A model's folder with real weights, and what may be wrong with it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

#: What the network makes of its input, as its golden file knows it.
INPUT, OUTPUT = [1.0, 2.0, 3.0, 4.0], [3.0, 7.0]
_WEIGHTS = "net.pt"


class Sums(torch.nn.Module):
    """(n, 4) → (n, 2): sums of neighbours, times a weight that should be 1."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, 2, 2).sum(-1) * self.weight


def good(folder: Path, weight: float = 1.0) -> None:
    """A version that works, unless ``weight`` is not 1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "golden.json").write_text(json.dumps([{"input": INPUT, "output": OUTPUT}]))
    (folder / "model.yaml").write_text(f"name: sums\nversion: '1'\nfile: {_WEIGHTS}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated, its files are there
        torch.jit.script(Sums(weight)).save(str(folder / _WEIGHTS))  # type: ignore[no-untyped-call]


def missing(folder: Path) -> None:
    good(folder)
    (folder / _WEIGHTS).unlink()


def truncated(folder: Path) -> None:
    good(folder)
    with (folder / _WEIGHTS).open("r+b") as file:
        file.truncate(1000)


def failing_import(folder: Path) -> None:
    good(folder)
    (folder / "model.py").write_text("import a_package_that_is_not_installed\n")
    (folder / "model.yaml").write_text("model: model.py\n")


def wrong(folder: Path) -> None:
    good(folder, weight=1.5)


def not_a_number(folder: Path) -> None:
    good(folder, weight=float("nan"))


#: What makes a folder that must never serve, and the reason that is to be told; no two alike in a row.
FLAWS: tuple[tuple[Callable[[Path], None], str], ...] = (
    (missing, "load_failed: no_such_file net.pt"),
    (wrong, "golden_failed: pair 1 of 1"),
    (truncated, "load_failed: unreadable_weights"),
    (not_a_number, "golden_failed: pair 1 of 1"),
    (failing_import, "load_failed: import_error ModuleNotFoundError"),
)
