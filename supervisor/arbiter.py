"""Keeps exactly one server process alive: gunicorn's arbiter with its own mind about ends and starts."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections import deque
from typing import Any

from gunicorn.arbiter import Arbiter

from config import Settings
from ledger import Exit, LastWords, Ledger
from supervisor.application import HEARTBEAT_SECONDS, ServerApplication
from supervisor.crashloop import CrashLoop
from supervisor.process import ENDED_IN_ORDER, EXIT_USAGE, STARTING, Server
from supervisor.verdict import classify, read_oom_kills, signal_name

log = logging.getLogger("wakeless.supervisor")

#: What the kernel may take to end a killed process, so that its end still gets its line in the ledger.
KILL_SECONDS = 3


class Supervisor(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps exactly one server process alive."""

    def __init__(self, settings: Settings, server: Server) -> None:
        self.server = server
        self.ledger = Ledger(settings.data_dir)
        self.last_words = LastWords(settings.data_dir)
        self.crashloop = CrashLoop(settings.supervisor)
        self.spawn_at = 0.0  # monotonic
        self.spawned_ms = 0
        self.oom_kills = 0
        self.stopping = False
        self.restarting = False
        self.unwritten: deque[Exit] = deque()
        super().__init__(ServerApplication(settings, server))
        self.ledger.trim()
        self.crashloop.remember(self.ledger.exits(), _now_ms(), time.monotonic())

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
        self.server.safe_mode = self.crashloop.mode() == "safe"
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
            hung=f"no sign of life for {HEARTBEAT_SECONDS} s" if hung else None,
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
            signal=signal_name(-code) if code < 0 else None,
            detail=words["detail"] if words else {},
        )
        self.restarting = False
        now = time.monotonic()
        delay = self.crashloop.note(end, now)
        self.spawn_at = now + delay
        self.unwritten.append(end)
        self.write()
        if end.code == EXIT_USAGE and self.worker_age == 1 and self.app.stage[0] == STARTING:
            sys.exit(EXIT_USAGE)  # a person is there to read the line and mend it
        if end.unexpected:
            log.error("server process %s ended: %s; next start in %.0f s", pid, end.summary, delay)
        else:
            log.info("server process %s ended: %s", pid, end.summary)

    def write(self) -> None:
        """Put what is not yet in the ledger there; a full disk must not keep the server down, so it is tried again."""
        try:
            while self.unwritten:
                self.ledger.append(self.unwritten[0])
                self.unwritten.popleft()
        except OSError as error:
            log.error("the restart ledger cannot be written: %s", error)

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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
