"""A routing file's sections as Alertmanager 0.25 knows them, with rotas, escalation, quiet hours and levels added."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from alerts.routing.http_config import HttpConfig, one_of
from alerts.routing.receiver import ReceiverEntry
from alerts.routing.rota import Override, Rota
from alerts.routing.scalar import (
    Equalities,
    HostPort,
    Intervals,
    LabelName,
    Matchers,
    Milliseconds,
    Regexes,
    SecretAddress,
    Section,
    Span,
    Truth,
    WebAddress,
)
from alerts.silencing.matching import LabelMatcher, is_label_name

#: Stands in ``group_by`` for all labels.
ALL_LABELS = "..."
_PERIODS = {"1d": 1, "1w": 7, "2w": 14}


def _levels(entry: Any) -> tuple[int, ...]:
    if not isinstance(entry, list) or not entry or not all(item in ("1", "2", "3") for item in entry):
        raise ValueError("must be a list of levels: 1, 2 or 3")
    return tuple(sorted({int(item) for item in entry}))


def _zone_name(entry: str) -> str:
    zone(entry)
    return entry


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises ValueError."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def _moment(entry: Any) -> datetime:
    """A local time such as ``2026-11-02 09:00``."""
    try:
        found = datetime.fromisoformat(entry)
    except (TypeError, ValueError):
        raise ValueError("must be a local time such as 2026-11-02 09:00") from None
    if found.tzinfo is not None:
        raise ValueError("must be a local time, without an offset: the rota has a timezone")
    return found


Levels = Annotated[tuple[int, ...], BeforeValidator(_levels)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
ZoneName = Annotated[str, AfterValidator(_zone_name)]


class Global(Section):
    """What holds for all receivers that say nothing themselves."""

    resolve_timeout: Milliseconds = 300_000
    http_config: HttpConfig | None = None
    smtp_from: str = ""
    smtp_hello: str = "localhost"
    smtp_smarthost: HostPort = ""
    smtp_auth_username: str = ""
    smtp_auth_password: SecretStr | None = None
    smtp_auth_password_file: str = ""
    smtp_auth_secret: SecretStr | None = None
    smtp_auth_identity: str = ""
    smtp_require_tls: Truth = True
    slack_api_url: SecretAddress | None = None
    slack_api_url_file: str = ""
    pagerduty_url: WebAddress | None = None
    opsgenie_api_url: WebAddress | None = None
    opsgenie_api_key: SecretStr | None = None
    opsgenie_api_key_file: str = ""
    wechat_api_url: WebAddress | None = None
    wechat_api_secret: SecretStr | None = None
    wechat_api_corp_id: str = ""
    victorops_api_url: WebAddress | None = None
    victorops_api_key: SecretStr | None = None
    victorops_api_key_file: str = ""
    telegram_api_url: WebAddress | None = None
    webex_api_url: WebAddress | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        one_of(self.slack_api_url, self.slack_api_url_file, "slack_api_url & slack_api_url_file")
        one_of(self.opsgenie_api_key, self.opsgenie_api_key_file, "opsgenie_api_key & opsgenie_api_key_file")
        one_of(self.victorops_api_key, self.victorops_api_key_file, "victorops_api_key & victorops_api_key_file")
        one_of(self.smtp_auth_password, self.smtp_auth_password_file, "smtp_auth_password & smtp_auth_password_file")
        return self


class EscalationEntry(Section):
    """Ours: whom to tell as well when nobody acknowledges."""

    after: Span
    receiver: str = Field(min_length=1)


class QuietEntry(Section):
    """Ours: which levels wait, and when."""

    time_intervals: tuple[str, ...] = Field(min_length=1)
    levels: Levels


class RouteEntry(Section):
    """One node of the tree."""

    receiver: str = ""
    group_by: tuple[str, ...] = ()
    match: Equalities = ()
    match_re: Regexes = ()
    matchers: Matchers = ()
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    continue_: Truth = Field(False, alias="continue")
    routes: tuple[RouteEntry, ...] = ()
    group_wait: Milliseconds | None = None
    group_interval: Span | None = None
    repeat_interval: Span | None = None
    levels: Levels | None = None
    escalation: tuple[EscalationEntry, ...] | None = None
    quiet_hours: tuple[QuietEntry, ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [name for name in self.group_by if name != ALL_LABELS]
        if names and len(names) < len(self.group_by):
            raise ValueError("group_by cannot have '...' and other labels at the same time")
        for name in names:
            if not is_label_name(name):
                raise ValueError(f"invalid label name {name!r} in group_by")
            if names.count(name) > 1:
                raise ValueError(f"duplicated label {name!r} in group_by")
        return self

    def all_matchers(self) -> tuple[LabelMatcher, ...]:
        """Its matchers of all three kinds, sorted as Alertmanager sorts them."""
        found = (*self.match, *self.match_re, *self.matchers)
        return tuple(sorted(found, key=lambda matcher: (matcher.name, matcher.value, matcher.operator)))


class InhibitEntry(Section):
    """Which alerts keep which others back."""

    source_match: Equalities = ()
    source_match_re: Regexes = ()
    source_matchers: Matchers = ()
    target_match: Equalities = ()
    target_match_re: Regexes = ()
    target_matchers: Matchers = ()
    equal: tuple[LabelName, ...] = ()


class IntervalEntry(Section):
    """Time intervals under one name."""

    name: str = Field(min_length=1)
    time_intervals: Intervals = ()


class OverrideEntry(Section):
    """Somebody takes over."""

    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    receiver: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start >= self.end:
            raise ValueError("from must be before to")
        return self


class RotaEntry(Section):
    """Ours: on call by turns."""

    name: str = Field(min_length=1)
    timezone: ZoneName = "UTC"
    start: Moment
    period: Literal["1d", "1w", "2w"] = "1w"
    receivers: tuple[str, ...] = Field(min_length=1)
    overrides: tuple[OverrideEntry, ...] = ()

    def rota(self) -> Rota:
        """As the dispatcher asks it."""
        where = zone(self.timezone)

        def moment_ms(local: datetime) -> int:
            return round(local.replace(tzinfo=where).timestamp() * 1000)

        overrides = tuple(
            Override(moment_ms(entry.start), moment_ms(entry.end), entry.receiver) for entry in self.overrides
        )
        days = _PERIODS[self.period]
        return Rota(self.name, where, self.timezone, self.start, days, tuple(self.receivers), overrides)


class FileEntry(Section):
    """The whole file."""

    global_: Global = Field(Global(), alias="global")
    route: RouteEntry
    inhibit_rules: tuple[InhibitEntry, ...] = ()
    receivers: tuple[ReceiverEntry, ...] = ()
    templates: tuple[str, ...] = ()
    mute_time_intervals: tuple[IntervalEntry, ...] = ()
    time_intervals: tuple[IntervalEntry, ...] = ()
    rotas: tuple[RotaEntry, ...] = ()
