"""Every table of the database, as SQLAlchemy declarative classes. All times are UTC milliseconds.

The schema is created and changed by the migrations beside this file only; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The root of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, dict[str, str]: JSON, list[Any]: JSON}  # noqa: RUF012 - SQLAlchemy reads it


# --- time series -------------------------------------------------------------------------------------------------


class SeriesRow(Base):
    """One series: its metric name and its labels as canonical JSON (sorted pairs)."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("name", "labels"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String)
    labels: Mapped[str] = mapped_column(Text)


class LayoutRow(Base):
    """The list of series that a source writes; ``series`` holds their ids, ascending, as packed little-endian uint32.

    ``begun_ms`` and ``ended_ms`` bound the ticks in this layout; ``ended_ms`` is null while the source still writes it.
    So what a window holds, what was open when the process died, and what may be deleted is known without reading ticks.
    """

    __tablename__ = "layouts"
    __table_args__ = (UniqueConstraint("source", "series"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    source: Mapped[str] = mapped_column(String)
    series: Mapped[bytes] = mapped_column(LargeBinary)
    begun_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)


class TickRow(Base):
    """One run of one source: ``values`` are packed little-endian float64, one for each series of the layout.

    ``id`` is ``time_ms << 20 | layout`` (``storage.layout`` packs and unpacks it). So the table itself is ordered by
    time: a window is one range of rows, a commit touches one page instead of one of the table and one of an index, and
    no tick can be there twice.
    """

    __tablename__ = "ticks"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    values: Mapped[bytes] = mapped_column(LargeBinary)


# --- alerts and what follows from them ---------------------------------------------------------------------------


class AlertRow(Base):
    """One alert from the moment it became pending until it resolved; a new breach is a new row.

    ``state`` is pending, firing or resolved; an alert is acknowledged while ``ack_ms`` is set and it is firing.
    """

    __tablename__ = "alerts"
    __table_args__ = (Index("alerts_state", "state"), Index("alerts_active", "active_ms"))
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


class OutboxRow(Base):
    """One notice for one channel, kept until delivered or given up. ``key`` makes enqueueing idempotent."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_due", "state", "next_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(String, unique=True)
    channel: Mapped[str] = mapped_column(String)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String)  # info, success, warning or failure, as Apprise has them
    state: Mapped[str] = mapped_column(String)  # waiting, sent or failed
    created_ms: Mapped[int] = mapped_column(Integer)
    next_ms: Mapped[int] = mapped_column(Integer)
    sent_ms: Mapped[int | None] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(Text)


class IncidentRow(Base):
    """A stretch of time in which the service did not do its work, with its cause; open while ``ended_ms`` is null."""

    __tablename__ = "incidents"
    __table_args__ = (Index("incidents_started", "started_ms"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String)  # process, power or model
    cause: Mapped[str] = mapped_column(String)  # machine-readable: segfault, oom_kill, killed, load_failed, …
    summary: Mapped[str] = mapped_column(Text)
    started_ms: Mapped[int] = mapped_column(Integer)
    ended_ms: Mapped[int | None] = mapped_column(Integer)
    detail: Mapped[dict[str, Any]]


class RequestRow(Base):
    """One inference request: facts about its input and its fate, never the input itself."""

    __tablename__ = "requests"
    __table_args__ = (Index("requests_time", "time_ms"), Index("requests_request_id", "request_id"))
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
