"""The server process itself, as gunicorn starts it, and what the supervisor asks of the program in it."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import struct
import traceback
from typing import Any, TextIO

from blackbox import BlackBox
from supervisor.express import ExpressWorker, Lane

#: A mistake in the settings or a file they name: the server process said so in one line.
EXIT_USAGE = 2
#: The server process left because its accelerator or model is beyond repair from inside (EX_SOFTWARE).
EXIT_FATAL = 70
#: What a stop may take beyond draining: closing the database, the last tick, the exit itself.
EXIT_SECONDS = 1
#: A client that sends nothing for so long while its request is being read gives its thread back.
RECEIVE_SECONDS = 10
#: A client that takes nothing for so long while it is being answered does so, too.
SEND_SECONDS = 30

#: How far a server process has come, in a byte that it shares with the supervisor.
STARTING, ANSWERING, ENDED_IN_ORDER = 0, 1, 2


class Server:
    """The server process as the supervisor sees it; ``command.py`` gives the real one."""

    #: Both are set before :meth:`load`: whether to leave the model out, and where to note what the model does.
    safe_mode = False
    blackbox: BlackBox | None = None
    #: Set by :meth:`load`: what is answered without WSGI.
    lane: Lane | None = None

    def load(self) -> Any:
        """Build the application, in the server process. Returns the WSGI callable."""
        raise NotImplementedError

    def ready(self, addresses: list[Any], age: int, terminal: TextIO) -> None:
        """The application is about to answer on ``addresses``; ``age`` is 1 for this supervisor's first process.

        What is written to ``terminal`` is read by the person there and kept nowhere.
        """

    def drain(self) -> None:
        """A stop has begun: refuse new work, close websockets."""

    def close(self) -> None:
        """The last call before the process ends."""


class ServerProcess(ExpressWorker):
    """The gthread worker in which everything else runs; it tells the application when a stop begins and ends."""

    def init_process(self) -> None:
        self.app.enter()
        try:
            super().init_process()
        except Exception:
            traceback.print_exc()  # gunicorn's own line goes to the log; stderr is what the ledger keeps
            raise

    def init_signals(self) -> None:
        super().init_signals()
        # A crash leaves its stacks on stderr. SIGABRT comes when the process hangs: it must end it even if no Python
        # handler, as gunicorn's would be, ever gets its turn.
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        faulthandler.enable()
        # Ctrl-C reaches the whole terminal group; the supervisor turns it into an orderly stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: object) -> None:
        if self.alive:
            super().handle_exit(sig, frame)
            self.method_queue.defer(self.app.drain)

    def run(self) -> None:
        self.cfg.set("graceful_timeout", self.cfg.graceful_timeout - EXIT_SECONDS)
        for listener in self.sockets:  # every connection inherits it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", RECEIVE_SECONDS, 0))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
        self.app.ready(self)
        self.app.stage[0] = ANSWERING
        super().run()
        self.app.close()
        self.app.stage[0] = ENDED_IN_ORDER
        logging.shutdown()
        # Leave at once: joining idle pool threads and tearing torch down could outlast the time a stop may take.
        os._exit(0)
