"""Keeps exactly one server process alive: gunicorn's arbiter with its own mind about ends and starts."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.arbiter import Arbiter

from blackbox import BlackBox
from config import Settings
from ledger import Exit, LastWords, Ledger
from supervisor.application import HEARTBEAT_SECONDS, ServerApplication
from supervisor.crashloop import CrashLoop
from supervisor.evidence import LOG_FILE, Evidence
from supervisor.mask import Mask
from supervisor.memory import resident_bytes
from supervisor.process import ENDED_IN_ORDER, EXIT_USAGE, STARTING, Server
from supervisor.stderr import StderrTap
from supervisor.systemd import Systemd
from supervisor.verdict import OomKills, classify, read_oom_kills, signal_name
from supervisor.watch import Watch

log = logging.getLogger("wakeless.supervisor")

#: Seconds past its limit after which a call into the plug-in is the supervisor's business: the server's own watchdog
#: has had its turn, and did not get it, because the call holds the interpreter.
HANG_GRACE_SECONDS = 1.5
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
        self.oom_kills = OomKills(read_oom_kills)
        self.stopping = False
        self.restarting = False
        self.hung: str | None = None
        self.unwritten: deque[Exit] = deque()
        self.failing: set[str] = set()
        mask, tap = Mask.of(settings), StderrTap()
        server.blackbox = BlackBox(settings.model.watchdog_seconds, settings.model.load_seconds)
        self.evidence = Evidence(server.blackbox, tap, mask, settings.data_dir / LOG_FILE)
        self.watch = Watch(settings, mask, Systemd())
        self.wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        super().__init__(ServerApplication(settings, server, tap))

    def start(self) -> None:
        super().start()
        signal.set_wakeup_fd(self.wakeup[1], warn_on_full_buffer=False)
        self.ledger.trim()
        self.crashloop.remember(self.ledger.exits(), _now_ms(), time.monotonic())
        self.guarded("watch", lambda: self.watch.begin(self.LISTENERS[0].sock.getsockname(), self.ledger))

    # --- one server process at a time ---------------------------------------------------------------------------

    def manage_workers(self) -> None:
        """Start a server process when there is none and its time has come."""
        if not self.WORKERS and time.monotonic() >= self.spawn_at:
            self.spawn_worker()

    def spawn_worker(self) -> Any:
        self.last_words.take()
        self.evidence.begin()
        self.hung = None
        self.spawned_ms = _now_ms()
        self.app.stage[0] = STARTING
        self.oom_kills.look(time.monotonic())
        self.server.safe_mode = self.crashloop.mode() == "safe"
        if self.server.safe_mode:
            log.error("crash loop: starting without the model")
        pid = super().spawn_worker()
        self.evidence.tap.leave()
        return pid

    def reap_workers(self) -> None:
        """Take note of a server process that ended, and decide when the next one starts.

        Replaces gunicorn's own, which gives up for good when a worker exits with 3 or 4 and respawns without a pause.
        """
        for pid, worker in list(self.WORKERS.items()):
            try:
                ended, status, usage = os.wait4(pid, os.WNOHANG)
                peak_bytes = usage.ru_maxrss * 1024
            except ChildProcessError:
                ended, status, peak_bytes = pid, 0, 0
            if ended:
                del self.WORKERS[pid]
                worker.tmp.close()
                if worker.aborted and self.hung is None:
                    self.hung = f"no sign of life for {HEARTBEAT_SECONDS} s"
                self.record(pid, status, peak_bytes)
        self.guarded("stderr", self.evidence.tap.pump)

    def record(self, pid: int, status: int, peak_bytes: int) -> None:
        """Write the ledger's line for one end and set the time of the next start."""
        words = self.last_words.take()
        reason, summary = classify(
            status,
            words=words,
            asked="restart" if self.restarting else "stop" if self.stopping else None,
            in_order=self.app.stage[0] == ENDED_IN_ORDER,
            hung=self.hung,
            oom_killed=self.oom_kills.lately(),
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
        now = time.monotonic()
        if end.unexpected:
            self.guarded("evidence", lambda: end.detail.update(self.evidence.gather(now, peak_bytes)))
        self.restarting = False
        delay = self.crashloop.note(end, now, answered=self.evidence.blackbox.done > 0)
        if end.unexpected and self.crashloop.mode() == "safe":
            end.detail["safe_mode"] = True  # what was done about it: the next one starts without the model
        self.spawn_at = now + delay
        self.unwritten.append(end)
        self.write()
        if not self.stopping:
            self.guarded("watch", lambda: self.watch.died(end, delay))
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
        """Wait as gunicorn does, but not past the moment of the next start, and see to what comes in meanwhile."""
        self.guarded("memory", self.sample)
        self.guarded("watch", lambda: self.watch.look(running=bool(self.WORKERS), safe_mode=self.server.safe_mode))
        now = time.monotonic()
        if not self.WORKERS:
            timeout = min(timeout, max(self.spawn_at - now, 0.01))
        elif (running := self.evidence.blackbox.latest(now)) is not None:
            timeout = min(timeout, max(HANG_GRACE_SECONDS - running.overdue(now), 0.01))
        sources = [self.wakeup[0], self.evidence.tap.fileno(), *self.watch.filenos()]
        select.select([source for source in sources if source >= 0], [], [], timeout)
        with suppress(BlockingIOError):
            os.read(self.wakeup[0], 4096)
        self.guarded("stderr", self.evidence.tap.pump)
        signals: list[int] = super().wait_for_signals(0)
        return signals

    def sample(self) -> None:
        """Note what the server process holds in memory, and whether the kernel has lately killed for it."""
        self.oom_kills.look(time.monotonic())
        for pid in self.WORKERS:
            held = resident_bytes(pid)
            if held is not None:
                self.evidence.memory.add(time.monotonic(), held, self.evidence.blackbox.gpu_bytes)

    def murder_workers(self) -> None:
        """End a server process that gives no sign of life, or whose call into the model will not come back."""
        super().murder_workers()
        now = time.monotonic()
        running = self.evidence.blackbox.latest(now)
        over = -1.0 if running is None else running.overdue(now)
        if running is None or over < HANG_GRACE_SECONDS:
            return
        for pid, worker in list(self.WORKERS.items()):
            if self.hung is None:
                self.hung = f"{running.words} running for {over + running.limit_seconds:.0f} s held the whole process"
                log.error("server process %s hangs: %s", pid, self.hung)
                worker.aborted = True
                self.kill_worker(pid, signal.SIGABRT)  # leaves every thread's stack on stderr
            elif over > HANG_GRACE_SECONDS + KILL_SECONDS:
                self.kill_worker(pid, signal.SIGKILL)

    def guarded(self, what: str, work: Callable[[], object]) -> None:
        """Do something that must not end the supervisor, whatever happens; a failure is told once."""
        try:
            work()
        except Exception:
            if what not in self.failing:
                log.exception("%s failed; the server is restarted all the same", what)
            self.failing.add(what)
        else:
            self.failing.discard(what)

    # --- signals --------------------------------------------------------------------------------------------------

    def handle_hup(self) -> None:
        """Restart the server process in order: the old one ends before the new one starts."""
        if self.WORKERS:
            self.restarting = True
            self.kill_workers(signal.SIGTERM)
        else:  # it waits for its turn after a crash
            self.crashloop.forgive()
            self.spawn_at = 0.0

    def handle_int(self) -> None:
        """Ctrl-C is an orderly stop; pressing it again, which :meth:`stop` sees, is a quick one."""
        raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        self.stopping = True
        self.guarded("watch", self.watch.stopping)
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
