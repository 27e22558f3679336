"""Every table of the database, as SQLAlchemy declarative classes. All times are UTC milliseconds.

The schema is created and changed by the migrations beside this file only; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The root of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, dict[str, str]: JSON, list[Any]: JSON, dict[str, Any] | None: JSON}  # noqa: RUF012 - SQLAlchemy reads it


# --- time series -------------------------------------------------------------------------------------------------


class SeriesRow(Base):
    """One series: its metric name and its labels as canonical JSON (sorted pairs)."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("name", "labels"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String)
    labels: Mapped[str] = mapped_column(Text)


class LayoutRow(Base):
    """A list of series that lie in a block together: their ids, ascending, as packed little-endian uint32."""

    __tablename__ = "layouts"
    __table_args__ = (UniqueConstraint("series"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    series: Mapped[bytes] = mapped_column(LargeBinary)


class BlockRow(Base):
    """A stretch of one source's history.

    ``segment`` is the journal's segment that it was sealed from, null for history that was imported. A block counts
    only once it is ``ready``: its chunks are written before, in transactions of their own. ``resolution_ms`` is 0 for
    samples as they were taken, else the length of buckets, of one day; they have a ``segment``, 0, once samples have
    expired that they were made of. ``count`` are its moments, ``samples`` those of all its series together, ``bytes``
    what its chunks take.
    """

    __tablename__ = "blocks"
    __table_args__ = (Index("blocks_unready", "id", sqlite_where=text("ready = 0")),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    source: Mapped[str] = mapped_column(String)
    segment: Mapped[int | None] = mapped_column(Integer)
    ready: Mapped[bool] = mapped_column(Boolean)
    resolution_ms: Mapped[int] = mapped_column(Integer)
    start_ms: Mapped[int] = mapped_column(Integer)
    end_ms: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(Integer)
    samples: Mapped[int] = mapped_column(Integer)
    layout: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)


class ChunkRow(Base):
    """The samples of one series in one block; ``id`` is ``block << 32 | series``, so that a block is a range of rows.

    Its first row, that of series 0, holds the block's moments, once for all of its series. ``runs`` tells at which of
    them a series has a sample, null for all. ``count``, ``min``, ``max`` and ``sum`` are over the samples that are no
    stale markers; null where that is NaN or nothing. In a block of buckets ``values`` are these four, for each of them.
    """

    __tablename__ = "chunks"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    min: Mapped[float | None] = mapped_column(Float)
    max: Mapped[float | None] = mapped_column(Float)
    sum: Mapped[float | None] = mapped_column(Float)
    runs: Mapped[bytes | None] = mapped_column(LargeBinary)
    values: Mapped[bytes] = mapped_column(LargeBinary)


class FactRow(Base):
    """What the store knows of itself: its identity, the last segment that was sealed, and the like."""

    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(String, primary_key=True)
    value: Mapped[str] = mapped_column(String)


# --- alerts and what follows from them ---------------------------------------------------------------------------


class AlertRow(Base):
    """One alert from the moment it became pending until it resolved; a new breach is a new row.

    ``state`` is pending, firing or resolved; an alert is acknowledged while ``ack_ms`` is set and it is firing.
    ``source`` says who raised it: our own rules, or another server through the Alertmanager API, which may name the
    time it ends on its own (``ends_ms``). ``ended_by`` is why it resolved: recovered, no_data, rule_removed, expired or
    told. ``no_data_ms`` is since when the data that it is about are missing, ``flaps`` how often it had fired shortly
    before, this time included; ``streak`` counts evaluations in a row that held while it is pending.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("alerts_state", "state"),
        Index("alerts_active", "active_ms"),
        Index("alerts_fingerprint", "fingerprint", "firing_ms"),
        Index("alerts_incident", "incident"),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String)  # of the label set: Alertmanager's FNV-1a, as hex
    rule: Mapped[str] = mapped_column(String)
    group: Mapped[str] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    severity: Mapped[str] = mapped_column(String)
    level: Mapped[int] = mapped_column(Integer)
    labels: Mapped[dict[str, str]]
    annotations: Mapped[dict[str, str]]
    value: Mapped[float | None] = mapped_column(Float)
    active_ms: Mapped[int] = mapped_column(Integer)
    firing_ms: Mapped[int | None] = mapped_column(Integer)
    resolved_ms: Mapped[int | None] = mapped_column(Integer)
    seen_ms: Mapped[int] = mapped_column(Integer)  # last time the expression held
    ack_by: Mapped[str | None] = mapped_column(String)
    ack_reason: Mapped[str | None] = mapped_column(Text)
    ack_ms: Mapped[int | None] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(String, default="rules", server_default="rules")  # rules or api
    ended_by: Mapped[str | None] = mapped_column(String)
    no_data_ms: Mapped[int | None] = mapped_column(Integer)
    flaps: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    streak: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    ends_ms: Mapped[int | None] = mapped_column(Integer)
    generator_url: Mapped[str | None] = mapped_column(Text)
    incident: Mapped[int | None] = mapped_column(Integer)


class RuleTextRow(Base):
    """One version of the rule file that is written in the page; the newest is the one in force."""

    __tablename__ = "rule_texts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    time_ms: Mapped[int] = mapped_column(Integer)
    author: Mapped[str] = mapped_column(String)
    comment: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)


class SilenceRow(Base):
    """No notices for what matches, from one moment to another; ``matchers`` as Alertmanager's API has them."""

    __tablename__ = "silences"
    __table_args__ = (Index("silences_ends", "ends_ms"),)
    id: Mapped[str] = mapped_column(String, primary_key=True)  # a UUID
    matchers: Mapped[list[Any]]
    starts_ms: Mapped[int] = mapped_column(Integer)
    ends_ms: Mapped[int] = mapped_column(Integer)
    updated_ms: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String)
    comment: Mapped[str] = mapped_column(Text)


class MaintenanceRow(Base):
    """A window that recurs, in which what matches sends no notices; ``intervals`` as Alertmanager's time_intervals."""

    __tablename__ = "maintenance"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    matchers: Mapped[list[Any]]
    intervals: Mapped[list[Any]]
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    created_by: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(Integer)
    comment: Mapped[str] = mapped_column(Text)


class AckLinkRow(Base):
    """A link in a notice by which its alerts can be acknowledged once, kept as SHA-256."""

    __tablename__ = "ack_links"
    link_hash: Mapped[str] = mapped_column(String, primary_key=True)
    alerts: Mapped[list[Any]]  # their ids
    expires_ms: Mapped[int] = mapped_column(Integer)
    used_ms: Mapped[int | None] = mapped_column(Integer)
    used_by: Mapped[str | None] = mapped_column(String)


class DispatchGroupRow(Base):
    """Alerts that are told of together: one route's alerts with equal values of its ``group_by`` labels.

    ``members`` are fingerprints of those that the next flush may tell of. ``flushed_ms`` is null until the first flush;
    ``escalation`` says since when nobody acknowledges and how far that has gone up.
    """

    __tablename__ = "dispatch_groups"
    key: Mapped[str] = mapped_column(String, primary_key=True)  # as Alertmanager's groupKey
    route: Mapped[str] = mapped_column(String)
    labels: Mapped[dict[str, str]]
    members: Mapped[list[Any]]
    created_ms: Mapped[int] = mapped_column(Integer)
    next_ms: Mapped[int] = mapped_column(Integer)
    flushed_ms: Mapped[int | None] = mapped_column(Integer)
    escalation: Mapped[dict[str, Any]]


class DispatchLogRow(Base):
    """What a group's receiver was last told through one of its channels, so that it is not told twice."""

    __tablename__ = "dispatch_log"
    group_key: Mapped[str] = mapped_column(String, primary_key=True)
    channel: Mapped[str] = mapped_column(String, primary_key=True)
    firing: Mapped[list[Any]]  # fingerprints
    resolved: Mapped[list[Any]]
    time_ms: Mapped[int] = mapped_column(Integer)


class ChannelRow(Base):
    """A channel that was added in the page. ``secret`` is its URL, encrypted with the key file beside the database."""

    __tablename__ = "channels"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    scheme: Mapped[str] = mapped_column(String)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    options: Mapped[dict[str, Any]]  # language, least level, notices a minute, picture
    created_by: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(Integer)


class ActionRow(Base):
    """What was done because an alert fired that asked for it, and whether it helped."""

    __tablename__ = "actions"
    __table_args__ = (Index("actions_started", "started_ms"), Index("actions_alert", "alert"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    alert: Mapped[int] = mapped_column(Integer)
    rule: Mapped[str] = mapped_column(String)
    action: Mapped[str] = mapped_column(String)  # reload_model, restart_process or rollback
    state: Mapped[str] = mapped_column(String)  # started, done, failed or skipped
    started_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(Text)
    helped: Mapped[bool | None] = mapped_column(Boolean)


class OutboxRow(Base):
    """One notice for one channel, kept until delivered or given up. ``key`` makes enqueueing idempotent.

    ``message`` is what it says, as data; ``title`` and ``body`` are its words, as they were last put. ``attempt_ms`` is
    set while an attempt is under way: a process that finds it at its start does not know how that one ended.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_due", "state", "next_ms"), Index("outbox_channel", "channel", "state"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(String, unique=True)
    channel: Mapped[str] = mapped_column(String)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String)  # info, success, warning or failure, as Apprise has them
    state: Mapped[str] = mapped_column(String)  # waiting, sent, failed or merged (told in a later summary)
    created_ms: Mapped[int] = mapped_column(Integer)
    next_ms: Mapped[int] = mapped_column(Integer)
    sent_ms: Mapped[int | None] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)
    message: Mapped[dict[str, Any] | None]
    group_key: Mapped[str | None] = mapped_column(String)
    attempt_ms: Mapped[int | None] = mapped_column(Integer)


class IncidentRow(Base):
    """A stretch of time in which the service did not do its work, with its cause; open while ``ended_ms`` is null.

    Stretches and alerts of one outage are joined: ``outage`` is the id of the first of its stretches, its own where it
    is that one, null while nobody has looked. ``over_ms``, of the first: when all of them and their alerts were over.
    """

    __tablename__ = "incidents"
    __table_args__ = (Index("incidents_started", "started_ms"), Index("incidents_outage", "outage"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String)  # process, power, planned, model, remedy or alert
    cause: Mapped[str] = mapped_column(String)  # machine-readable: segfault, oom_kill, killed, load_failed, …
    summary: Mapped[str] = mapped_column(Text)
    started_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)
    detail: Mapped[dict[str, Any]]
    level: Mapped[int] = mapped_column(Integer, default=3, server_default="3")
    detected_ms: Mapped[int | None] = mapped_column(Integer)
    acknowledged_ms: Mapped[int | None] = mapped_column(Integer)
    outage: Mapped[int | None] = mapped_column(Integer)
    over_ms: Mapped[int | None] = mapped_column(Integer)


class IncidentEntryRow(Base):
    """One line of an incident's timeline."""

    __tablename__ = "incident_entries"
    __table_args__ = (Index("incident_entries_incident", "incident", "time_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    incident: Mapped[int] = mapped_column(Integer)
    time_ms: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String)  # fired, resolved, acknowledged, action, notice, note or state
    actor: Mapped[str] = mapped_column(String)
    text: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]


class RequestRow(Base):
    """One inference request: facts about its input and its fate, never the input itself."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("requests_time", "time_ms"),
        Index("requests_request_id", "request_id"),
        # Of failures alone, so that those that go well pay nothing for it.
        Index("requests_error", "time_ms", sqlite_where=text("error IS NOT NULL")),
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    request_id: Mapped[str] = mapped_column(String)
    time_ms: Mapped[int] = mapped_column(Integer)
    status: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String)
    result_class: Mapped[str | None] = mapped_column(String)
    model: Mapped[str] = mapped_column(String)
    version: Mapped[str] = mapped_column(String)
    total_seconds: Mapped[float] = mapped_column(Float)
    queue_seconds: Mapped[float | None] = mapped_column(Float)
    compute_seconds: Mapped[float | None] = mapped_column(Float)
    input: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
    route: Mapped[str | None] = mapped_column(String)
    fingerprint: Mapped[str | None] = mapped_column(String)  # of its error: what errors of one kind have in common


class AuditRow(Base):
    """Who did what: logins, acknowledgements, reloads, restarts, tokens made."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_time", "time_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    time_ms: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str] = mapped_column(String)
    action: Mapped[str] = mapped_column(String)  # e.g. alert.ack, model.reload, process.restart, login
    target: Mapped[str] = mapped_column(String)
    detail: Mapped[dict[str, Any]]


# --- people and programs ----------------------------------------------------------------------------------------


class UserRow(Base):
    """A person. ``password_hash`` is argon2id; ``epoch`` is raised to end all of the user's sessions."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    password_hash: Mapped[str] = mapped_column(String)
    role: Mapped[str] = mapped_column(String)  # viewer, operator or admin
    created_ms: Mapped[int] = mapped_column(Integer)
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    epoch: Mapped[int] = mapped_column(Integer, default=0)


class TokenRow(Base):
    """A program's bearer token, kept as SHA-256; the token itself is shown once."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    token_hash: Mapped[str] = mapped_column(String, unique=True)
    role: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(Integer)
    used_ms: Mapped[int | None] = mapped_column(Integer)


class LoginLinkRow(Base):
    """A one-time login link, kept as SHA-256; used up by the first login."""

    __tablename__ = "login_links"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    link_hash: Mapped[str] = mapped_column(String, unique=True)
    user: Mapped[str] = mapped_column(String)
    expires_ms: Mapped[int] = mapped_column(Integer)
    used_ms: Mapped[int | None] = mapped_column(Integer)


# --- what runs beside the model ----------------------------------------------------------------------------------


class TargetRow(Base):
    """A target that was added in the page. ``secret`` is its definition as JSON, encrypted: it may hold passwords."""

    __tablename__ = "targets"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    created_by: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(Integer)
    updated_ms: Mapped[int] = mapped_column(Integer)


class ProbeRow(Base):
    """Where one probe of a target stands, so that a restart forgets nothing; ``probe`` is http, tcp, … or push.

    ``state`` is up, down or unknown (no verdict yet), ``since_ms`` since when; ``streak`` counts results in a row that
    speak against it; ``seen_ms`` is the last result, for push the last sign of life; ``first_ms`` the first
    verdict, or the first look as long as there is none.
    """

    __tablename__ = "probes"
    target: Mapped[str] = mapped_column(String, primary_key=True)
    probe: Mapped[str] = mapped_column(String, primary_key=True)
    state: Mapped[str] = mapped_column(String)
    since_ms: Mapped[int] = mapped_column(Integer)
    first_ms: Mapped[int] = mapped_column(Integer)
    seen_ms: Mapped[int] = mapped_column(Integer)
    streak: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]


class TargetOutageRow(Base):
    """A stretch in which a probe of a target said that it is down; open while ``ended_ms`` is null.

    It began with the first failure of those that made it so, not with the last.
    """

    __tablename__ = "target_outages"
    __table_args__ = (Index("target_outages_target", "target", "started_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    target: Mapped[str] = mapped_column(String)
    probe: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(Text)
    started_ms: Mapped[int] = mapped_column(Integer)
    detected_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)


class LogSourceRow(Base):
    """How far one source of lines (a file, a journal, a container's output) has been read, and what was counted.

    Changed in one transaction with the events that its lines gave, so that none is lost or told twice. ``position`` is
    the follower's own; ``counters`` hold each pattern's matches and metrics.
    """

    __tablename__ = "log_sources"
    target: Mapped[str] = mapped_column(String, primary_key=True)
    source: Mapped[str] = mapped_column(String, primary_key=True)
    position: Mapped[dict[str, Any]]
    lines: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    counters: Mapped[dict[str, Any]]
    updated_ms: Mapped[int] = mapped_column(Integer)


class LogEventRow(Base):
    """Lines of one kind that a pattern has found, until it was quiet again. ``text`` and ``context`` are masked.

    ``fingerprint`` is what lines of one kind have in common; ``raised_ms`` is when there were enough of them.
    """

    __tablename__ = "log_events"
    __table_args__ = (Index("log_events_last", "last_ms"), Index("log_events_target", "target", "last_ms"))
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    target: Mapped[str] = mapped_column(String)
    source: Mapped[str] = mapped_column(String)
    pattern: Mapped[str] = mapped_column(String)
    level: Mapped[int] = mapped_column(Integer)
    fingerprint: Mapped[str] = mapped_column(String)
    first_ms: Mapped[int] = mapped_column(Integer)
    last_ms: Mapped[int] = mapped_column(Integer)
    raised_ms: Mapped[int | None] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    context: Mapped[list[Any]]  # the lines that came with it: a traceback


class RemedyRow(Base):
    """What was done because a target was down, and whether it helped."""

    __tablename__ = "remedies"
    __table_args__ = (Index("remedies_target", "target", "started_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    target: Mapped[str] = mapped_column(String)
    rung: Mapped[int] = mapped_column(Integer)  # its place in the ladder, from 0
    kind: Mapped[str] = mapped_column(String)  # call, command, systemd, container or standby
    state: Mapped[str] = mapped_column(String)  # started, done, failed, skipped or dry_run
    why: Mapped[str] = mapped_column(Text)
    started_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(Text)
    helped: Mapped[bool | None] = mapped_column(Boolean)


class ReportRow(Base):
    """A report that was made on schedule, as it was sent. ``period`` is day, week or month."""

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("period", "start_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    period: Mapped[str] = mapped_column(String)
    start_ms: Mapped[int] = mapped_column(Integer)
    end_ms: Mapped[int] = mapped_column(Integer)
    made_ms: Mapped[int] = mapped_column(Integer)
    body: Mapped[dict[str, Any]]
