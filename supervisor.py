"""The parent process: starts the one server process, says why it ended, and starts it again.

It is a gunicorn arbiter that holds the listening socket (so that a restart drops no connection attempt) and imports
neither torch nor flask. What it adds to gunicorn: a reason for every end in the ledger, a backoff between restarts,
safe mode after a crash loop, and never two server processes (two models on one GPU) at a time.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import logging
import math
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from config import Settings, SupervisorSettings
from ledger import Exit, ExitReason, LastWords, Ledger

log = logging.getLogger("wakeless.supervisor")

#: A mistake in the settings or a file they name: the server process said so in one line.
EXIT_USAGE = 2
#: The server process left because its accelerator or model is beyond repair from inside (EX_SOFTWARE).
EXIT_FATAL = 70
#: Seconds without a heartbeat of the worker's main loop until it is taken for hung. Importing torch from a slow disk
#: holds the interpreter for a while, so this is the net below the model's own watchdog, not a substitute for it.
HEARTBEAT_SECONDS = 120
#: What a stop may take beyond draining: closing the database, the last tick, the exit itself.
EXIT_SECONDS = 1
#: What the kernel may take to end a killed process, so that its end still gets its line in the ledger.
KILL_SECONDS = 3
#: File descriptors kept for the database, logs, pipes and libraries; the rest may be connections.
RESERVED_FILES = 300

#: How far a server process has come, in a byte that it shares with the supervisor.
STARTING, ANSWERING, ENDED_IN_ORDER = 0, 1, 2
#: A client that sends nothing for so long while its request is being read gives its thread back.
RECEIVE_SECONDS = 10

#: Signals that mean the program is broken, not that someone ended it.
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


class ServerProcess(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """The gthread worker in which everything else runs; it tells the application when a stop begins and ends."""

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the whole terminal group; the supervisor turns it into an orderly stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: object) -> None:
        if self.alive:
            super().handle_exit(sig, frame)
            self.method_queue.defer(self.app.drain)

    def run(self) -> None:
        faulthandler.enable()  # a segfault leaves its stacks on stderr
        self.cfg.set("graceful_timeout", self.cfg.graceful_timeout - EXIT_SECONDS)
        for listener in self.sockets:  # every connection inherits it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", RECEIVE_SECONDS, 0))
        self.app.ready(self)
        self.app.stage[0] = ANSWERING
        super().run()
        self.app.close()
        self.app.stage[0] = ENDED_IN_ORDER
        logging.shutdown()
        # Leave at once: joining idle pool threads and tearing torch down could outlast the time a stop may take.
        os._exit(0)


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


class ServerApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn asks for: its settings and, in the worker, the WSGI callable."""

    def __init__(self, settings: Settings, server: Server) -> None:
        self.settings = settings
        self.server = server
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
            "proc_name": "wakeless",
            "control_socket_disable": True,
            "forwarded_allow_ips": "",
            "logger_class": _GunicornLogger,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self.server.load()

    def ready(self, worker: ServerProcess) -> None:
        """Called in the server process once it can answer."""
        self.server.ready([listener.getsockname() for listener in worker.sockets], worker.age)

    def drain(self) -> None:
        """Called in the server process when a stop begins."""
        self.server.drain()

    def close(self) -> None:
        """Called in the server process when all requests are done or the time for that is up."""
        self.server.close()


class Server:
    """The server process as the supervisor sees it; ``command.py`` gives the real one."""

    safe_mode = False

    def load(self) -> Any:
        """Build the application, in the server process. Returns the WSGI callable."""
        raise NotImplementedError

    def ready(self, addresses: list[Any], age: int) -> None:
        """The application is about to answer on ``addresses``; ``age`` is 1 for this supervisor's first process."""

    def drain(self) -> None:
        """A stop has begun: refuse new work, close websockets."""

    def close(self) -> None:
        """The last call before the process ends."""


