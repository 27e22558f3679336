"""The parent process: starts the one server process, says why it ended, and starts it again.

It is a gunicorn arbiter that holds the listening socket (so that a restart drops no connection attempt) and imports
neither torch nor flask. What it adds to gunicorn: a reason for every end in the ledger, a backoff between restarts,
safe mode after a crash loop, and never two server processes (two models on one GPU) at a time.
"""

from supervisor.folder import DataFolderTaken, holder, lock_data_folder
from supervisor.process import EXIT_FATAL, EXIT_USAGE, Server
from supervisor.program import run

__all__ = ["EXIT_FATAL", "EXIT_USAGE", "DataFolderTaken", "Server", "holder", "lock_data_folder", "run"]
