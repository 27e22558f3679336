"""How far a long command is: a bar where stderr is a terminal, a line for each tenth where it is asked for anywhere."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, Self

import click

_STEPS = 1000


def is_shown(asked: bool | None) -> bool:
    """Whether to show any: what was asked for, else where stderr is a terminal."""
    return sys.stderr.isatty() if asked is None else asked


class Progress:
    """A context manager. ``length`` None: nobody knows how long it takes."""

    def __init__(self, label: str, length: float | None, shown: bool) -> None:
        self._label = label
        self._length = length
        self._terminal = sys.stderr.isatty()
        self._shown = shown
        self._note = ""
        self._done = 0
        self._stack = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._shown and self._terminal:
            bar: Any = click.progressbar(
                length=None if self._length is None else _STEPS,
                label=self._label,
                file=sys.stderr,
                item_show_func=lambda _: self._note,
            )
            self._bar = self._stack.enter_context(bar)
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def reach(self, position: float, note: str = "") -> None:
        """Tell how far it is, and something to show beside it."""
        self._note = note
        done = (
            self._done + 1 if not self._length else min(_STEPS, max(self._done, int(_STEPS * position / self._length)))
        )
        if self._bar is not None:
            self._bar.update(done - self._done)
        elif self._shown and self._length and done * 10 // _STEPS > self._done * 10 // _STEPS:
            click.echo(f"{self._label}: {done * 100 // _STEPS} % {note}".rstrip(), err=True)
        self._done = done
