"""The server process: all rooms wired together, and what runs beside the requests. Only this file knows them all."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import psutil
import structlog
from flask import Flask

import allocator
import dashboard
from alerts.alerting import Alerting
from alerts.delivery.collector import NoticeCollector
from alerts.delivery.message import Action
from alerts.delivery.vault import FILE_NAME, Vault, VaultError
from alerts.gauge import AlertCollector
from alerts.ruling.collector import RuleCollector
from alerts.state import Alert
from blackbox import BlackBox
from chronicle import Chronicle
from collectors.build import build
from collectors.collection import Collection
from collectors.requests import Meters
from collectors.sample import Sample, Tick
from collectors.schedule import Schedule
from config import Settings
from dashboard.doer import Doers
from dashboard.hub import GOING_AWAY, SERVICE_RESTART, open_hub
from dashboard.log import configure_logging
from dashboard.panels import profile_files, read_panels
from dashboard.services import EXTENSION, Services
from ledger import ExitReason, LastWords, Ledger
from model.collector import ModelCollector
from model.host import ModelHost
from model.retreat import Retreat
from promql import Engine as QueryEngine
from pulse import Pulse, StageCollector, clock_offset_ms, now_ms
from reports.report import Reporter
from reports.schedule import Reports
from storage.account import Accounts
from storage.backup import take_up_restored
from storage.damage import acknowledge, open_or_replace
from storage.error import StorageError
from storage.guardian import Guardian
from storage.incident import IncidentLog
from storage.problem import Problems
from storage.record import AuditLog, RequestLog, expire_records
from storage.registrar import Limits
from storage.salvage import Salvage
from storage.series import SeriesStore
from storage.tier import Tier
from supervisor import EXIT_FATAL
from targets.build import build as build_watcher

log = structlog.get_logger(__name__)

#: Where the application itself is found in ``app.extensions``.
APPLICATION = "wakeless.application"
#: The metric that goes into the black box.
GPU_MEMORY = "torch_cuda_memory_reserved_bytes"
DAY_MS = 86_400_000
#: Seconds between two passes over what is older than the settings keep, and until the first one after a start.
RETENTION_SECONDS = 600.0
FIRST_RETENTION_SECONDS = 60.0
#: How long a clock that makes all of the history too old at once has to say so before it is believed.
DOUBT_SECONDS = 86_400.0
#: Seconds between two looks after the store's files, and between two steps of bringing back what a damaged one had.
GUARD_SECONDS = 2.0
SALVAGE_SECONDS = 1.0
#: Seconds between two looks whether there is enough in the journal for a block.
SEAL_SECONDS = 30.0
#: What one query may hold in memory at once, read in all, and take: the process that answers it serves the model too.
QUERY_SAMPLES = 8_000_000
QUERY_READ = 1_000_000_000
QUERY_SECONDS = 30.0
#: Seconds between two times that freed memory is given back.
TRIM_SECONDS = 60.0
#: Seconds between two looks at the outbox, and how long the last call waits for a notice that is under way.
NOTICE_SECONDS = 1.0
SENDER_SECONDS = 0.5
#: Seconds between two looks whether a report is due, and between two at the targets, whoever changed them.
REPORT_SECONDS = 60.0
TARGET_SECONDS = 30.0


class Application:
    """One server process: the Flask app, its services, and the jobs beside the requests."""

    def __init__(
        self,
        settings: Settings,
        *,
        safe_mode: bool = False,
        supervised: bool = False,
        blackbox: BlackBox | None = None,
    ) -> None:
        allocator.tune()
        self.settings = settings
        self._blackbox = blackbox or BlackBox(settings.model.watchdog_seconds, settings.model.load_seconds)
        self.supervised = supervised
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        configure_logging(settings)
        self.schedule = Schedule()
        self._began = time.monotonic()
        self._compose(safe_mode)
        self.flask = self._make_flask()
        self._draining = False
        self._closed = False

    # --- wiring --------------------------------------------------------------------------------------------------

    def _compose(self, safe_mode: bool) -> None:
        """Build every room, from the database up, and hand each what it needs."""
        settings, started_ms = self.settings, now_ms()
        path = settings.data_dir / "wakeless.db"
        problems = Problems()
        take_up_restored(path, started_ms)
        database = open_or_replace(path, problems, started_ms)
        store = SeriesStore(
            database,
            head_minutes=settings.storage.head_minutes,
            sync_always=settings.storage.sync_seconds == 0,
            problems=problems,
            limits=Limits(settings.storage.max_series_per_metric, settings.storage.max_series),
        )
        self.guardian = Guardian(database, store)
        self.salvage = Salvage(database)
        self.tier = Tier(database, store)
        query = QueryEngine(store, max_samples=QUERY_SAMPLES, max_read=QUERY_READ, timeout_seconds=QUERY_SECONDS)
        ledger = Ledger(settings.data_dir)
        restarts = _count_restarts(ledger)  # only the supervisor adds to it, and only when this process has ended
        incidents = IncidentLog(database)
        meters = Meters()
        model = ModelHost(
            settings.model,
            settings.health,
            meters,
            name=settings.name,
            on_change=lambda: services.hub.notify(),
            on_fatal=self._die,
            disabled="safe_mode: the model kept crashing the server" if safe_mode else None,
            data_dir=settings.data_dir,
        )
        audit = AuditLog(database)
        doers = Doers(model, self._restart, settings.model.load_seconds)
        forbidden = "safe mode: only a person goes on from here" if safe_mode else None
        self.alerting = alerting = Alerting(
            settings,
            database,
            query,
            now_ms=started_ms,
            key=_secret_key(settings.data_dir / "secret.key"),
            record=_recorder(store),
            incidents=incidents,
            audit=audit,
            doers=doers.by_name(),
            busy=doers.busy,
            forbidden=forbidden,
            remedies=self._remedies,
            clock=now_ms,
            clock_offset_ms=clock_offset_ms,
        )
        vault = Vault(settings.data_dir / FILE_NAME)
        self.watcher = watcher = build_watcher(
            settings,
            database,
            clock_ms=now_ms,
            audit=audit,
            seal=vault.seal,
            unseal=vault.unseal,
            unreadable=VaultError,
            muted=alerting.quieting.mutes,
            forbidden=forbidden,
            on_profiles=self._take_profiles,
        )
        reports = Reports(
            Reporter(settings, database, query),
            settings.reports,
            database,
            alerting.outbox,
            channels=alerting.channels.registry.specs,
            wake=alerting.sender.wake,
        )
        chronicle = Chronicle(incidents, ledger, model.status, int(psutil.boot_time() * 1000), model.remedies, audit)
        hub = open_hub(
            settings,
            query,
            started_ms=started_ms,
            safe_mode=safe_mode,
            model=model.status,
            health=model.health,
            alerts=alerting.engine.current,
            last_restart=lambda: chronicle.last_restart,
            quiet=alerting.reasons,
            clock=now_ms,
        )
        stages = StageCollector(settings.collectors.interval_seconds)
        collectors = build(
            settings.collectors,
            meters=meters,
            gauges={
                "wakeless_viewers": lambda: hub.viewers,
                "wakeless_database_bytes": lambda: float(store.size()),
                "wakeless_ticks_dropped_total": lambda: store.dropped,
                "wakeless_ticks_waiting": lambda: store.waiting,
                "wakeless_storage_problem": problems.gauge,
                "wakeless_chunks_unreadable_total": lambda: store.unreadable,
                "wakeless_samples_refused_total": store.refusals,
            },
            restarts=lambda: restarts,
            crash_loop=lambda: safe_mode,
            extra=[
                ModelCollector(model, settings.collectors.interval_seconds),
                NoticeCollector(alerting.outbox, settings.collectors.slow_interval_seconds),
                RuleCollector(alerting.rules, alerting.routing, settings.collectors.slow_interval_seconds),
                AlertCollector(alerting.engine, settings.collectors.slow_interval_seconds),
                stages,
            ],
        )
        model.record_to(self._blackbox)
        self.services = services = Services(
            settings=settings,
            database=database,
            store=store,
            query=query,
            collection=Collection(collectors, settings.collectors.deadline_seconds, aliases=settings.metrics.aliases),
            meters=meters,
            model=model,
            alerting=alerting,
            alerts=alerting.engine,
            rules=alerting.rules,
            quieting=alerting.quieting,
            outbox=alerting.outbox,
            channels=alerting.channels,
            incidents=incidents,
            outages=alerting.outages,
            actions=alerting.actions,
            dispatcher=alerting.dispatcher,
            routing=lambda: alerting.dispatcher.routing,
            inhibitors=lambda: {name: [cause.fingerprint] for name, cause in alerting.causes().items()},
            requests=RequestLog(database),
            audit=audit,
            targets=watcher,
            reports=reports,
            accounts=Accounts(database),
            ledger=ledger,
            hub=hub,
            restart_process=self._restart,
            started_ms=started_ms,
            pulse_age_seconds=lambda: self.pulse.age_seconds(),
            safe_mode=safe_mode,
        )
        self.pulse = Pulse(services, stages, chronicle)

    def _make_flask(self) -> Flask:
        root = Path(__file__).parent
        app = Flask("wakeless", root_path=str(root), template_folder="templates", static_folder="static")
        app.secret_key = _secret_key(self.settings.data_dir / "secret.key")
        app.extensions[EXTENSION] = self.services
        app.extensions[APPLICATION] = self
        dashboard.register(app)
        return app

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the model thread and the jobs; the first tick takes up where the last process stopped."""
        rooms, settings = self.services, self.settings
        rooms.model.start()
        self.schedule.every(settings.collectors.interval_seconds, "tick", self.pulse.beat)
        self.schedule.every(settings.health.interval_seconds, "health", lambda: rooms.model.check(now_ms()))
        self.schedule.every(NOTICE_SECONDS, "notices", self._deliver_notices)
        self.schedule.every(settings.alerts.reload_seconds, "reload", lambda: self.alerting.refresh(now_ms()))
        self.schedule.every(settings.collectors.interval_seconds, "gpu-memory", self._note_gpu_memory)
        self.schedule.every(TRIM_SECONDS, "trim", allocator.trim)
        self.schedule.every(GUARD_SECONDS, "guard", self._guard)
        self.schedule.every(SALVAGE_SECONDS, "salvage", self._salvage)
        self.schedule.every(SEAL_SECONDS, "seal", self._seal)
        self.schedule.every(REPORT_SECONDS, "reports", self._report)
        self.schedule.every(TARGET_SECONDS, "targets", self.watcher.refresh)
        self.watcher.start()
        if settings.storage.sync_seconds:
            self.schedule.every(settings.storage.sync_seconds, "sync", rooms.store.sync)
        self.schedule.every(RETENTION_SECONDS, "retention", self._expire, first_delay_seconds=FIRST_RETENTION_SECONDS)
        self.schedule.start()
        log.info("started", name=settings.name, safe_mode=rooms.safe_mode, pid=os.getpid())

    def _report(self) -> None:
        """Send the reports that are due."""
        self.services.reports.step(now_ms())

    def _remedies(self, alert: Alert) -> tuple[Action, ...]:
        """What a target's ladder did while an alert about it was there, for its notices."""
        target = alert.labels.get("target")
        if target is None:
            return ()
        return tuple(
            Action(one.kind, one.state, one.started_ms, one.outcome, one.helped)
            for one in self.watcher.ladder.of(target, alert.active_ms)
        )

    def _take_profiles(self, names: list[str]) -> None:
        """Have the rules and panels of these in force: what scraped targets are said to be."""
        self.alerting.rules.set_profiles(names)
        self.services.hub.board.replace(read_panels([*self.settings.panels, *profile_files(names)]))

    def _seal(self) -> None:
        """Move history from the journal into the file, once there is enough of it."""
        self.services.store.seal()

    def _note_gpu_memory(self) -> None:
        """Tell the black box what the GPU holds for this process, for whoever asks after a crash."""
        held = sum(sample.value for sample in self.services.collection.latest() if sample.name == GPU_MEMORY)
        self._blackbox.note_gpu_bytes(int(held))

    def _deliver_notices(self) -> None:
        """Try the notices that are due."""
        self.alerting.sender.deliver(now_ms())

    def _guard(self) -> None:
        """Look after the files, and stop telling of what an acknowledged alert is about."""
        self.guardian.look()
        rooms = self.services
        noted = {alert.labels.get("kind") for alert in rooms.alerts.current() if alert.state == "acknowledged"}
        if "database_moved_aside" in noted and rooms.store.problems.has("database_moved_aside"):
            acknowledge(rooms.database, rooms.store.problems)

    def _salvage(self) -> None:
        """Bring back what a damaged database still had, bit by bit; nothing to do on nearly every day."""
        self.salvage.step()

    def _expire(self) -> None:
        """Let go of what is older than the settings keep."""
        storage, now = self.settings.storage, now_ms()
        if self._is_doubtful(now):
            log.warning("nothing_expires", why="the clock is far beyond the newest tick of the last process")
            return
        self._coarsen(now)
        self.services.store.expire_buckets(now - int(storage.coarse_days * DAY_MS))
        ticks = self.services.store.expire(now - int(storage.retention_days * DAY_MS))
        if storage.max_bytes:
            ticks += self.services.store.limit(storage.max_bytes)
        records = expire_records(self.services.database, now - int(storage.records_days * DAY_MS))
        records += self.alerting.forget(now, int(storage.records_days * DAY_MS))
        log.info("expired", ticks=ticks, records=records)

    def _is_doubtful(self, now: int) -> bool:
        """Whether all that was recorded before would expire at once: after weeks switched off, or by a wrong clock."""
        last, began = self.pulse.last_tick_ms, self._began
        leap = last is not None and now - last > self.settings.storage.retention_days * DAY_MS
        return leap and time.monotonic() - began < DOUBT_SECONDS

    def _coarsen(self, now: int) -> None:
        """Make buckets of days that are over: before their samples expire, and without holding that up."""
        resolution_ms = self.settings.storage.coarse_seconds * 1000
        try:
            while resolution_ms and not self._draining and not self._closed and self.tier.step(resolution_ms, now):
                pass
        except StorageError as error:
            log.warning("buckets_not_made", error=str(error))

    def drain(self) -> None:
        """A stop has begun: say good-bye to open pages and let the model finish what it has."""
        if self._draining:
            return
        self._draining = self.services.stopping = True
        # Whether a new process follows only the supervisor knows; a page comes back either way.
        self.services.hub.close("the server is stopping or restarting", SERVICE_RESTART)
        self.alerting.sender.close(0.0)  # what is under way has until the last call
        # On a thread of its own: requests in flight are answered by the loop that called us.
        drain_seconds = self.settings.server.drain_seconds
        threading.Thread(target=self.services.model.stop, args=(drain_seconds,), name="drain", daemon=True).start()

    def close(self) -> None:
        """The last call: stop the jobs, write what is in memory, close the database."""
        if self._closed:
            return
        self._closed = True
        rooms = self.services
        rooms.hub.close("the server is stopping", GOING_AWAY)
        self.schedule.stop()
        self.watcher.stop()
        self.alerting.sender.close(SENDER_SECONDS)
        rooms.model.stop(0.0 if self._draining else self.settings.server.drain_seconds)
        rooms.collection.close()
        rooms.requests.flush()
        try:
            rooms.store.close()
        except StorageError as error:  # what is not sealed is in the journal
            log.error("history_not_sealed", error=str(error))
        try:
            self.guardian.close()
        except StorageError as error:
            log.error("replaced_database_not_kept", error=str(error))
        rooms.database.dispose()
        log.info("stopped", pid=os.getpid())

    # --- ends that are meant -------------------------------------------------------------------------------------

    def _restart(self, actor: str, reason: str, retreat: Retreat | None = None) -> None:
        """End this process in order; the supervisor starts the next one. Returns at once."""
        if not self.supervised:
            raise RuntimeError("this process has no supervisor that would start it again")
        if self.services.stopping:
            raise RuntimeError("this process is stopping already")
        self.services.stopping = True
        detail: dict[str, str | None] = {"actor": actor, "reason": reason}
        words = f"restart asked for by {actor}"
        if retreat is not None:
            detail |= {"version": retreat.to, "instead_of": retreat.version}
            words = f"rolled back by {actor} from version {retreat.version} to {retreat.to}"
        with suppress(OSError):  # a full disk costs the reason, not the restart
            LastWords(self.settings.data_dir).leave("restart", words, detail)
        os.kill(os.getpid(), signal.SIGTERM)

    def _die(self, reason: str) -> None:
        """Only a new process helps: leave at once, with the reason for the supervisor."""
        log.critical("fatal", reason=reason)
        if not self.supervised:
            return
        kind: ExitReason = "hang" if reason.startswith("hang") else "crash"
        try:
            LastWords(self.settings.data_dir).leave(kind, reason)
        finally:  # whatever the disk says: this process must go
            os._exit(EXIT_FATAL)

    # --- the first words to a person -----------------------------------------------------------------------------

    def greet(self, address: tuple[Any, ...], *, first_process: bool, terminal: TextIO | None = None) -> None:
        """Tell the person at ``terminal`` (default: stderr) where to go. Makes ``admin`` on the very first start."""
        terminal = terminal or sys.stderr
        accounts, base = self.services.accounts, _url(address)
        lines = [f"Wakeless is at {base}"] if first_process else []
        first_start = not accounts.users()
        if first_start:
            given = self.settings.admin_password
            password = given.get_secret_value() if given else secrets.token_urlsafe(12)
            accounts.create_user("admin", password, "admin")
            if given is None:
                lines.append(f"Log in as admin with the password {password} (shown this once)")
        # A link is a key. After the first start it goes only to a person at a terminal, not into a service's journal.
        if first_start or (first_process and terminal.isatty()):
            lines.append(f"or open {base}/login/link/{accounts.create_link('admin', now_ms())} (works once)")
        if lines:
            print("\n".join(["", *(f"  {line}" for line in lines), ""]), file=terminal, flush=True)


def _url(address: tuple[Any, ...]) -> str:
    """Where a browser on this machine finds a server that is bound to ``address``."""
    host, port = str(address[0]), address[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the address as it was given
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _recorder(store: SeriesStore) -> Any:
    """Where recording rules put what they compute: the same history as everything else."""

    def record(time_ms: int, source: str, samples: list[Sample]) -> None:
        store.append([Tick(source, time_ms, tuple(samples))])

    return record


def _count_restarts(ledger: Ledger) -> dict[str, int]:
    """Ends of the server process by reason, as the ledger knows them."""
    counts: dict[str, int] = {}
    for end in ledger.exits():
        if end.reason != "stop":
            counts[end.reason] = counts.get(end.reason, 0) + 1
    return counts


def _secret_key(path: Path) -> bytes:
    """The key that signs sessions: made once, readable by nobody else."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) >= 32:
            return key
        path.unlink()  # a power cut between creating and writing it
        return _secret_key(path)
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_bytes(32)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
