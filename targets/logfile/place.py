"""Which files a path with ``*`` or ``?`` stands for."""

from __future__ import annotations

import glob
import os

from targets.logfile.rotation import is_rotated

#: Files that one path may stand for; more are not followed, which is said.
MOST_FILES = 500


def is_glob(path: str) -> bool:
    """Whether it stands for more than one."""
    return glob.has_magic(path)


def expand(pattern: str, followed: set[str]) -> list[str]:
    """The paths that match and are logs of their own, in order.

    Left out are older copies of others (``app.log.1`` beside ``app.log``, also while that is missing, being one that
    is ``followed``), compressed files, and links to what matches itself: their lines would come twice.
    """
    found = sorted(glob.glob(pattern))
    others = set(found) | followed
    own = [path for path in found if not is_rotated(path, others - {path})]
    real = {os.path.realpath(path) for path in own if not os.path.islink(path)}
    return [path for path in own if not (os.path.islink(path) and os.path.realpath(path) in real)]
