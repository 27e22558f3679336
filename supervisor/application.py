"""What gunicorn asks for: its settings and, in the server process, the WSGI callable."""

from __future__ import annotations

import logging
import math
import mmap
import resource
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from config import Settings
from supervisor.process import EXIT_SECONDS, RECEIVE_SECONDS, Server, ServerProcess
from supervisor.stderr import StderrTap

#: Seconds without a heartbeat of the worker's main loop until it is taken for hung. Importing torch from a slow disk
#: holds the interpreter for a while, so this is the net below the model's own watchdog, not a substitute for it.
HEARTBEAT_SECONDS = 120
#: File descriptors kept for the database, logs, pipes and libraries; the rest may be connections.
RESERVED_FILES = 300


class ServerApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's view of the program; made in the supervisor, used in the server process as well."""

    def __init__(self, settings: Settings, server: Server, tap: StderrTap) -> None:
        self.settings = settings
        self.server = server
        self.tap = tap
        self.stage = mmap.mmap(-1, 1)  # anonymous and shared: the fork keeps it common
        super().__init__()

    def load_config(self) -> None:
        server = self.settings.server
        host = f"[{server.host}]" if ":" in server.host else server.host
        chosen = {
            "bind": f"{host}:{server.port}",
            "workers": 1,
            "threads": server.threads,
            "worker_connections": max(server.threads + 64, min(4 * server.threads, _open_files() - RESERVED_FILES)),
            "worker_class": ServerProcess,
            "timeout": HEARTBEAT_SECONDS,
            # The arbiter's patience; the worker's own, one second less, leaves it time to close its database.
            "graceful_timeout": math.ceil(server.drain_seconds) + EXIT_SECONDS,
            "keepalive": 15,
            "backlog": 1024,
            "limit_request_line": 8190,  # gunicorn's most: PromQL selectors in an address are long
            "proc_name": "wakeless",
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            "logger_class": _GunicornLogger,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def enter(self) -> None:
        """Called first of all in the server process."""
        self.tap.enter()

    def load(self) -> Any:
        return self.server.load()

    def ready(self, worker: ServerProcess) -> None:
        """Called in the server process once it can answer."""
        worker.lane = self.server.lane
        self.server.ready([listener.getsockname() for listener in worker.sockets], worker.age, self.tap.terminal)

    def drain(self) -> None:
        """Called in the server process when a stop begins."""
        self.server.drain()

    def close(self) -> None:
        """Called in the server process when all requests are done or the time for that is up."""
        self.server.close()


class _GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Sends gunicorn's lines the way of all others, without handlers of its own."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)  # the supervisor says itself what it does
        self.access_log.disabled = True  # one line per request is the server's, with a request id

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A client that stalled is no fault of ours and worth no traceback."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.debug("a client sent nothing for %s s", RECEIVE_SECONDS)
        else:
            super().exception(msg, *args, **kwargs)


def _open_files() -> int:
    """How many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
