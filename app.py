"""The front door: ``create_app(settings)`` for Python, ``python app.py COMMAND`` for the shell.

This file stays light on purpose. The supervisor runs it too, and must hold neither flask nor torch; what the server
process is made of is wired in ``server.py``, which is imported only there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import Settings, load_settings

if TYPE_CHECKING:
    from flask import Flask


def create_app(settings: Settings | None = None, *, start: bool = True, safe_mode: bool = False) -> Flask:
    """Build the whole server in this process, without a supervisor.

    With ``start`` the model thread and the scheduler run; without it nothing moves until the caller drives it
    (``app.extensions["wakeless.application"].pulse.beat()``). Close it with
    ``app.extensions["wakeless.application"].close()``.
    """
    from server import Application  # not at the top: see above

    application = Application(settings or load_settings(), safe_mode=safe_mode)
    if start:
        application.start()
    return application.flask


if __name__ == "__main__":
    from command import main

    main()