class Supervisor(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps exactly one server process alive."""

    def __init__(self, settings: Settings, server: Server) -> None:
        self.settings = settings.supervisor
        self.server = server
        self.ledger = Ledger(settings.data_dir)
        self.last_words = LastWords(settings.data_dir)
        self.crashes: list[float] = []  # monotonic times of the unexpected ends that count towards a crash loop
        self.spawn_at = 0.0  # monotonic
        self.spawned_ms = 0
        self.oom_kills = 0
        self.stopping = False
        self.restarting = False
        self.unwritten: deque[Exit] = deque()
        super().__init__(ServerApplication(settings, server))

    # --- one server process at a time ---------------------------------------------------------------------------

    def manage_workers(self) -> None:
        """Start a server process when there is none and its time has come."""
        if not self.WORKERS and time.monotonic() >= self.spawn_at:
            self.spawn_worker()

    def spawn_worker(self) -> Any:
        self.last_words.take()
        self.spawned_ms = _now_ms()
        self.app.stage[0] = STARTING
        self.oom_kills = read_oom_kills()
        self.server.safe_mode = self.in_crash_loop()
        if self.server.safe_mode:
            log.error("crash loop: starting without the model")
        return super().spawn_worker()

    def reap_workers(self) -> None:
        """Take note of a server process that ended, and decide when the next one starts.

        Replaces gunicorn's own, which gives up for good when a worker exits with 3 or 4 and respawns without a pause.
        """
        for pid, worker in list(self.WORKERS.items()):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0
            if ended:
                del self.WORKERS[pid]
                worker.tmp.close()
                self.record(pid, status, hung=worker.aborted)

    def record(self, pid: int, status: int, *, hung: bool) -> None:
        """Write the ledger's line for one end and set the time of the next start."""
        words = self.last_words.take()
        reason, summary = classify(
            status,
            words=words,
            asked="restart" if self.restarting else "stop" if self.stopping else None,
            in_order=self.app.stage[0] == ENDED_IN_ORDER,
            hung=hung,
            oom_killed=read_oom_kills() > self.oom_kills,
        )
        code = os.waitstatus_to_exitcode(status)
        end = Exit(
            reason=reason,
            summary=summary,
            started_ms=self.spawned_ms,
            ended_ms=_now_ms(),
            pid=pid,
            code=code if code >= 0 else None,
            signal=_signal_name(-code) if code < 0 else None,
            detail=words["detail"] if words else {},
        )
        now = time.monotonic()
        if end.reason == "restart":
            self.crashes.clear()  # a person decided: give the model its full chance again
        elif end.unexpected:
            self.crashes.append(now)
        self.restarting = False
        delay = self.backoff(now)
        self.spawn_at = now + delay
        self.unwritten.append(end)
        try:
            while self.unwritten:
                self.ledger.append(self.unwritten[0])
                self.unwritten.popleft()
        except OSError as error:  # a full disk must not keep the server down; the line is tried again with the next
            log.error("the restart ledger cannot be written: %s", error)
        if end.code == EXIT_USAGE and self.worker_age == 1 and self.app.stage[0] == STARTING:
            sys.exit(EXIT_USAGE)  # a person is there to read the line and mend it
        if end.unexpected:
            log.error("server process %s ended: %s; next start in %.0f s", pid, end.summary, delay)
        else:
            log.info("server process %s ended: %s", pid, end.summary)

    def backoff(self, now: float) -> float:
        """Seconds to wait before the next start: 0 after the first crash of a window, then 1, 2, 4 …"""
        self.crashes = [crash for crash in self.crashes if now - crash < self.settings.crash_loop_seconds]
        return backoff_seconds(len(self.crashes), self.settings)

    def in_crash_loop(self) -> bool:
        """Whether so many crashes came so fast that the model is left out."""
        return len(self.crashes) >= self.settings.crash_loop_count

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait as gunicorn does, but not past the moment of the next start."""
        if not self.WORKERS:
            timeout = min(timeout, max(self.spawn_at - time.monotonic(), 0.01))
        signals: list[int] = super().wait_for_signals(timeout)
        return signals

    # --- signals --------------------------------------------------------------------------------------------------

    def handle_hup(self) -> None:
        """Restart the server process in order: the old one ends before the new one starts."""
        self.restarting = True
        self.kill_workers(signal.SIGTERM)

    def handle_int(self) -> None:
        """Ctrl-C is an orderly stop; pressing it again, which :meth:`stop` sees, is a quick one."""
        raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        self.stopping = True
        # The server process ignores SIGINT, so a quick stop needs no special case: gunicorn sends it SIGQUIT.
        super().stop(graceful)
        deadline = time.monotonic() + KILL_SECONDS
        while self.WORKERS and time.monotonic() < deadline:  # gunicorn looks once after SIGKILL, which is too early
            self.reap_workers()
            time.sleep(0.02)

    def handle_ttin(self) -> None:
        """More workers would mean more models on the GPU: refused."""
        log.warning("one server process is all there is; signal ignored")

    handle_ttou = handle_usr2 = handle_winch = handle_ttin


# --- why did it end? --------------------------------------------------------------------------------------------


def classify(
    status: int,
    *,
    words: dict[str, Any] | None = None,
    asked: Literal["restart", "stop"] | None = None,
    in_order: bool = False,
    hung: bool = False,
    oom_killed: bool = False,
) -> tuple[ExitReason, str]:
    """Name the reason for an end and put it in a sentence, from the first of these that knows:

    what the process said itself (``words``), the heartbeat, the kernel, what was asked of it, whether it came to its
    own orderly end, and what ``waitpid`` reported.
    """
    code = os.waitstatus_to_exitcode(status)
    name = _signal_name(-code) if code < 0 else ""
    if words is not None:
        return words["reason"], words["summary"]
    if hung:
        return "hang", f"no sign of life for {HEARTBEAT_SECONDS} s"
    if code == -signal.SIGKILL and oom_killed:
        return "oom_kill", "the kernel ended it because memory ran out"
    if -code in FAULTS:
        return "segfault", f"the program crashed with {name}"
    if asked:
        return asked, f"{asked} on request" if in_order else f"{asked} on request; it did not end in time by itself"
    if in_order:
        return "stop", "ended in order by a signal to the server process"
    if code == -signal.SIGKILL:
        return "killed", "killed with SIGKILL"
    if code < 0:
        return "signal", f"ended by {name}"
    return "crash", f"exited with code {code}"


def backoff_seconds(crashes: int, settings: SupervisorSettings) -> float:
    """Seconds to wait after the ``crashes``-th unexpected end within the window."""
    if crashes < 2:
        return 0.0
    doubled = settings.backoff_seconds * 2.0 ** min(crashes - 2, 30)
    return min(doubled, settings.backoff_max_seconds)


def read_oom_kills(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """How often the kernel has killed for memory, here and in our control group; 0 where it cannot be read."""
    own = Path()
    for line in _lines(proc / "self/cgroup"):
        if line.startswith("0::/"):
            own = Path(line.removeprefix("0::/"))
    counters = [*_lines(proc / "vmstat"), *_lines(cgroups / own / "memory.events")]
    return sum(int(line.split()[1]) for line in counters if line.startswith("oom_kill "))


def _open_files() -> int:
    """How many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _JsonFormatter(logging.Formatter):
    """The supervisor's log lines look like the server's."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


class DataFolderTaken(Exception):
    """Another Wakeless runs on the same data folder."""


@contextmanager
def lock_data_folder(data_dir: Path) -> Iterator[None]:
    """Hold the data folder: two servers would end each other's series and load two models.

    Raises :class:`DataFolderTaken`.
    """
    with (data_dir / "lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataFolderTaken(f"another Wakeless is running on data_dir {data_dir}") from None
        file.truncate(0)
        with suppress(OSError):  # a full disk: nobody can be told which process this is
            file.write(str(os.getpid()))
            file.flush()
        yield


def holder(data_dir: Path) -> int | None:
    """The supervisor that holds the data folder, by what it wrote; ask only when the folder is taken."""
    try:
        return int((data_dir / "lock").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def run(settings: Settings, server: Server) -> None:
    """Supervise until asked to stop. Ends the process: 0 after an orderly stop. Raises :class:`DataFolderTaken`."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=settings.log.level.upper(), handlers=[handler], force=True)
    with lock_data_folder(settings.data_dir):
        supervisor = Supervisor(settings, server)
        supervisor.ledger.trim()
        supervisor.run()
