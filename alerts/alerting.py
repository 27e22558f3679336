"""All of alerting, wired together: from the rules to the notice that a service has taken.

Once a tick: **evaluate → act → join → dispatch**. Each is a stage of its own, so that one that fails holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sqlalchemy import Engine as Database

from alerts.delivery.channel import Voice
from alerts.delivery.compose import Composer
from alerts.delivery.emergency import Emergency
from alerts.delivery.message import Action
from alerts.delivery.outbox import Outbox
from alerts.delivery.picture import Pictures
from alerts.delivery.plot import Figures
from alerts.delivery.registry import ChannelRegistry, builder, settings_specs
from alerts.delivery.sender import Sender
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.store import ChannelStore
from alerts.delivery.switchboard import Switchboard
from alerts.delivery.vault import FILE_NAME, Vault
from alerts.engine import AlertEngine
from alerts.evaluation import Origin
from alerts.group import Group
from alerts.outage.action import Actions, Doer, wall_ms
from alerts.outage.outage import Outages
from alerts.routing.dispatcher import Dispatcher
from alerts.routing.source import RoutingSource
from alerts.routing.tree import Routing
from alerts.ruling.rulebook import Rulebook
from alerts.ruling.source import RuleSource
from alerts.running import Record
from alerts.silencing.quieting import Quieting
from alerts.state import Alert, Flapping
from config import Settings
from promql import Engine as QueryEngine
from storage.error import StorageError
from storage.incident import IncidentLog
from storage.record import AuditLog


class Alerting:
    """Owns the parts and what passes between them.

    ``key`` signs the links in notices; ``record`` takes what recording rules give; ``doers`` do what alerts ask for,
    ``busy`` says why they should not now, ``forbidden`` why never; ``remedies`` tells what somebody else has done about
    an alert. ``clock`` gives UTC milliseconds to what goes on beside the ticks. Raises
    :class:`alerts.rule.RuleError` and :class:`alerts.routing.error.RoutingError` for files that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        query: QueryEngine,
        *,
        now_ms: int,
        key: bytes,
        record: Record,
        incidents: IncidentLog,
        audit: AuditLog,
        doers: Mapping[str, Doer],
        busy: Callable[[], str | None] = lambda: None,
        forbidden: str | None = None,
        remedies: Callable[[Alert], Sequence[Action]] = lambda alert: (),
        clock: Callable[[], int] = wall_ms,
        clock_offset_ms: Callable[[], int] | None = None,
    ) -> None:
        wanted = settings.alerts
        self._settings = settings
        self._causes: dict[str, Alert] | None = None  # of the last step; None: nobody has asked yet
        self._language: Literal["en", "zh"] = "zh" if settings.language == "zh" else "en"
        self.quieting = Quieting(
            database,
            now_ms=now_ms,
            secret_key=key,
            public_url=settings.server.public_url,
            link_hours=wanted.ack_link_hours,
        )
        self.rules = RuleSource(wanted.rules, Rulebook(database), stock=wanted.stock_rules)
        self._groups: Sequence[Group] = self.rules.load(now_ms)
        self.engine = AlertEngine(
            database,
            query,
            self._groups,
            record=record,
            origin=Origin(url=settings.server.public_url or ""),
            interval_seconds=wanted.evaluation_interval_seconds,
            flapping=Flapping.of_seconds(wanted.flap_count, wanted.flap_seconds, wanted.flap_quiet_seconds),
            resolve_seconds=wanted.resolve_seconds,
            clock_offset_ms=clock_offset_ms,
        )
        self.channels = self._make_channels(database, query)
        self.outbox = Outbox(database)
        self.sender = Sender(
            self.outbox,
            self.channels.registry,
            retry_seconds=wanted.notice_retry_seconds,
            give_up_seconds=wanted.notice_give_up_hours * 3600,
            catch_up_seconds=wanted.catch_up_seconds,
            patience_seconds=0.0,  # nobody asks how it went, and what is due next waits for no slow service
            language=self._language,
            clock=clock,
        )
        self.actions = Actions(
            database,
            doers,
            limit_per_hour=wanted.action_limit_per_hour,
            help_seconds=wanted.action_help_seconds,
            muted=self.quieting.mutes,
            busy=busy,
            forbidden=forbidden,
            audit=audit,
            on_change=self._report,
            clock=clock,
        )
        self.routing = RoutingSource(wanted.routing, self._routable)
        routing = self.routing.load()
        self.channels.reroute(routing.channels)
        self.dispatcher = Dispatcher(
            database,
            routing,
            self.outbox,
            muted=self.quieting.mutes,
            actions=lambda alert: (*self.actions.of(alert.id), *remedies(alert)),
        )
        self.emergency = Emergency(self.channels.registry, self._untold)
        self.outages = Outages(database, incidents)
        self.channels.on_change = lambda: self._reroute(clock())

    # --- the stages of a tick -------------------------------------------------------------------------------------

    def evaluate(self, now_ms: int) -> None:
        """Ask every rule that is due, and move its alerts."""
        self.engine.evaluate(now_ms)

    def act(self, now_ms: int) -> None:
        """Carry out what alerts ask for, and judge what was done."""
        self.actions.follow(self.engine.current(), now_ms)

    def join(self, now_ms: int) -> None:
        """Join what belongs to one outage."""
        self.outages.follow(self.engine.current(), now_ms)

    def dispatch(self, now_ms: int) -> None:
        """Put into the outbox what people are to hear now, and have it sent at once."""
        try:
            told = self.dispatcher.step(self.engine.current(), now_ms)
        except StorageError:
            self.emergency.follow(self.engine.current(), now_ms)
            raise
        self.emergency.over()
        self._causes = None
        if told:
            self.sender.wake()

    # --- for people -----------------------------------------------------------------------------------------------

    def causes(self) -> Mapping[str, Alert]:
        """Alerts that another one keeps back, by fingerprint, as they stood at the last step."""
        causes = self._causes
        if causes is None:
            self._causes = causes = self.dispatcher.causes()
        return causes

    def reasons(self, alert: Alert, now_ms: int) -> dict[str, list[str]]:
        """What keeps an alert's notices back: ids of silences, names of windows, rules of alerts that explain it."""
        cause = self.causes().get(alert.fingerprint)
        inhibited_by = [] if cause is None else [cause.rule]
        return {**self.quieting.reasons(alert.labels, now_ms), "inhibited_by": inhibited_by}

    # --- from time to time ----------------------------------------------------------------------------------------

    def refresh(self, now_ms: int, *, settle: bool = True) -> None:
        """Look after the files of rules and routing; ``settle`` false: somebody says that they are ready."""
        try:
            self.rules.refresh(now_ms, self.apply_rules, settle=settle)
        finally:  # rules that cannot be put in force are no reason to go by an old routing
            self._reroute(now_ms, settle=settle)

    def apply_rules(self, groups: Sequence[Group], now_ms: int) -> None:
        """Have these rules from now on."""
        self.engine.replace(groups, now_ms)
        self._groups = groups

    def _reroute(self, now_ms: int, *, settle: bool = True) -> None:
        """Look after the routing file, or after the channels that the default is made of."""

        def apply(routing: Routing) -> None:
            self.channels.reroute(routing.channels)
            self.dispatcher.replace(routing, now_ms)

        self.routing.refresh(apply, settle=settle)

    def forget(self, now_ms: int, keep_ms: int) -> int:
        """Delete what is over and older than ``keep_ms``; returns how many notices that were."""
        self.quieting.forget(now_ms, keep_ms)
        return self.outbox.expire(now_ms - keep_ms)

    # --- what passes between the parts ----------------------------------------------------------------------------

    def _make_channels(self, database: Database, query: QueryEngine) -> Switchboard:
        """All channels, and how they speak."""
        settings = self._settings
        figures = Figures(query, lambda: self._groups)
        composer = Composer(
            settings.name,
            public_url=settings.server.public_url,
            ack_link=self.quieting.links.make,
            measure_of=figures.measure_of,
            flap_count=settings.alerts.flap_count,
            flap_seconds=settings.alerts.flap_seconds,
        )
        build = builder(Voice(composer, self._language, Pictures(figures.plot_of).of))
        store = ChannelStore(database, Vault(settings.data_dir / FILE_NAME))
        fixed = settings_specs(settings.alerts.channels)
        return Switchboard(ChannelRegistry(build), store, build, fixed)

    def _routable(self) -> list[ChannelSpec]:
        """The channels that the default routing sends to."""
        return [spec for spec in self.channels.registry.specs() if spec.origin != "routing"]

    def _untold(self, alert: Alert, now_ms: int) -> list[str]:
        """The channels that are to hear of an alert now, and have not."""
        found = self.dispatcher.explain(alert.labels, now_ms)
        return [name for each in found if not each.muted_by for name in each.channels if name not in each.told_ms]

    def _report(self, alert_id: int) -> None:
        """Something was done about an alert, or it is known whether that helped: who heard of the alert hears of it."""
        alert = self.engine.alert(alert_id)
        if alert is not None and alert.is_firing:  # its end says it as well
            self.dispatcher.report(alert)
