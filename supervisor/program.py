"""Runs the supervisor, from the lock on the data folder to the last exit."""

from __future__ import annotations

from config import Settings
from supervisor.arbiter import Supervisor
from supervisor.folder import lock_data_folder
from supervisor.log import configure_logging
from supervisor.process import Server


def run(settings: Settings, server: Server) -> None:
    """Supervise until asked to stop. Ends the process: 0 after an orderly stop. Raises :class:`DataFolderTaken`."""
    configure_logging(settings.log.level)
    with lock_data_folder(settings.data_dir):
        Supervisor(settings, server).run()
