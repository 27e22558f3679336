"""The one error of a routing file."""

from __future__ import annotations

from collections.abc import Sequence


class RoutingError(Exception):
    """A routing file that cannot be used; the message is one line, ``problems`` has a line for everything found.

    No line holds a secret.
    """

    permanent = True

    def __init__(self, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = tuple(problems)
